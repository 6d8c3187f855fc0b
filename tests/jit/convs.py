"""Convolutions for the tests of their kernel families: layouts, and what is true by definition.

A `Conv` is one form with all integers; its planes are laid out as the plan would, with the halo
that each reading needs and dead lanes that hold what they may hold in a step. What is expected
comes from the same form, run in float64.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import numpy as np
from harness import Buffer, blank, given, pack

import rot180  # noqa: F401  (fills in the readers of the kinds)
from rot180.core import Form
from rot180.core.kinds import run as eager
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target
from rot180.jit.planning.convolution import Geometry, geometry, halo
from rot180.ops.conv import _form
from rot180.window import Window

__all__ = ["Conv", "Tails", "error", "images", "weight_buffers"]

Array = np.ndarray[Any, Any]
Sizes = int | tuple[int, ...]


@dataclass(frozen=True)
class Conv:
    """N images, C and K channels in all, and a window; `positive`: x and z hold no minus sign."""

    n: int
    c: int
    k: int
    sizes: tuple[int, ...]
    kernel: Sizes
    stride: Sizes = 1
    padding: Any = 0
    dilation: Sizes = 1
    groups: int = 1
    mode: str = "correlation"
    positive: bool = False

    def __str__(self) -> str:
        size, taps = (
            "x".join(map(str, v)) if isinstance(v, tuple) else v for v in (self.sizes, self.kernel)
        )
        words = [f"{self.n}x{self.c}x{size}", f"{self.k}k{taps}"]
        words += [f"s{self.stride}"] if self.stride != 1 else []
        words += [f"p{self.padding}"] if self.padding else []
        words += [f"d{self.dilation}"] if self.dilation != 1 else []
        words += [f"g{self.groups}"] if self.groups != 1 else []
        return "-".join([*words, *(["turned"] if self.mode == "convolution" else [])])

    @functools.cached_property
    def form(self) -> Form:
        """Read for z."""
        window = Window.of(
            self.kernel, self.stride, self.padding, self.dilation, self.groups, axes=len(self.sizes)
        )
        return _form(
            self.mode, window, self.n, self.c // self.groups, self.k // self.groups, self.sizes
        )

    @property
    def geometry(self) -> Geometry:
        found = geometry(self.form)
        assert found is not None
        return found

    @functools.cached_property
    def arrays(self) -> dict[str, Array]:
        """Float64 numbers for x, w and z that float32 holds, the last one an upstream gradient."""
        rng = np.random.default_rng(1)
        shapes = {o.name: o.shape for o in self.form.operands}
        found = {
            name: rng.standard_normal(shapes[name]).astype(np.float32).astype(np.float64)
            for name in ("x", "w", "z")
        }
        return {
            name: np.abs(a) if self.positive and name != "w" else a for name, a in found.items()
        }

    @functools.lru_cache(maxsize=8)  # noqa: B019  (cases live as long as the tests)
    def expected(self, output: str) -> Array:
        """By definition, in float64."""
        form = self.form.wrt(output)
        return np.asarray(eager(form, *(self.arrays[o.name] for o in form.inputs)))

    def planes(self, name: str, output: str, block: int) -> Planes:
        """Where x or z lies in the reading for `output`."""
        before, after = halo(self.geometry, output).get(name, ((), ()))
        channels, sizes = (self.c, self.sizes) if name == "x" else (self.k, self.geometry.positions)
        return Planes(self.n, channels, sizes, block, before, after)


def images(array: Array, planes: Planes, dead: float, dtype: str, written: bool = False) -> Buffer:
    """An input in planes: zeros in the halo, `dead` in the lanes of images that are not there."""
    flat = pack(array.astype(dtype), planes)
    cells = flat.reshape(planes.blocks, planes.channels, *planes.extents, planes.block)
    inner = tuple(slice(b, b + s) for b, s in zip(planes.before, planes.sizes, strict=True))
    cells[
        (-1, slice(None), *inner, slice(planes.images - (planes.blocks - 1) * planes.block, None))
    ] = dead
    assert blank(planes, dtype).flat.size == flat.size
    return Buffer(flat, planes, written)


def error(made: Array, expected: Array) -> float:
    """The largest error relative to the largest value."""
    worst = float(np.abs(made - expected).max())
    assert np.isfinite(worst), "a cell was not written, or read what it must not"
    return worst / max(1e-30, float(np.abs(expected).max()))


class Tails:
    """Random bias, addend and ReLU result for the cells of z, and what they make of a convolution.

    Args:
        whole: where z lies.
        rng: a generator.
        other: where addend and ReLU result lie.
    """

    def __init__(self, whole: Planes, rng: np.random.Generator, other: Planes) -> None:
        shape = (whole.images, whole.channels, *whole.sizes)
        self.other = other
        self.bias, self.plus, self.mask = (
            rng.standard_normal(s).astype(np.float32) for s in (shape[1:2], shape, shape)
        )
        self.mask[self.mask < 0.2] = 0

    def fields(self, chosen: tuple[str, ...]) -> dict[str, Any]:
        """What the kernel is told."""
        found: dict[str, Any] = {name: True for name in chosen if name in ("bias", "relu")}
        return found | {name: self.other for name in chosen if name in ("plus", "mask")}

    def buffers(self, chosen: tuple[str, ...]) -> dict[str, Buffer]:
        """What the kernel reads."""
        found = {"bias": given(self.bias)} if "bias" in chosen else {}
        for name in ("plus", "mask"):
            if name in chosen:
                found[name] = images(getattr(self, name), self.other, np.nan, "float32")
        return found

    def expected(self, z: Array, chosen: tuple[str, ...]) -> Array:
        """By definition."""
        if "bias" in chosen:
            z = z + self.bias.reshape(-1, *(1,) * (z.ndim - 2))
        if "plus" in chosen:
            z = z + self.plus
        if "relu" in chosen:
            z = np.maximum(z, 0)
        return np.where(self.mask > 0, z, 0) if "mask" in chosen else z


def weight_buffers(conv: Conv, kernel: Any, target: Target) -> dict[str, Buffer]:
    """Of a weight gradient. In dead lanes the gradient is 0, and the values are finite."""
    return {
        "x": images(conv.arrays["x"], kernel.x, 7, kernel.dtype),
        "g": images(conv.arrays["z"], kernel.g, 0, kernel.dtype),
        "dw": blank(conv.arrays["w"].shape, kernel.dtype),
        "sums": blank((kernel.sums(target),), kernel.dtype),
    }
