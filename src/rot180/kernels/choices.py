"""Selects by NumPy: make a choice, take the chosen cells, give values back to them.

`take` and `give` of a choice are adjoint to each other: ⟨take(x), g⟩ = ⟨x, give(g)⟩. For windows
they stand side by side as two loops over the taps, because a tap is the same slice in every window.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from rot180.core import Along, Array, Cells, Choice, Give, Rows, Select, Take, Windows, run
from rot180.kernels.masks import keep
from rot180.kernels.strided import empty_in_order
from rot180.window import Axis

__all__ = ["choose", "give", "take"]

Slices = tuple[slice, ...]


@functools.singledispatch
def choose(choice: Choice, x: Array, largest: bool) -> tuple[Array, Array]:
    """The largest (or smallest) cells, and the record of which they are. NaN wins."""
    raise NotImplementedError(f"{type(choice).__name__} is chosen by index, not by value")


@functools.singledispatch
def take(choice: Choice, x: Array, record: Array) -> Array:
    """Read the chosen cells."""
    raise NotImplementedError(type(choice).__name__)


@functools.singledispatch
def give(choice: Choice, g: Array, record: Array) -> Array:
    """Add each value into the cell it was taken from."""
    raise NotImplementedError(type(choice).__name__)


@run.register
def _(kind: Select, x: Array) -> tuple[Array, Array]:
    return choose(kind.choice, x, kind.largest)


@run.register
def _(kind: Take, x: Array, record: Array) -> Array:
    return take(kind.choice, x, record)


@run.register
def _(kind: Give, g: Array, record: Array) -> Array:
    return give(kind.choice, g, record)


# Cells and rows: chosen by index


@take.register
def _(choice: Cells, x: Array, record: Array) -> Array:
    return x.reshape(-1)[record]


@give.register
def _(choice: Cells, g: Array, record: Array) -> Array:
    out = np.zeros(int(np.prod(choice.shape)), g.dtype)
    np.add.at(out, record.reshape(-1), g.reshape(-1))
    return out.reshape(choice.shape)


@take.register
def _(choice: Rows, x: Array, record: Array) -> Array:
    return np.take(x, record, axis=choice.axis)


@give.register
def _(choice: Rows, g: Array, record: Array) -> Array:
    out = np.zeros(choice.shape, g.dtype)
    places = range(choice.axis, choice.axis + record.ndim)
    rows = np.moveaxis(g, places, range(record.ndim))
    np.add.at(np.moveaxis(out, choice.axis, 0), record, rows)
    return out


# Along an axis


@choose.register
def _(choice: Along, x: Array, largest: bool) -> tuple[Array, Array]:
    pick = np.argmax if largest else np.argmin
    winner = np.expand_dims(pick(x, axis=choice.axis), choice.axis)
    values = np.take_along_axis(x, winner, choice.axis)
    if choice.ties == "first":
        return values, winner
    tied = (x == values) | ((x != x) & (values != values))
    share = tied.astype(x.dtype)
    if choice.ties == "split":
        share /= share.sum(axis=choice.axis, keepdims=True)
    return values, share


@take.register
def _(choice: Along, x: Array, record: Array) -> Array:
    if choice.ties != "first":
        return np.asarray(np.sum(x * record, axis=choice.axis, keepdims=True))
    return np.take_along_axis(x, record, choice.axis)


@give.register
def _(choice: Along, g: Array, record: Array) -> Array:
    if choice.ties != "first":
        return np.asarray(g * record)
    out = np.zeros(choice.shape, g.dtype)
    index: list[Array] = list(np.ogrid[tuple(slice(size) for size in record.shape)])
    index[choice.axis] = record
    np.add.at(out, tuple(index), g)
    return out


# Windows: for each tap, the outputs whose tap lies inside and the cells that they read


def _tap_slices(axis: Axis, size: int, outputs: int) -> list[tuple[slice, slice]]:
    """For each tap r of one axis: the outputs p with S·p + D·r − A inside, and those cells."""
    slices = []
    for r in range(axis.kernel):
        first = axis.position(0, r)
        low = max(0, -(first // axis.stride))
        high = min(outputs, (size - 1 - first) // axis.stride + 1)
        start = axis.position(low, r)
        count = max(0, high - low)
        stop = start + (count - 1) * axis.stride + 1 if count else start
        slices.append((slice(low, low + count), slice(start, stop, axis.stride)))
    return slices


@functools.lru_cache(maxsize=1024)
def _taps(choice: Windows) -> tuple[tuple[int, Slices, Slices], ...]:
    """(tap, slices of the output, slices of the source), taps in row-major order."""
    axes = choice.window.axes
    sizes = choice.shape[-len(axes) :]
    outputs = choice.window.output_size(sizes)
    per_axis = [_tap_slices(*item) for item in zip(axes, sizes, outputs, strict=True)]
    rest = (slice(None),) * (len(choice.shape) - len(axes))
    return tuple(
        (tap, rest + tuple(out for out, _ in pairs), rest + tuple(inside for _, inside in pairs))
        for tap, pairs in enumerate(itertools.product(*per_axis))
    )


def _output_shape(choice: Windows) -> tuple[int, ...]:
    axes = len(choice.window.axes)
    return choice.shape[:-axes] + choice.window.output_size(choice.shape[-axes:])


def _overlaps(choice: Windows) -> bool:
    return any(axis.stride < axis.effective for axis in choice.window.axes)


@choose.register
def _(choice: Windows, x: Array, largest: bool) -> tuple[Array, Array]:
    better = np.maximum if largest else np.minimum
    shape = _output_shape(choice)
    values = empty_in_order(shape, x.strides, x.dtype)
    values.fill(-np.inf if largest else np.inf)
    taps = _taps(choice)
    for _, out, inside in taps:
        better(values[out], x[inside], out=values[out])
    nan = bool(np.isnan(values).any())
    if choice.ties == "first":
        return values, _first_winner(choice, x, values, nan)
    share = np.zeros((len(taps), *shape), x.dtype)
    for tap, out, inside in taps:
        share[tap][out] = np.logical_not(_loses(x[inside], values[out], nan))
    if choice.ties == "split":
        share /= share.sum(axis=0)
    return values, share


def _first_winner(choice: Windows, x: Array, values: Array, nan: bool) -> Array:
    """The number of taps in front of the first winner, counted from the last tap back."""
    taps = _taps(choice)
    dtype = np.dtype(np.uint8 if len(taps) < 255 else np.int32)
    record = empty_in_order(values.shape, x.strides, dtype, zero=True)
    for _, out, inside in reversed(taps):
        record += 1
        record[out] *= _loses(x[inside], values[out], nan)
    return record


def _loses(x: Array, values: Array, nan: bool) -> Array:
    loses = np.not_equal(x, values)
    return np.asarray(loses & ~np.isnan(x) if nan else loses)


@take.register
def _(choice: Windows, x: Array, record: Array) -> Array:
    out = empty_in_order(_output_shape(choice), x.strides, x.dtype, zero=True)
    for tap, there, here in _taps(choice):
        if choice.ties == "first":
            out[there] += keep(record[there] == tap, x[here])
        else:
            out[there] += record[tap][there] * x[here]
    return out


@give.register
def _(choice: Windows, g: Array, record: Array) -> Array:
    # In the order of the record, which is that of the source: what follows meets the source again.
    out = empty_in_order(choice.shape, record.strides[-g.ndim :], g.dtype, zero=True)
    overlaps = _overlaps(choice)
    for tap, there, here in _taps(choice):
        if choice.ties != "first":
            out[here] += record[tap][there] * g[there]
        elif overlaps:
            out[here] += keep(record[there] == tap, g[there])
        else:
            keep(record[there] == tap, g[there], out[here])
    return out
