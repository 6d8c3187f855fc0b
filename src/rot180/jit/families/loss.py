"""Softmax and cross-entropy in one kernel: from logits to the loss and the gradient at the logits.

    share = Σ over all images of weight[y]                   (what "mean" divides by)
    for block in this part's share
        m = max_c x[c]
        dx[c] = e^(x[c] − m),  s = Σ_c dx[c]
        loss = weight[y] · (ln s + m − x[y])
        dx[c] = weight[y] / share · (dx[c] / s − [c = y])

The logits lie like (N, classes): B images side by side, so a class is one vector and no sum crosses
lanes, or (B = 1) neighbouring classes of one image. With smoothing ε, (1 − ε) of weight[y] stays at
y and ε · weight[c] / classes goes to every class. An image that is ignored, or only fills up the
last block, has loss and gradient 0, whatever its logits are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.emission.blocking import vectors
from rot180.jit.emission.emit import Emitter, Index
from rot180.jit.emission.functions import FUNCTIONS, both
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.rows import Lanes, fresh, over, ranges, shares, spread, summed, sums
from rot180.jit.emission.target import Target

__all__ = ["CrossEntropy", "Total"]


@dataclass(frozen=True)
class CrossEntropy:
    """The loss, and dx if it is wanted; targets are class numbers, int64, in order of the images.

    Attributes:
        x: where the logits lie, without spatial axes; dx lies like them.
        mean: divide by the weights of all targets.
        weight: whether classes have weights.
        ignore: targets of this number count nowhere.
        smoothing: ε.
        gradient: whether dx is wanted.
        upstream: whether a gradient of the loss is given; 1 otherwise.
        alone: one part does all the work and writes the loss. Otherwise the parts share it and
            write a loss for each image, in blocks as the images are; `Total` adds them up.
    """

    x: Planes
    mean: bool = True
    weight: bool = False
    ignore: int = -100
    smoothing: float = 0.0
    gradient: bool = True
    upstream: bool = False
    alone: bool = True
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        return (
            "x",
            "target",
            *(("weight",) if self.weight else ()),
            *(("g",) if self.upstream else ()),
            "loss" if self.alone else "losses",
            *(("dx",) if self.gradient else ()),
        )

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        lanes = self.x.block
        scale = self._scale(k)
        if not self.alone:
            for first, after, live in shares(k, self.x, 1):
                with k.loop(first, after) as block:
                    loss = self._block(k, block, live, scale)
                    k.store(loss, "losses", k.at((block, lanes)))
            return k.finish()
        begin, end = k.share(1)
        with k.loop(begin, end):
            total = k.variable(k.constant(0.0, lanes))
            for start, stop, live in ranges(self.x):
                with k.loop(start, stop) as block:
                    total.set(k.add(total.get(), self._block(k, block, live, scale)))
            k.store(k.total(total.get()), "loss")
        return k.finish()

    def _scale(self, k: Emitter) -> Any:
        """1 / share, or 1: a scalar."""
        if not self.mean:
            return k.constant(1.0, 1)
        total, b = k.variable(k.constant(0.0, 1)), k.builder
        with k.loop(0, self.x.images) as n:
            y = k.load_as("int64", "target", n)
            counted = b.icmp_signed("!=", y, k.index(self.ignore))
            one = k.constant(1.0, 1)
            if self.weight:
                one = k.load("weight", k.select(counted, y, k.index(0)), 1)
            total.set(k.add(total.get(), k.select(counted, one, k.constant(0.0, 1))))
        return k.div(k.constant(1.0, 1), total.get())

    def _targets(self, k: Emitter, block: Index, live: int) -> tuple[Any, Any]:
        """The classes of a block, as wide as floats, and which of them count."""
        lanes, b = self.x.block, k.builder
        start = k.at((block, lanes))
        if live == lanes:
            y = k.load_as("int64", "target", start, lanes)
        else:  # the targets end with the images
            numbers = [k.load_as("int64", "target", k.at(start, n)) for n in range(live)]
            y = k.joined([*numbers, *(k.index(self.ignore) for _ in range(lanes - live))])
        counted = b.icmp_signed("!=", y, k.whole(self.ignore, lanes, 64))
        return (k.narrow(y, 32) if self.dtype == "float32" else y), counted

    def _block(self, k: Emitter, block: Index, live: int, scale: Any) -> Any:
        """Losses of one block, 0 for images that do not count; writes their dx."""
        lanes, classes = self.x.block, self.x.channels
        y, counted = self._targets(k, block, live)
        one = _Block(self, k, k.at((block, self.x.stack)), y)
        largest = one.largest()
        s, picked, weight, weights, rest = one.sums(largest)
        log = FUNCTIONS["log"](k, s)
        hit = k.mul(weight, k.constant(1.0 - self.smoothing, lanes))
        each = k.constant(self.smoothing / classes, lanes)
        loss = k.mul(hit, k.sub(log, picked))
        mass = hit
        if self.smoothing:
            loss = k.fma(k.fma(weights, log, rest), each, loss)
            mass = k.fma(weights, each, mass)
        factor = spread(k, scale, lanes)
        loss = k.select(counted, k.mul(loss, factor), k.constant(0.0, lanes))
        if self.gradient:
            if self.upstream:
                factor = k.mul(factor, spread(k, k.load("g", 0, 1), lanes))
            share = k.div(k.mul(mass, factor), s)
            one.write(share, k.mul(hit, factor), k.mul(each, factor), counted)
        return loss


class _Block:
    """The classes of one block of images, vector by vector."""

    def __init__(self, kernel: CrossEntropy, k: Emitter, start: Index, y: Any) -> None:
        self.kernel, self.k, self.start, self.y = kernel, k, start, y
        self.block, self.classes = kernel.x.block, kernel.x.channels
        row = vectors(self.classes, k.lanes, 1)
        self.lanes = self.block if self.block > 1 else row.lanes

    def _each(self, body: Lanes) -> None:
        """For every vector: a class of all images, or neighbouring classes of one."""
        if self.block == 1:
            over(self.k, self.classes, 1, body, 1)
            return
        with self.k.loop(0, self.classes) as c:
            body(c, self.block, None, 0)

    def _at(self, c: Index) -> Index:
        return self.k.at(self.start, (c, self.block))

    def _hits(self, c: Index) -> Any:
        """Where the class is the target."""
        k, b = self.k, self.k.builder
        numbers = k.whole(c, self.lanes)
        if self.block == 1 and self.lanes > 1:
            numbers = b.add(numbers, ir.Constant(numbers.type, [*range(self.lanes)]))
        y = self.y if self.block == self.lanes else k.splat(self.y, self.lanes)
        return b.icmp_signed("==", numbers, y)

    def _weights(self, c: Index) -> Any:
        k = self.k
        if not self.kernel.weight:
            return k.constant(1.0, self.lanes)
        if self.block == 1:
            return k.load("weight", c, self.lanes)
        return k.splat(k.load("weight", c, 1), self.lanes)

    def largest(self) -> Any:
        """The largest logit of each image; NaN wins."""
        k = self.k
        found = k.variable(k.constant(-math.inf, self.lanes))

        def one(c: Index, lanes: int, *_: object) -> None:
            found.set(both(k, k.load("x", self._at(c), lanes), found.get(), True))

        self._each(one)
        value = found.get()
        while self.block == 1 and isinstance(value.type, ir.VectorType):
            value = both(k, *k.halves(value), True)
        return value

    def sums(self, largest: Any) -> list[Any]:
        """Sums over the classes, for each image; d is the logit less the largest one.

        Σ e^d, d of the target, the weight of the target, Σ weights, −Σ weight · d; the exponentials
        are left in dx.
        """
        k = self.k
        found = [k.variable(k.constant(0.0, self.lanes)) for _ in range(5)]
        zero, top = k.constant(0.0, self.lanes), spread(k, largest, self.lanes)

        def one(c: Index, lanes: int, new: Sequence[int] | None, way: int) -> None:
            d = k.sub(k.load("x", self._at(c), lanes), top)
            e, hit, weight = FUNCTIONS["exp"](k, d), self._hits(c), self._weights(c)
            if self.kernel.gradient:
                k.store(e, "dx", self._at(c))
            terms = [e, k.select(hit, d, zero), k.select(hit, weight, zero)]
            if self.kernel.smoothing:
                terms += [weight, k.mul(weight, k.sub(zero, d))]
            for total, term in zip(found, terms, strict=False):
                total.set(k.add(total.get(), fresh(k, term, new)))

        self._each(one)
        return [v.get() if self.block > 1 else k.total(v.get()) for v in found]

    def write(self, share: Any, hit: Any, each: Any, counted: Any) -> None:
        """Write dx = share · e^d − hit · [c = y] − each · weight, where the image counts."""
        k, zero = self.k, self.k.constant(0.0, self.lanes)
        share, hit, each = (spread(k, v, self.lanes) for v in (share, hit, each))
        if self.block < self.lanes:
            counted = k.splat(counted, self.lanes)

        def one(c: Index, lanes: int, new: Sequence[int] | None, way: int) -> None:
            e = k.load("dx", self._at(c), lanes)
            value = k.sub(k.mul(share, e), k.select(self._hits(c), hit, zero))
            if self.kernel.smoothing:
                value = k.sub(value, k.mul(each, self._weights(c)))
            value = k.select(counted, value, zero)
            if new is not None:  # what was finished before stays
                value = k.shuffle(e, value, [i + lanes * (i in new) for i in range(lanes)])
            k.store(value, "dx", self._at(c))

        self._each(one)


@dataclass(frozen=True)
class Total:
    """The sum of so many numbers: the losses of all images.

    Attributes:
        count: how many, those of images that only fill up the last block (0) included.
    """

    count: int
    dtype: str = "float32"

    arrays = ("x", "z")

    def emit(self, name: str, target: Target) -> Any:
        """One part adds them up, in four vectors."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(1)
        with k.loop(first, after):
            (total,) = sums(k, self.count, 1, 1)

            def one(i: Index, lanes: int, new: Sequence[int] | None, way: int) -> None:
                value = fresh(k, k.load("x", i, lanes), new)
                total[way].set(k.add(total[way].get(), value))

            over(k, self.count, 1, one)
            k.store(summed(k, total, 1), "z")
        return k.finish()
