"""Softmax and cross-entropy with class indices, and the gradient at the logits, in one pass.

    counted = the images whose target is not ignore_index;  share = 1 / counted ("mean") or 1
    for blocks of images:
        m = max_c x;  lse = m + ln Σ_c e^(x − m);  t = (1 − ε) · e(y) + ε / C
        loss += lse − Σ_c t_c · x_c
        g_c = (e^(x − lse) − t_c) · share, and 0 where the image is not counted

Lanes are images. Images that fill up the last block have a target that is ignored, so their
gradient is 0: that is why no sum over images behind this one has to know of them. There is little
to do, so one part does it all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emit import Emitter, Index
from rot180.jit.functions import FUNCTIONS
from rot180.jit.layout import Planes
from rot180.jit.target import Target

__all__ = ["CrossEntropy"]


@dataclass(frozen=True)
class CrossEntropy:
    """The loss of a batch, and its gradient.

    Attributes:
        x, g: where the logits (N, C) and their gradient lie; None: no gradient is wanted.
        ignore_index: targets that count nowhere.
        smoothing: ε.
        mean: divide by the number of counted images.
        target_dtype: type of y.
    """

    x: Planes
    g: Planes | None
    ignore_index: int = -100
    smoothing: float = 0.0
    mean: bool = True
    target_dtype: str = "int64"
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays; "targets" are `x.blocks · x.block` int64 of scratch."""
        return ("x", "y", "loss", *(("g",) if self.g else ()), "targets")

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        lanes, x = self.x.block, self.x
        with k.all_of([(k.part, "==", 0)]):
            counted = self._targets(k)
            one = k.constant(1.0, 1)
            share = k.div(one, counted) if self.mean else one
            total = k.variable(k.constant(0.0, lanes))
            with k.loop(0, x.blocks) as block:
                self._block(k, block, share, total)
            value = total.get() if lanes == 1 else k.total(total.get())
            k.store(k.mul(value, share), "loss", 0)
        return k.finish()

    def _targets(self, k: Emitter) -> Any:
        """Copy the targets, the ignored ones of the last block behind them; how many count."""
        b, x = k.builder, self.x
        counted = k.variable(k.index(0))
        with k.loop(0, x.images) as n:
            y = k.load_as(self.target_dtype, "y", n)
            y = k.whole_number(y, self.target_dtype)
            k.store_as("int64", y, "targets", n)
            counts = b.icmp_signed("!=", y, k.index(self.ignore_index))
            counted.set(b.add(counted.get(), b.zext(counts, y.type)))
        with k.loop(x.images, x.blocks * x.block) as n:
            k.store_as("int64", k.index(self.ignore_index), "targets", n)
        return b.sitofp(counted.get(), k.float)

    def _block(self, k: Emitter, block: Index, share: Any, total: Any) -> None:
        b, x, lanes = k.builder, self.x, self.x.block
        start = k.at((block, x.stack))
        classes = x.channels
        y = k.load_as("int64", "targets", k.at((block, x.block)), lanes)
        ignored = k.whole(self.ignore_index, lanes, 64)
        counts = b.icmp_signed("!=", y, ignored)
        zero = k.constant(0.0, lanes)
        largest = k.variable(k.load("x", start, lanes))
        with k.loop(1, classes) as c:
            value = k.load("x", k.at(start, (c, x.plane)), lanes)
            larger = b.fcmp_unordered(">", value, largest.get())
            largest.set(b.select(larger, value, largest.get()))
        size = k.intrinsic("fabs", largest.get())
        bounded = b.fcmp_ordered("<", size, k.constant(np.inf, lanes))
        finite = b.select(bounded, largest.get(), zero)
        powers, aimed = k.variable(zero), k.variable(zero)
        with k.loop(0, classes) as c:
            value = k.load("x", k.at(start, (c, x.plane)), lanes)
            powers.set(k.add(powers.get(), FUNCTIONS["exp"](k, k.sub(value, finite))))
            if self.smoothing:
                aimed.set(k.fma(self._target(k, y, c, lanes), value, aimed.get()))
            else:  # 0 · (−∞) must not become NaN
                aimed.set(b.select(self._hit(k, y, c, lanes), value, aimed.get()))
        lse = k.add(finite, FUNCTIONS["log"](k, powers.get()))
        loss = b.select(counts, k.sub(lse, aimed.get()), zero)
        total.set(k.add(total.get(), loss))
        if self.g is None:
            return
        factor = b.select(counts, k.splat(share, lanes), zero)
        with k.loop(0, classes) as c:
            value = k.load("x", k.at(start, (c, x.plane)), lanes)
            p = FUNCTIONS["exp"](k, k.sub(value, lse))
            g = b.select(counts, k.mul(k.sub(p, self._target(k, y, c, lanes)), factor), zero)
            k.store(g, "g", k.at((block, self.g.stack), (c, self.g.plane)))

    def _target(self, k: Emitter, y: Any, c: Index, lanes: int) -> Any:
        """t_c of every image."""
        rest = self.smoothing / self.x.channels
        here = k.constant(1.0 - self.smoothing + rest, lanes)
        return k.builder.select(self._hit(k, y, c, lanes), here, k.constant(rest, lanes))

    def _hit(self, k: Emitter, y: Any, c: Index, lanes: int) -> Any:
        return k.builder.icmp_signed("==", y, k.splat(k.index(c), lanes))
