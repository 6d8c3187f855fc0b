"""Reading: how a backward pass reads h = S·p + D·r − A for its unknown, right or wrong, as data.

The right backward pass of a convolution is its form, read for another operand. A wrong one is a
form, too, whose index maps differ: a kernel that was not turned is read from its other end, a
gradient that was not dilated has S = 1, a padding that was not cropped has A = 0. So a mistake is
a change of a few fields of a `Reading`, and the engine computes what it leads to.

>>> right = Reading(1, 1, 1, 1, sizes=(4,), outputs=(3,), taps=(2,), stride=(1,), dilation=(1,),
...                 before=(0,))
>>> print(right.form("x"))
x[n, c, p0 + r0] = Σ_{k} w[k, c, r0] · z[n, k, p0]
>>> print(right.changed(kernel=((0, True),)).form("x"))
x[n, c, p0 + r0] = Σ_{k} w[k, c, -r0 + 1] · z[n, k, p0]
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rot180.core import Affine, Array, Form, Operand, run

__all__ = ["Axes", "Reading", "fixed", "renamed"]

Sizes = tuple[int, ...]
Axes = tuple[tuple[int, bool], ...]
"""For each axis of an array: which loop walks it, and whether from its end."""


@dataclass(frozen=True)
class Reading:
    """A convolution's form with every choice a backward pass can get wrong.

    Attributes:
        batch: N.
        groups: how many parts the channels are cut into.
        channels: input channels of one group.
        filters: output channels of one group.
        sizes: spatial sizes of x.
        outputs: spatial sizes of z.
        taps: R per axis.
        stride: S per axis.
        dilation: D per axis.
        before: A per axis.
        kernel: how the kernel's axes are walked; () means as they are.
        upstream: how z's axes are walked; () means as they are.
        repeat: z is repeated S times along each axis, instead of dilated.
        exchanged: the kernel is taken for (C, K / groups, taps...).
        interleaved: channel i belongs to group i mod groups, instead of to a block.
        ones: this operand is replaced by ones.
        cut: cells at the end of x that are left out.
        only: (loop, index) pairs: of these loops a single point counts.
        keep: loops of the sum that stay as leading axes of the result.
        extent: spatial sizes of the result as this backward pass makes it; () means the right ones.
        overwrite: windows overwrite each other in the result, instead of adding up.
    """

    batch: int
    groups: int
    channels: int
    filters: int
    sizes: Sizes
    outputs: Sizes
    taps: Sizes
    stride: Sizes
    dilation: Sizes
    before: Sizes
    kernel: Axes = ()
    upstream: Axes = ()
    repeat: bool = False
    exchanged: bool = False
    interleaved: bool = False
    ones: str = ""
    cut: Sizes = ()
    only: tuple[tuple[str, int], ...] = ()
    keep: tuple[str, ...] = ()
    extent: Sizes = ()
    overwrite: bool = False

    def changed(self, **fields: Any) -> Reading:
        """The same reading with some fields changed."""
        return replace(self, **fields)

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.sizes)

    @property
    def effective(self) -> Sizes:
        """The effective kernel D·(R − 1) + 1 per axis."""
        return tuple(d * (r - 1) + 1 for d, r in zip(self.dilation, self.taps, strict=True))

    def shape(self, role: str) -> Sizes:
        """The right shape of an operand."""
        return {
            "x": (self.batch, self.groups * self.channels, *self.sizes),
            "w": (self.groups * self.filters, self.channels, *self.taps),
            "z": (self.batch, self.groups * self.filters, *self.outputs),
        }[role]

    def natural(self, role: str) -> Sizes:
        """The shape that this backward pass gives its result."""
        outer, inner = self.shape(role)[:2]
        if role == "w" and self.exchanged:
            outer, inner = self.groups * self.channels, self.filters
        own = self.extent or self.shape(role)[2:]
        return (*(self._extents(role)[loop] for loop in self.keep), outer, inner, *own)

    def _extents(self, role: str) -> dict[str, int]:
        taps = self.extent if role == "w" and self.extent else self.taps
        loops = {"n": self.batch, "j": self.groups, "c": self.channels, "k": self.filters}
        loops |= {f"p{i}": size for i, size in enumerate(self.outputs)}
        loops |= {f"r{i}": size for i, size in enumerate(taps)}
        if self.repeat:
            loops |= {f"t{i}": step for i, step in enumerate(self.stride)}
        return loops

    def form(self, role: str, natural: bool = False) -> Form:
        """The form, read for an operand; `natural`: with the result's own shape."""
        extents = self._extents(role if natural else "")
        shapes = {name: self.shape(name) for name in "xwz"}
        if self.exchanged:
            shapes["w"] = (self.groups * self.channels, self.filters, *self.taps)
        if natural:
            shapes[role] = self.natural(role)[len(self.keep) :]
        if self.cut:
            kept = tuple(size - cut for size, cut in zip(self.sizes, self.cut, strict=True))
            shapes["x"] = (*shapes["x"][:2], *kept)
        axes = {"x": self._x(), "w": self._w(), "z": self._z()}
        axes[role] = (*(_loop(loop) for loop in self.keep), *axes[role])
        shapes[role] = (*(extents[loop] for loop in self.keep), *shapes[role])
        operands = tuple(Operand(name, axes[name], shapes[name]) for name in "xwz")
        used = {loop for o in operands for loop in o.loops}
        loops = tuple((loop, size) for loop, size in extents.items() if loop in used)
        return fixed(Form("conv", operands, loops, role), dict(self.only))

    def _channel(self, inner: str, count: int) -> Affine:
        if self.groups == 1:
            return _loop(inner)
        if self.interleaved:
            return Affine((("j", 1), (inner, self.groups)))
        return Affine((("j", count), (inner, 1)))

    def _x(self) -> tuple[Affine, ...]:
        spatial = []
        for i, (s, d, a) in enumerate(zip(self.stride, self.dilation, self.before, strict=True)):
            terms = [(f"p{i}", s), (f"r{i}", d)]
            spatial.append(Affine((*terms, *([(f"t{i}", 1)] if self.repeat else [])), -a))
        return (_loop("n"), self._channel("c", self.channels), *spatial)

    def _w(self) -> tuple[Affine, ...]:
        walked = tuple(
            Affine(((f"r{axis}", -1),), self.taps[axis] - 1) if turned else _loop(f"r{axis}")
            for axis, turned in self.kernel or _plain(self.rank)
        )
        plain = replace(self, interleaved=False)
        if self.exchanged:
            return (plain._channel("c", self.channels), _loop("k"), *walked)
        return (plain._channel("k", self.filters), _loop("c"), *walked)

    def _z(self) -> tuple[Affine, ...]:
        walked = tuple(
            Affine(((f"p{axis}", -1),), self.outputs[axis] - 1) if turned else _loop(f"p{axis}")
            for axis, turned in self.upstream or _plain(self.rank)
        )
        return (_loop("n"), replace(self, interleaved=False)._channel("k", self.filters), *walked)

    def operand(self, role: str, array: Array) -> Array:
        """An operand as this backward pass takes it."""
        if self.ones == role:
            array = np.ones_like(array)
        if role == "w" and self.exchanged:
            return array.reshape(self.groups * self.channels, self.filters, *self.taps)
        if role == "x" and self.cut:
            inside = [slice(size - cut) for size, cut in zip(self.sizes, self.cut, strict=True)]
            return np.asarray(array[_last(inside)])
        return array

    def compute(
        self,
        role: str,
        arrays: Mapping[str, Array],
        shape: Sizes,
        point: Mapping[str, int] | None = None,
    ) -> Array | None:
        """What this backward pass makes of the arrays, or None where it has not this shape.

        Args:
            role: the unknown: "x", "w" or "z".
            arrays: the other two operands.
            shape: the shape that came; the right one is filled up with zeros or cut at the end.
            point: loops held at one index, to see a part of the result only.
        """
        natural = self.natural(role)
        if shape not in (natural, self.shape(role)):
            return None
        own = shape == natural
        if self.keep and not own:
            return None
        form = fixed(self.form(role, own), point or {})
        given = [self.operand(o.name, arrays[o.name]) for o in form.inputs]
        given = [_at(o.axes, a) for o, a in zip(form.inputs, given, strict=True)]
        form = _dropped(form)
        out = self._overwritten(form, given) if self.overwrite else run(form, *given)
        return np.asarray(out if own else self._fitted(out))

    def place(self, role: str, point: Mapping[str, int]) -> tuple[int, int]:
        """The first two indices of the result's part that belongs to a point."""
        first, second = fixed(self.form(role), point).result.axes[:2]
        return first.constant, second.constant

    def _fitted(self, out: Array) -> Array:
        """Cells beyond the extent are zero: this backward pass has nothing there."""
        if not self.extent or all(
            a >= b for a, b in zip(self.extent, out.shape[-self.rank :], strict=True)
        ):
            return out
        filled = np.zeros_like(out)
        inside = [slice(max(0, size)) for size in self.extent]
        filled[_last(inside)] = out[_last(inside)]
        return filled

    def _overwritten(self, form: Form, given: list[Array]) -> Array:
        """Patches of all taps and positions, written in the order of the positions.

        The last window that covers a cell is the one with its smallest tap, so taps are written
        from the last to the first.
        """
        out, loops = form.result, form.extents
        ranges = [f"{kind}{i}" for kind in "rp" for i in range(self.rank)]
        lead = out.axes[: -self.rank]
        axes = (*lead, *map(_loop, ranges))
        shape = (*out.shape[: -self.rank], *(loops[name] for name in ranges))
        patches = Operand("y", axes, shape)
        others = form.inputs
        made = run(Form("patches", (*others, patches), form.loops, "y"), *given)
        result = np.zeros(out.shape, made.dtype)
        for tap in itertools.product(*(reversed(range(loops[f"r{i}"])) for i in range(self.rank))):
            cells, positions = [], []
            for i, r in enumerate(tap):
                h = np.arange(loops[f"p{i}"]) * self.stride[i] + r * self.dilation[i]
                h -= self.before[i]
                inside = np.flatnonzero((h >= 0) & (h < out.shape[i - self.rank]))
                cells.append(h[inside])
                positions.append(inside)
            if all(map(len, cells)):
                front = (slice(None),) * len(lead)
                at, place = np.ix_(*positions), np.ix_(*cells)
                result[_last(place)] = made[front + tap][_last(at)]
        return result


def _last(index: Iterable[Any]) -> tuple[Any, ...]:
    """An index of the last axes."""
    return (Ellipsis, *index)


def _plain(rank: int) -> Axes:
    return tuple((i, False) for i in range(rank))


def _loop(name: str) -> Affine:
    return Affine(((name, 1),))


def fixed(form: Form, point: Mapping[str, int]) -> Form:
    """The form with some loops held at one index: the part of it that belongs to a point."""
    if not point:
        return form
    operands = tuple(
        Operand(o.name, tuple(_hold(axis, point) for axis in o.axes), o.shape)
        for o in form.operands
    )
    loops = tuple((loop, size) for loop, size in form.loops if loop not in point)
    return Form(form.name, operands, loops, form.output)


def _hold(axis: Affine, point: Mapping[str, int]) -> Affine:
    held = sum(c * point[loop] for loop, c in axis.terms if loop in point)
    return Affine(tuple((n, c) for n, c in axis.terms if n not in point), axis.constant + held)


def _at(axes: tuple[Affine, ...], array: Array) -> Array:
    """The array with the axes that stand at one index cut down to that cell."""
    index = (
        slice(None) if axis.terms else slice(axis.constant, axis.constant + 1) for axis in axes
    )
    return array[tuple(index)]


def _dropped(form: Form) -> Form:
    """The form for operands that were cut by `_at`, the result to its single cells, too."""
    operands = tuple(
        Operand(
            o.name,
            tuple(axis if axis.terms else Affine(()) for axis in o.axes),
            tuple(n if axis.terms else 1 for axis, n in zip(o.axes, o.shape, strict=True)),
        )
        for o in form.operands
    )
    return Form(form.name, operands, form.loops, form.output)


def renamed(form: Form, names: Mapping[str, str]) -> Form:
    """The same form with other names for its operands, to be printed."""
    operands = tuple(Operand(names.get(o.name, o.name), o.axes, o.shape) for o in form.operands)
    return Form(form.name, operands, form.loops, names.get(form.output, form.output))
