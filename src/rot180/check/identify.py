"""`identify`: which convention made these arrays? The relation h = S·p + D·r − A, solved for it.

For one image and one filter every tap has a plane Σ_c w[c, r]·x[c, ·], the same for all strides,
dilations and paddings; a convention only says which cells of the planes are added up. So thousands
of conventions are tried on a few cells, and those that fit are computed in full by the engine.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.check.convention import Convention, Identification
from rot180.check.noise import require_finite, spacing
from rot180.check.subject import as_array
from rot180.core import Array
from rot180.errors import ArgumentError, ShapeError
from rot180.ops import conv, conv_input_grad
from rot180.window import Axis, resolve_padding

__all__ = ["identify"]

_DATA = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC", "HWCN"), 3: ("NCDHW", "NDHWC")}
_WEIGHTS = {
    1: ("OIW", "WIO", "IOW", "WOI", "OWI"),
    2: ("OIHW", "HWIO", "IOHW", "HWOI", "OHWI"),
    3: ("OIDHW", "DHWIO", "IODHW", "DHWOI", "ODHWI"),
}
_STRIDES, _DILATIONS = 5, 3
_CELLS = 8


def identify(
    x: Any, w: Any, y: Any = None, *, g: Any = None, dx: Any = None, seed: int = 0
) -> Identification:
    """Find the convention behind arrays: which convolution of x with w gives y?

    Args:
        x: input; where `g` and `dx` are given only its shape counts.
        w: kernel.
        y: output.
        g: upstream gradient, instead of y.
        dx: the input gradient that belongs to it.
        seed: of the cells that are looked at first.

    Returns:
        An `Identification`: correlation or convolution, stride, dilation, padding and the rule that
        gives it, groups, layouts of data and weights; false where nothing fits.

    Raises:
        ShapeError: arrays that cannot be those of a convolution.
        NumericsError: NaN or infinity.

    >>> x, w = np.arange(49.0).reshape(1, 1, 7, 7) ** 2, np.arange(1.0, 7).reshape(1, 1, 2, 3)
    >>> print(identify(x, w, rt.ops.conv2d(x, w, stride=2, padding="full").data))
    correlation, stride 2x2, padding 1+1, 2+2 (full), data NCHW, weights OIHW
    """
    if (y is None) == (g is None or dx is None):
        raise ArgumentError("identify: give y, or g and dx")
    arrays = {"x": as_array(x), "w": as_array(w)}
    arrays |= {"y": as_array(y)} if y is not None else {"g": as_array(g), "dx": as_array(dx)}
    for name, array in arrays.items():
        require_finite("identify", name, array)
    rank = arrays["w"].ndim - 2
    out = arrays["y" if y is not None else "g"]
    if rank not in _DATA or arrays["x"].ndim != rank + 2 or out.ndim != rank + 2:
        raise ShapeError(
            "identify: number of axes",
            expected="x, w and y with 3, 4 or 5 axes each",
            got=", ".join(f"{name} {a.shape}" for name, a in arrays.items()),
        )
    if dx is not None and arrays["dx"].shape != arrays["x"].shape:
        raise ShapeError(
            "identify: shape of dx", expected=str(arrays["x"].shape), got=str(arrays["dx"].shape)
        )
    epsilon = spacing(*arrays.values())
    wide = {name: a.astype(np.float64) for name, a in arrays.items()}
    search = _Search(rank, wide, epsilon, np.random.default_rng(seed))
    found = sorted(search.run(), key=_plainness)
    return Identification(tuple(found), search.tried)


def _plainness(c: Convention) -> tuple[Any, ...]:
    rank = len(c.stride)
    return (
        bool(c.bias), c.data_layout != _DATA[rank][0], _WEIGHTS[rank].index(c.weight_layout),
        c.groups, c.mode.startswith("flipped"), c.mode != "correlation", sum(c.dilation),
        sum(c.stride), not c.rule, sum(sum(pair) for pair in c.padding),
    )  # fmt: skip


@dataclass
class _Plain:
    """Arrays as (N, C, spatial...) and (K, C / groups, taps...)."""

    x: Array
    w: Array
    out: Array
    dx: Array | None
    groups: int
    layouts: tuple[str, str]


Option = tuple[int, int, int]
"""Stride, dilation, padding before."""


class _Search:
    def __init__(
        self, rank: int, arrays: Mapping[str, Array], epsilon: float, rng: np.random.Generator
    ) -> None:
        self.rank, self.arrays, self.epsilon, self.rng = rank, arrays, epsilon, rng
        self.tried = 0

    def run(self) -> Iterator[Convention]:
        for plain in self._layouts():
            yield from self._windows(plain)

    def _layouts(self) -> Iterator[_Plain]:
        """Every reading of the axes that fits the shapes."""
        out_name = "y" if "y" in self.arrays else "g"
        seen: list[tuple[Array, Array]] = []
        for data, weights in itertools.product(_DATA[self.rank], _WEIGHTS[self.rank]):
            x, out = (_ordered(self.arrays[n], data, _DATA[self.rank][0]) for n in ("x", out_name))
            w = _ordered(self.arrays["w"], weights, _WEIGHTS[self.rank][0])
            if x.shape[0] != out.shape[0] or w.shape[0] != out.shape[1] or x.shape[1] % w.shape[1]:
                continue
            groups = x.shape[1] // w.shape[1]
            if w.shape[0] % groups:
                continue
            if any(np.array_equal(x, a) and np.array_equal(w, b) for a, b in seen):
                continue  # an axis of one cell may be anywhere
            seen.append((x, w))
            dx = self.arrays.get("dx")
            moved = None if dx is None else _ordered(dx, data, _DATA[self.rank][0])
            yield _Plain(x, w, out, moved, groups, (data, weights))

    def _options(self, size: int, taps: int, outputs: int) -> list[Option]:
        """Strides, dilations and paddings with which an axis has this output size."""
        found = []
        for stride in range(1, _STRIDES + 1):
            if outputs == 1 and stride > 1:
                break
            for dilation in range(1, _DILATIONS + 1 if taps > 1 else 2):
                e = dilation * (taps - 1) + 1
                need = (outputs - 1) * stride + e - size  # A + B, when nothing is left over
                for before in range(e + 1):
                    after = need - before
                    # a padding after that is negative is a remainder, of less than a stride
                    if after > e or after <= -stride:
                        continue
                    found.append((stride, dilation, before))
        return found

    def _windows(self, p: _Plain) -> Iterator[Convention]:
        sizes = zip(p.x.shape[2:], p.w.shape[2:], p.out.shape[2:], strict=True)
        axes = [self._options(*size) for size in sizes]
        planes, known = self._planes(p)
        cells = self._cells(known)
        scale = float(np.abs(planes).sum(tuple(range(self.rank))).max(initial=0)) or 1.0
        # The same stride and dilation along all axes first: other windows are rare, and many.
        plain = list(itertools.product(*axes))
        alike = [o for o in plain if len({(stride, gaps) for stride, gaps, _ in o}) == 1]
        found = list(self._fitting(p, alike, planes, known, cells, scale))
        rest = [o for o in plain if len({(stride, gaps) for stride, gaps, _ in o}) > 1]
        yield from found or self._fitting(p, rest, planes, known, cells, scale)

    def _fitting(
        self, p: _Plain, choices: list[tuple[Option, ...]], planes: Array, known: Array,
        cells: list[Array], scale: float,
    ) -> Iterator[Convention]:  # fmt: skip
        backward = p.dx is not None
        for flip in itertools.product((False, True), repeat=self.rank):
            where = tuple(i for i, turned in enumerate(flip) if turned)
            turned = np.flip(planes, where)
            for options in choices:
                self.tried += 1
                rest = self._rest(turned, known, cells, options, backward)
                off = np.abs(rest - (0 if backward else rest.mean()))
                if float(off.max()) <= 1e4 * self.epsilon * scale:
                    yield from self._confirmed(p, where, options)

    def _planes(self, p: _Plain) -> tuple[Array, Array]:
        """For one image and one result channel: a plane for every tap, and the known result."""
        w, k = p.w, p.w.shape[0] // p.groups
        if p.dx is None:
            x = p.x[0, : w.shape[1]]
            return np.tensordot(np.moveaxis(w[0], 0, -1), x, 1), p.out[0, 0]
        g = p.out[0, :k]
        return np.tensordot(np.moveaxis(w[:k, 0], 0, -1), g, 1), p.dx[0, 0]

    def _cells(self, known: Array) -> list[Array]:
        """A few cells of the result: its corners, and random ones."""
        corners = list(itertools.product(*((0, size - 1) for size in known.shape)))
        random = [
            tuple(int(self.rng.integers(size)) for size in known.shape) for _ in range(_CELLS)
        ]
        return [np.array(axis) for axis in zip(*corners, *random, strict=True)]

    def _rest(
        self, planes: Array, known: Array, cells: list[Array], options: tuple[Option, ...],
        backward: bool,
    ) -> Array:  # fmt: skip
        """Known result − what a convention gives, in the chosen cells."""
        index: list[Array] = []
        inside: Array = np.ones((len(cells[0]), *planes.shape[: self.rank]), bool)
        for i, (stride, dilation, before) in enumerate(options):
            taps = np.arange(planes.shape[i])
            place = cells[i][:, None]
            if backward:  # h is known: p = (h + A − D·r) / S
                at, left = np.divmod(place + before - dilation * taps, stride)
                valid = (left == 0) & (at >= 0) & (at < planes.shape[self.rank + i])
            else:
                at = stride * place + dilation * taps - before
                valid = (at >= 0) & (at < planes.shape[self.rank + i])
            shape = [len(place), *(1,) * self.rank]
            shape[1 + i] = len(taps)
            index.append(np.where(valid, at, 0).reshape(shape))
            inside = inside & valid.reshape(shape)
        tap_index = np.ix_(*(np.arange(n) for n in planes.shape[: self.rank]))
        at_taps = tuple(t[None] for t in tap_index)
        values = planes[at_taps + tuple(index)]
        total = np.where(inside, values, 0).sum(tuple(range(1, self.rank + 1)))
        return np.asarray(known[tuple(cells)] - total)

    def _confirmed(
        self, p: _Plain, where: tuple[int, ...], options: tuple[Option, ...]
    ) -> Iterator[Convention]:
        w = np.ascontiguousarray(np.flip(p.w, tuple(axis + 2 for axis in where)))
        stride = tuple(o[0] for o in options)
        dilation = tuple(o[1] for o in options)
        padding = tuple(
            (a, _after(size, taps, outputs, s, d, a))
            for (s, d, a), size, taps, outputs in zip(
                options, p.x.shape[2:], p.w.shape[2:], p.out.shape[2:], strict=True
            )
        )
        size = (
            np.abs(p.x).max() * np.abs(w).reshape(len(w), -1).sum(1).max()
            if p.dx is None
            else (np.abs(p.out).max() * np.abs(w).sum())
        )
        tolerance = 64 * self.epsilon * float(size)
        bias: tuple[float, ...] = ()
        if p.dx is None:
            made = conv(p.x, w, None, stride, padding, dilation, p.groups).data
            rest = p.out - made
            shift = rest.mean((0, *range(2, rest.ndim)), keepdims=True)
            if float(np.abs(rest).max()) > tolerance:
                rest = rest - shift
                bias = tuple(float(b) for b in shift.reshape(-1))
                if p.out[0, 0].size * p.out.shape[0] == 1:
                    return
        else:
            made = conv_input_grad(p.x.shape, w, p.out, stride, padding, dilation, p.groups).data
            rest = p.dx - made
        if float(np.abs(rest).max()) <= tolerance + 64 * self.epsilon * max(
            map(abs, bias), default=0
        ):
            mode = _mode(where, self.rank)
            rule = _rules(padding, p, stride, dilation)
            yield Convention(
                mode, stride, dilation, padding, p.groups, p.layouts[0], p.layouts[1], rule, bias
            )


def _ordered(array: Array, given: str, wanted: str) -> Array:
    """The array with its axes in the order of another word: HWIO as OIHW."""
    return np.ascontiguousarray(array.transpose([given.index(letter) for letter in wanted]))


def _after(size: int, taps: int, outputs: int, stride: int, dilation: int, before: int) -> int:
    """The smallest padding after that gives so many outputs and leaves what a symmetric one does.

    Cells that the stride leaves over cannot be seen in the arrays, so the padding before is taken
    for the padding after, too, where that gives the same number of outputs.
    """
    e = dilation * (taps - 1) + 1
    least = (outputs - 1) * stride + e - size - before
    if least <= before < least + stride:
        return before
    return max(least, 0) if max(least, 0) < least + stride else least


def _mode(where: tuple[int, ...], rank: int) -> str:
    if not where:
        return "correlation"
    return "convolution" if len(where) == rank else f"flipped along axes {where}"


def _rules(
    padding: tuple[tuple[int, int], ...], p: _Plain, stride: tuple[int, ...],
    dilation: tuple[int, ...],
) -> tuple[str, ...]:  # fmt: skip
    """The words that make the same cells meet: the same padding before, the same output size."""
    sizes, taps = p.x.shape[2:], p.w.shape[2:]
    words = []
    for word in ("valid", "same", "full", "same_upper", "same_lower"):
        if word == "same" and max(stride) > 1:
            continue
        pairs = resolve_padding(word, taps, stride, dilation, sizes)
        if all(
            a == c and _outputs(size, t, s, d, (a, b)) == _outputs(size, t, s, d, (c, e))
            for (a, b), (c, e), size, t, s, d in zip(
                pairs, padding, sizes, taps, stride, dilation, strict=True
            )
        ):
            words.append(word)
    if all(a == b > 0 for a, b in padding) and len({a for a, _ in padding}) == 1:
        words.append("symmetric")
    return tuple(words)


def _outputs(size: int, taps: int, stride: int, dilation: int, pair: tuple[int, int]) -> int:
    axis = Axis(taps, stride, dilation, *pair)
    room = size + axis.before + axis.after - axis.effective
    return room // stride + 1
