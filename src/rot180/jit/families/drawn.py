"""Drawn numbers: what a counter and a key make, so that any part can be made by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.emission.access import Access
from rot180.jit.emission.emit import I64, Emitter
from rot180.jit.emission.layout import Layout
from rot180.jit.emission.scalars import store
from rot180.jit.emission.target import Target

__all__ = ["Drawn"]


@dataclass(frozen=True)
class Drawn:
    """z[i] = the upper 24 bits of splitmix64 at key + (i + 1) · γ, divided by 2²⁴; i row-major.

    Attributes:
        shape: of z.
        layout: of z.
        dtype: of the kernel, which is that of z.
    """

    shape: tuple[int, ...]
    layout: Layout
    dtype: str = "float32"

    arrays = ("key", "z")

    def emit(self, name: str, target: Target) -> Any:
        """One loop over the cells; lanes are images, or cells of a row of the last axis."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        key = k.load_as("uint64", "key")
        shape = self.shape or (1,)
        layout = self.layout if self.shape else Layout((1,), (1,), 1, self.layout.origin, 1)
        block = layout.block
        axis = 0 if block > 1 else len(shape) - 1
        lanes = block if block > 1 else min(k.lanes, 1 << (shape[-1].bit_length() - 1 or 0))
        step = math.prod(shape[axis + 1 :])
        rounds = -(-shape[axis] // lanes) if block > 1 else shape[axis] // max(1, lanes)
        self._rounds(k, key, layout, axis, rounds, lanes, step, 0)
        if block == 1 and shape[axis] > rounds * lanes:
            rest = shape[axis] - rounds * lanes
            self._rounds(k, key, layout, axis, rest, 1, step, rounds * lanes)
        return k.finish()

    def _rounds(
        self, k: Emitter, key: Any, layout: Layout, axis: int, rounds: int, lanes: int, step: int,
        start: int,
    ) -> None:  # fmt: skip
        shape = layout.shape
        sizes = [rounds if a == axis else size for a, size in enumerate(shape)]
        if not math.prod(sizes):
            return
        first, after = k.share(math.prod(sizes))
        with k.loop(first, after) as unit:
            cell = k.unravel(unit, sizes)
            i, terms = list[Any](), list[Any]([layout.origin])
            for a, (at, stride) in enumerate(zip(cell, layout.strides, strict=True)):
                number = k.at((at, lanes), start) if a == axis else at
                i.append((number, math.prod(shape[a + 1 :])))
                terms.append((at if a == axis and layout.block > 1 else number, stride))
            counter = k.splat(k.index(k.at(1, *i)), lanes)
            if lanes > 1:
                apart = ir.Constant(ir.VectorType(I64, lanes), [n * step for n in range(lanes)])
                counter = k.builder.add(counter, apart)
            value = _uniform(k, k.splat(key, lanes), counter, lanes)
            store(k, value, Access("z", self.dtype, ()), k.at(*terms), 1)


def _uniform(k: Emitter, key: Any, counter: Any, lanes: int) -> Any:
    b = k.builder

    def number(value: int) -> Any:
        signed = value - (1 << 64) if value >= 1 << 63 else value
        return k.whole(signed, lanes, 64)

    z = b.add(key, b.mul(counter, number(0x9E3779B97F4A7C15)))
    z = b.mul(b.xor(z, b.lshr(z, number(30))), number(0xBF58476D1CE4E5B9))
    z = b.mul(b.xor(z, b.lshr(z, number(27))), number(0x94D049BB133111EB))
    z = b.xor(z, b.lshr(z, number(31)))
    top = k.narrow(b.lshr(z, number(40)), 32)
    return k.mul(b.sitofp(top, k.vector(lanes)), k.constant(2.0**-24, lanes))
