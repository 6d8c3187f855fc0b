"""Gather: every target cell collects through the turned kernel from a dilated, padded array.

This view is computed by the recipe of the textbooks and not by the form: dilate by S, pad by
(e−1−A, e−1−B+ρ), turn the kernel by 180 degrees, correlate. That both agree is the point.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Array, Form
from rot180.errors import ArgumentError
from rot180.explain.geometry import Patches
from rot180.explain.views.relation import main_step, patches_or_none
from rot180.explain.views.view import View
from rot180.window import Axis

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Step

__all__ = ["Gather", "Slot"]

Cell = tuple[int, ...]

MARKS = {"cell": "", "dilation": "·", "padding": "0", "remainder": "ρ", "unread": "-"}
"""How a slot that is no cell is drawn in text."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place of the array that is correlated.

    Attributes:
        kind: "cell"; "dilation": a zero between cells, from the stride; "padding": a zero around;
            "remainder": a zero of the rows that the stride leaves over, at the end; "unread": a
            cell that no window reaches.
        cell: the spatial index of the cell that stands here, None for a zero.
    """

    kind: str
    cell: Cell | None


class Gather(View):
    """A correlation: slots, a kernel, and the result.

    Attributes:
        source: name of the array whose cells stand in the slots.
        weight: name of the kernel, None for a mean pool.
        slots: one for each place of the dilated and padded array, spatial axes only, as a NumPy
            array of `Slot`.
        cropped: spatial indices of source cells that a negative padding takes away.
        kernel: for each tap in the order of reading, the spatial index of the kernel's cell; as a
            nested NumPy array of tuples (dtype object). For an input gradient it is turned.
        turned: whether it is read from its end.
        axes: the correlation's window for each axis (its padding may be negative: a crop).
        dilate: how far neighbouring cells were moved apart, for each axis.
        windows: for a target's spatial index, `windows(index)` lists (slot, kernel cell) pairs.
    """

    name = "gather"

    def __init__(self, explanation: Explanation, of: str) -> None:
        name = explanation[of].name
        step = main_step(explanation.values[name])
        patches = None if step is None else patches_or_none(step)
        if step is None or patches is None or not isinstance(step.kind, Form):
            raise _no_gather(explanation, name)
        form = step.kind
        self._back = form.output == patches.large.name
        if self._back:
            self._read_for_large(explanation, name, step, patches)
        elif form.output == patches.small.name:
            self._read_for_small(explanation, name, step, patches)
        else:
            raise _no_gather(explanation, name)
        array = self._correlate(step, patches)
        super().__init__(explanation, name, array, step.output.array)

    def _read_for_large(self, e: Explanation, name: str, step: Step, patches: Patches) -> None:
        window = _exact(e, patches)
        large = patches.large.shape[-len(window) :]
        adjoint = [axis.input_gradient(size) for axis, size in zip(window, large, strict=True)]
        self.dilate = tuple(a.dilate for a in adjoint)
        self.axes = tuple(a.window for a in adjoint)
        rests = tuple(axis.remainder(size) for axis, size in zip(window, large, strict=True))
        self._set(step, patches, patches.small.name, not patches.turned, rests)

    def _read_for_small(self, e: Explanation, name: str, step: Step, patches: Patches) -> None:
        self.dilate = (1,) * len(patches.window.axes)
        self.axes = _exact(e, patches)
        self._set(step, patches, patches.large.name, patches.turned, (0,) * len(self.axes))

    def _set(self, step: Step, patches: Patches, source: str, turned: bool, rests: Cell) -> None:
        form = step.kind
        operands = dict(zip((o.name for o in form.inputs), step.inputs, strict=True))  # type: ignore[union-attr]
        self._source = operands[source]
        self._weight = None if patches.kernel is None else operands[patches.kernel.name]
        self.source = self._source.name
        self.weight = None if self._weight is None else self._weight.name
        self.turned = turned
        sizes = self._source.shape[-len(self.axes) :]
        lines = [
            _line(axis, size, dilate, rest)
            for axis, size, dilate, rest in zip(self.axes, sizes, self.dilate, rests, strict=True)
        ]
        self.slots = np.empty(tuple(len(line) for line in lines), object)
        for place in np.ndindex(self.slots.shape):
            self.slots[place] = _slot([line[i] for line, i in zip(lines, place, strict=True)])
        kept = [{cell for _, cell in line if cell is not None} for line in lines]
        self.cropped = [
            cell for cell in itertools.product(*map(range, sizes))
            if any(i not in there for i, there in zip(cell, kept, strict=True))
        ]  # fmt: skip
        taps = tuple(axis.kernel for axis in self.axes)
        self.kernel = np.empty(taps, object)
        for tap in np.ndindex(taps):
            read = tuple(r - 1 - i for i, r in zip(tap, taps, strict=True)) if turned else tap
            self.kernel[tap] = read

    def windows(self, index: Cell) -> list[tuple[Cell, Cell]]:
        """The (place among the slots, spatial index in the kernel) pairs of one target cell."""
        found = []
        for tap in np.ndindex(self.kernel.shape):
            place = tuple(
                axis.stride * i + axis.dilation * r
                for axis, i, r in zip(self.axes, index, tap, strict=True)
            )
            found.append((place, self.kernel[tap]))
        return found

    @property
    def _title(self) -> str:
        if not self._back:
            return "view gather forward"
        if self.weight is None:
            return "view gather pool"
        return "view gather" if self.turned else "view gather plain"

    def _correlate(self, step: Step, patches: Patches) -> Array:
        """Dilate, pad, turn, correlate, with all channels."""
        axes = len(self.axes)
        back = self._back
        source = np.asarray(self._source.array, np.float64)
        divisor = _further(step, patches)  # of a mean pool; it stands beside the small array
        if back:
            source = source * divisor
        padded = np.zeros((*source.shape[:-axes], *self.slots.shape))
        for place in np.ndindex(self.slots.shape):
            cell = self.slots[place].cell
            if cell is not None:
                padded[_behind(place)] = source[_behind(cell)]
        result = np.zeros(step.output.shape)
        weights = None if self._weight is None else np.asarray(self._weight.array, np.float64)
        for tap in np.ndindex(self.kernel.shape):
            cut = tuple(
                slice(axis.dilation * r, axis.dilation * r + axis.stride * (n - 1) + 1, axis.stride)
                for axis, r, n in zip(self.axes, tap, result.shape[-axes:], strict=True)
            )
            seen = padded[_behind(cut)]
            result += (
                seen
                if weights is None
                else _mixed(seen, weights[_behind(self.kernel[tap])], back, patches)
            )
        return result if back else result * divisor

    def text(self) -> str:
        """The slots and the kernel, drawn for one or two axes."""
        write = self.explanation.notation.text
        source, weight = self.explanation.values[self.source], self.weight
        lead = (0,) * (len(source.shape) - len(self.axes))

        def slot(s: Slot) -> str:
            return MARKS[s.kind] or write(self.source, (*lead, *(s.cell or ())))

        lines = _table([[slot(s) for s in row] for row in np.atleast_2d(_flat2(self.slots))])
        if weight is not None:
            value = self.explanation.values[weight]
            front = (0,) * (len(value.shape) - len(self.axes))
            rows = np.atleast_2d(_flat2(self.kernel))
            lines += ["⋆", *_table([[write(weight, (*front, *c)) for c in row] for row in rows])]
        if self.cropped:
            cells = ", ".join(write(self.source, (*lead, *c)) for c in self.cropped)
            lines.append(f"× {cells}")
        return "\n".join(lines)

    def to_dict(self) -> dict[str, Any]:
        """Slots, kernel and window."""
        return {
            **super().to_dict(),
            "source": self.source,
            "weight": self.weight,
            "turned": self.turned,
            "slots": [
                {"kind": s.kind, "cell": None if s.cell is None else list(s.cell)}
                for s in self.slots.ravel()
            ],
            "slots_shape": list(self.slots.shape),
            "kernel": [list(c) for c in self.kernel.ravel()],
            "stride": [axis.stride for axis in self.axes],
            "dilation": [axis.dilation for axis in self.axes],
            "padding": [[axis.before, axis.after] for axis in self.axes],
            "dilate": list(self.dilate),
            "cropped": [list(c) for c in self.cropped],
        }


def _no_gather(e: Explanation, name: str) -> ArgumentError:
    return ArgumentError(
        f"explain: {name} of {e.title} is no correlation over a window",
        expected="the output or the input gradient of a convolution or mean pool",
    )


def _exact(e: Explanation, patches: Patches) -> tuple[Axis, ...]:
    """The window's axes, with the padding that the user gave where it is known."""
    given, read = e.window, patches.window
    if given is not None and len(given.axes) == len(read.axes):
        same = [(a.kernel, a.stride, a.dilation, a.before) for a in given.axes]
        if same == [(a.kernel, a.stride, a.dilation, a.before) for a in read.axes]:
            return given.axes
    return read.axes


def _line(axis: Axis, size: int, dilate: int, rest: int) -> list[tuple[str, int | None]]:
    """One axis of the slots: zeros before, cells with zeros between, zeros after (or a crop)."""
    line: list[tuple[str, int | None]] = []
    for i in range(size):
        line += [("dilation", None)] * (dilate - 1 if i else 0) + [("cell", i)]
    line = line[max(0, -axis.before) :]
    if axis.after < 0:
        line = line[: axis.after]
    before = [("padding", None)] * max(0, axis.before)
    rows = min(rest, max(0, axis.after))
    after = [("padding", None)] * (max(0, axis.after) - rows) + [("remainder", None)] * rows
    line = [*before, *line, *after]
    # What is behind the last window is there, but nothing reads it.
    reach = axis.stride * ((len(line) - axis.effective) // axis.stride) + axis.effective
    return [*line[:reach], *(("unread", cell) for _, cell in line[reach:])]


_ORDER = ("padding", "remainder", "dilation", "unread", "cell")


def _slot(parts: list[tuple[str, int | None]]) -> Slot:
    kind = min((kind for kind, _ in parts), key=_ORDER.index)
    cell = tuple(i for _, i in parts if i is not None)
    return Slot(kind, cell if len(cell) == len(parts) else None)


def _further(step: Step, patches: Patches) -> Array:
    """The product of all further operands: the reciprocal divisors of a mean pool, 1 elsewhere."""
    known = [o and o.name for o in (patches.large, patches.small, patches.kernel)]
    pairs = zip(step.kind.inputs, step.inputs, strict=True)  # type: ignore[union-attr]
    found = np.ones(())
    for operand, value in pairs:
        if operand.name not in known:
            found = found * value.array
    return found


def _mixed(seen: Array, w: Array, back: bool, patches: Patches) -> Array:
    """Channels through one tap of the kernel, group by group; exchanged on the way back."""
    groups = patches.large.shape[1] // w.shape[1]
    n, channels, *spatial = seen.shape
    parts = seen.reshape(n, groups, channels // groups, *spatial)
    kernels = w.reshape(groups, w.shape[0] // groups, w.shape[1])
    mixed = np.einsum("gkc,ngk...->ngc..." if back else "gkc,ngc...->ngk...", kernels, parts)
    result: Array = mixed.reshape(n, -1, *spatial)
    return result


def _behind(index: tuple[Any, ...]) -> Any:
    """The index of the last axes, whatever is in front of them."""
    return (Ellipsis, *index)


def _flat2(grid: Any) -> Any:
    return grid if grid.ndim <= 2 else grid.reshape(-1, grid.shape[-1])


def _table(rows: list[list[str]]) -> list[str]:
    width = max((len(word) for row in rows for word in row), default=1)
    return [" ".join(word.rjust(width) for word in row) for row in rows]
