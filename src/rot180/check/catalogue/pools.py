"""Pools: which cell a maximum goes to, what a mean is divided by, and where windows lie.

    mean:  δx[S·p + D·r − A] += g[p] · d[p]            max:  δx[the winner of p] += g[p]

A mean pool is read like a convolution of every channel with ones, so its windows can go wrong in
the same ways; a max pool hands g to the tap that was recorded.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue import windows as w
from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import draw_normal, entry, once
from rot180.check.catalogue.windowed import read_window
from rot180.check.mistake import Answer, Case, Change, Mistake
from rot180.check.reading import Reading
from rot180.core import Array, Give, Select, Tensor, Windows, run
from rot180.ops import OPERATIONS
from rot180.window import Window, pool_divisors, pool_window

__all__ = ["MAX_POOLS", "MEAN_POOLS"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]
_WINDOW = ("kernel_size", "stride", "padding", "ceil_mode")


def _forward(operation: str, arrays: Arrays, options: Options) -> Array:
    out: Tensor = OPERATIONS[operation](arrays["x"], **options)
    return out.data


def _of(x: Array, options: Options, names: tuple[str, ...]) -> dict[str, Any]:
    words = {"kernel_size": "kernel"}
    given = {words.get(name, name): options[name] for name in names if name in options}
    return {**given, "input_size": x.shape[2:]}


def _window(x: Array, options: Options) -> Window:
    return pool_window(**_of(x, options, (*_WINDOW, "dilation")))


def _reading(x: Array, window: Window) -> Reading:
    grouped = Window(window.axes, x.shape[1])
    return read_window(grouped, x.shape[0], 1, 1, x.shape[2:], "correlation")


def _facts(case: Case, window: Window) -> None:
    case.facts |= {"N": case.arrays["x"].shape[0], "taps": math.prod(window.kernel)}


# Mean pools


def _divisors(x: Array, options: Options, **changed: Any) -> Array:
    """1 / divisor of every position."""
    counts = pool_divisors(**_of(x, {**options, **changed}, (*_WINDOW, "count_include_pad")))
    product = np.ones([len(axis) for axis in counts])
    for i, axis in enumerate(counts):
        product *= np.reshape(axis, [-1 if k == i else 1 for k in range(len(counts))])
    return np.asarray(1 / product)


def _mean(operation: str, arrays: Arrays, options: Options) -> Case:
    x, g = arrays["x"], arrays["g"]
    window = _window(x, options)
    override = options.get("divisor_override")
    d = _divisors(x, options) if override is None else np.full(g.shape[2:], 1 / override)
    r = _reading(x, window)
    case = Case(
        operation, dict(arrays), dict(options), reading=r, roles={"dx": "x"},
        factors={"w": np.ones(r.shape("w")), "z": g * d},
    )  # fmt: skip
    case.extra = {
        "after": window.after, "remainder": window.remainder(x.shape[2:]),
        "names": {"w": "1", "z": "(g·d)"}, "d": d,
    }  # fmt: skip
    value = r.compute("x", case.given("dx"), r.shape("x"))
    size = r.compute("x", {k: np.abs(a) for k, a in case.given("dx").items()}, r.shape("x"))
    assert value is not None
    assert size is not None
    case.answers["dx"] = Answer(value, size)
    _facts(case, window)
    return case


def _divided(divisor: Callable[[Case], Array | float | None]) -> Callable[[Case], Array | None]:
    """The gradient with another 1 / divisor."""

    def make(case: Case) -> Array | None:
        d = divisor(case)
        if d is None:
            return None
        r = case.relation
        given = {"w": np.ones(r.shape("w")), "z": case.arrays["g"] * d}
        return r.compute("x", given, r.shape("x"))

    return make


def _counted(case: Case) -> Array:
    include = not case.options.get("count_include_pad", True)
    return _divisors(case.arrays["x"], case.options, count_include_pad=include)


def _one_cell(case: Case) -> Iterator[Change]:
    for end in (0, 1):
        taps = enumerate(case.relation.taps)
        yield {"only": tuple((f"r{i}", end * (taps - 1)) for i, taps in taps)}


def _kernel_for_stride(case: Case) -> Iterator[Change]:
    yield {"stride": case.relation.taps}


def _side(case: Case) -> float | None:
    taps = case.relation.taps
    return 1 / taps[0] if len(taps) > 1 else None


def _overwritten(case: Case) -> Iterator[Change]:
    yield {"overwrite": True}


def _moved(
    name: str, group: str, changes: w.Changes, algebra: str, fix: str, cost: int = 10
) -> Mistake:
    return Mistake(name, "dx", group, algebra, fix, changes, cost=cost)


MEAN = (
    entry("mean pool not divided", "dx", "mean pool", once(_divided(lambda case: 1.0)),
          "δx = g instead of g / (R·S)", "divide by the cells of the window", 9),
    entry("mean pool divided by k instead of k·k", "dx", "mean pool", once(_divided(_side)),
          "g / R instead of g / (R·S)", "divide by all cells of the window"),
    entry("padding counted differently than forward", "dx", "mean pool",
          once(_divided(_counted)), "the divisor of the backward pass is not that of the forward",
          "use one divisor for both (count_include_pad)"),
    entry("cut windows divided by the whole kernel", "dx", "mean pool",
          once(_divided(lambda case: 1 / case.facts["taps"])),
          "g / (R·S) also where the window is cut off at the end",
          "divide by the cells that the forward pass counted", 11),
    entry("upstream gradient dropped", "dx", "chain",
          once(lambda case: _divided(lambda c: c.extra["d"] / _safe(c.arrays["g"]))(case)),
          "δx = d instead of g·d", "multiply by the upstream gradient"),
    _moved("handed to one cell of the window", "mean pool", _one_cell,
           "only one tap gets g·d", "every cell of the window gets g·d"),
    _moved("stride not undone", "stride", w.stride_lost,
           "h = p + r − A instead of S·p + r − A", "window p begins at S·p − A"),
    _moved("kernel size taken for the stride", "stride", _kernel_for_stride,
           "h = R·p + r − A instead of S·p + r − A", "window p begins at S·p − A"),
    _moved("padding not cropped", "padding", w.not_cropped,
           "δx of the padded input", "cut A cells off in front and B at the end"),
    _moved("padding off by one", "padding", w.off_by_one,
           "h = S·p + r − A ± 1", "window p begins at S·p − A", 12),
    _moved("overwritten where windows overlap", "accumulate", _overwritten,
           "δx[h] = … instead of δx[h] += …", "add: +=", 11),
    *factors("dx", without=("multiplied by the cells of the window",)),
)  # fmt: skip


def _safe(g: Array) -> Array:
    return np.where(g == 0, 1.0, g)


# Max pools


def _max(operation: str, arrays: Arrays, options: Options) -> Case:
    x, g = arrays["x"], arrays["g"]
    window = _window(x, options)
    ties = options.get("ties", "first")
    case = Case(operation, dict(arrays), dict(options))
    case.extra = {"window": window, "ties": ties}
    case.answers["dx"] = Answer(_given(case, ties), np.abs(_given(case, ties, np.abs(g))))
    case.facts = {"N": x.shape[0], "taps": math.prod(window.kernel)}
    return case


def _given(case: Case, ties: str, g: Array | None = None, largest: bool = True) -> Array:
    """The engine's own rule for ties."""
    x = case.arrays["x"]
    choice = Windows(x.shape, case.extra["window"], ties)
    _, record = run(Select("max_pool", choice, largest), x)
    made: Array = run(Give("max_pool", choice), case.arrays["g"] if g is None else g, record)
    return made


def _taps(case: Case) -> tuple[Array, Array]:
    """What every tap of every window sees (taps first), and whether it is a cell of the input."""
    x, window = case.arrays["x"], case.extra["window"]
    outputs = window.output_size(x.shape[2:])
    seen = np.zeros((math.prod(window.kernel), *x.shape[:2], *outputs))
    inside = np.zeros(seen.shape, bool)
    for t, tap in enumerate(itertools.product(*map(range, window.kernel))):
        at, to = _inside(_cells(window, x.shape[2:], tap), x.shape[2:])
        seen[t][at] = x[to]
        inside[t][at] = True
    return seen, inside


def _cells(
    window: Window, sizes: tuple[int, ...], tap: tuple[int, ...], stride: tuple[int, ...] = (),
    before: tuple[int, ...] | None = None,
) -> list[Array]:  # fmt: skip
    """Per axis, the cell that a tap reads in every window."""
    outputs = window.output_size(sizes)
    steps = stride or window.stride
    starts = window.before if before is None else before
    return [
        np.arange(p) * s + r * d - a
        for p, s, r, d, a in zip(outputs, steps, tap, window.dilation, starts, strict=True)
    ]


def _inside(cells: list[Array], sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """Indices of the windows that read a real cell, and of the cells that they read."""
    pairs = zip(cells, sizes, strict=True)
    real = [np.flatnonzero((h >= 0) & (h < size)) for h, size in pairs]
    read = [h[kept] for h, kept in zip(cells, real, strict=True)]
    return (Ellipsis, *np.ix_(*real)), (Ellipsis, *np.ix_(*read))


def _scattered(
    case: Case, shares: Array, *, stride: tuple[int, ...] = (),
    before: tuple[int, ...] | None = None, overwrite: bool = False, g: Array | None = None,
) -> Array:  # fmt: skip
    """The gradient times each tap's share, added into (or written over) the cells of the tap."""
    x, window = case.arrays["x"], case.extra["window"]
    upstream = case.arrays["g"] if g is None else g
    out = np.zeros(x.shape)
    taps = list(enumerate(itertools.product(*map(range, window.kernel))))
    for t, tap in reversed(taps) if overwrite else taps:
        cells = _cells(window, x.shape[2:], tap, stride, before)
        at, to = _inside(cells, x.shape[2:])
        part = (upstream * shares[t])[at]
        if overwrite:
            out[to] = np.where(shares[t][at] != 0, part, out[to])
        else:
            out[to] += part
    return out


def _winners(case: Case, last: bool = False) -> Array:
    """1 at the tap that wins, 0 elsewhere."""
    seen, inside = _taps(case)
    masked = np.where(inside, seen, -np.inf)
    if last:
        masked = masked[::-1]
    won = np.arange(len(masked)).reshape(-1, *(1,) * (masked.ndim - 1)) == masked.argmax(0)
    return np.asarray((won[::-1] if last else won).astype(float))


def _other_rules(case: Case, rule: str) -> Array | None:
    return None if case.extra["ties"] == rule else _given(case, rule)


def _by_tolerance(case: Case) -> Iterator[Array]:
    seen, inside = _taps(case)
    top = np.where(inside, seen, -np.inf).max(0)
    tied = inside & (seen == top)
    for tolerance in (1e-8, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.2, 0.5, 1.0):
        won = inside & (seen >= top - tolerance)
        if not np.array_equal(won, tied):
            yield _scattered(case, won.astype(float))


def _window_index(case: Case) -> Array:
    """The winner's tap, counted in the window, used as a cell of the image."""
    x, g = case.arrays["x"], case.arrays["g"]
    taps = _winners(case).argmax(0).reshape(*g.shape[:2], -1)
    out = np.zeros((*x.shape[:2], math.prod(x.shape[2:])))
    n, c = np.ogrid[: g.shape[0], : g.shape[1]]
    np.add.at(out, (n[..., None], c[..., None], taps % out.shape[2]), g.reshape(taps.shape))
    return out.reshape(x.shape)


def _transposed_index(case: Case) -> Array | None:
    window = case.extra["window"]
    if len(window.kernel) != 2 or window.kernel[0] != window.kernel[1]:
        return None
    shares = _winners(case)
    turned = shares.reshape(*window.kernel, *shares.shape[1:]).swapaxes(0, 1)
    return _scattered(case, turned.reshape(shares.shape))


def _zeros_win(case: Case) -> Array:
    seen, inside = _taps(case)
    won = np.arange(len(seen)).reshape(-1, *(1,) * (seen.ndim - 1)) == seen.argmax(0)
    return _scattered(case, (won & inside).astype(float))


def _next_tap(case: Case) -> Iterator[Array]:
    for step in (1, -1):
        yield _scattered(case, np.roll(_winners(case), step, 0))


MAX = (
    entry("handed to every tie", "dx", "max pool", once(lambda case: _other_rules(case, "all")),
          "each of several equal largest cells gets the whole g",
          "only one cell made the maximum: record its index forward"),
    entry("split between ties", "dx", "max pool", once(lambda case: _other_rules(case, "split")),
          "equal largest cells share g", 'that is ties="split": choose one rule for both sides'),
    entry("handed to the last tie", "dx", "max pool",
          once(lambda case: _scattered(case, _winners(case, last=True))),
          "of equal cells the last one gets g", "the first one is the usual rule", 11),
    entry("handed to the first tie", "dx", "max pool",
          once(lambda case: _other_rules(case, "first")),
          "of equal cells only the first one gets g", "the forward pass has another rule"),
    entry("equality replaced by a tolerance", "dx", "max pool", _by_tolerance,
          "x >= max − ε instead of x == max", "record the winner forward, do not compare", 12),
    entry("index in the window taken for the index in the image", "dx", "max pool",
          once(_window_index), "δx.flat[r] instead of δx[S·p + D·r − A]",
          "add where the window begins to the index"),
    entry("rows and columns of the index exchanged", "dx", "max pool", once(_transposed_index),
          "r·R + s read as s·R + r", "np.unravel_index(index, (R, S))"),
    entry("handed to a neighbour of the winner", "dx", "max pool", _next_tap,
          "tap r ± 1 instead of the recorded tap", "indices count from 0", 12),
    entry("spread over the window like a mean", "dx", "max pool",
          once(lambda case: _scattered(case, _taps(case)[1] / case.facts["taps"])),
          "g / (R·S) to every cell", "g goes to the winner alone"),
    entry("repeated over the whole window", "dx", "max pool",
          once(lambda case: _scattered(case, _taps(case)[1].astype(float))),
          "g to every cell of the window", "multiply by the mask of the winner"),
    entry("handed to the smallest cell", "dx", "max pool",
          once(lambda case: _given(case, "first", largest=False)),
          "argmin in place of argmax", "record the largest cell"),
    entry("zeros of the padding win", "dx", "padding", once(_zeros_win),
          "padded with 0: where all cells are negative the padding is the maximum, and g is lost",
          "pad with −∞", 11),
    entry("overwritten where windows overlap", "dx", "accumulate",
          once(lambda case: _scattered(case, _winners(case), overwrite=True)),
          "δx[h] = g[p] instead of δx[h] += g[p]", "add: +=", 11),
    entry("stride not undone", "dx", "stride",
          once(lambda case: _scattered(case, _winners(case), stride=(1,) * _rank(case))),
          "h = p + D·r − A instead of S·p + D·r − A", "window p begins at S·p − A"),
    entry("kernel size taken for the stride", "dx", "stride",
          once(lambda case: _scattered(case, _winners(case), stride=case.extra["window"].kernel)),
          "h = R·p + D·r − A instead of S·p + D·r − A", "window p begins at S·p − A"),
    entry("padding not cropped", "dx", "padding",
          once(lambda case: _scattered(case, _winners(case), before=(0,) * _rank(case))),
          "h = S·p + D·r: the gradient of the padded input", "cut A cells off in front"),
    entry("upstream gradient dropped", "dx", "chain",
          once(lambda case: _given(case, case.extra["ties"], np.ones_like(case.arrays["g"]))),
          "1 instead of g at the winner", "multiply by the upstream gradient"),
    entry("gradient divided by itself", "dx", "chain",
          once(lambda case: _given(case, case.extra["ties"], np.sign(case.arrays["g"]))),
          "g / |g| at the winner: ±1 whatever g is", "do not normalise: hand g on"),
    *factors("dx"),
)  # fmt: skip


def _rank(case: Case) -> int:
    return case.arrays["x"].ndim - 2


# Sizes to try


def _draw_ties(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    """Few values, so that there are ties and near ties, and none that equals a padding's zero."""
    return {
        name: rng.integers(-4, 3, shape) + 0.5 + 0.04 * rng.integers(0, 2, shape)
        for name, shape in trial.shapes
    }


def _trials(operation: str) -> Iterator[Trial]:
    rank = int(operation[-2])
    settings = [
        Trial(
            (("x", (batch, 2, *(size + i % 2 for i in range(rank)))),),
            (("kernel_size", k), ("stride", s), ("padding", p), ("ceil_mode", ceil)),
        )
        for k, s, p, ceil in ((2, 2, 0, False), (3, 2, 1, False), (3, 2, 1, True), (4, 3, 1, True),
                              (4, 3, 2, True), (4, 2, 1, True))
        for batch in (2, 3)
        for size in (5, 6, 7, 8, 10)
    ]  # fmt: skip
    yield from sorted(settings, key=lambda trial: trial.cells)


MEAN_POOLS = Family(
    ("avg_pool1d", "avg_pool2d", "avg_pool3d"), ("x",), ("x",), (("dx", "x"),),
    (*_WINDOW, "count_include_pad", "divisor_override"),
    _forward, _mean, MEAN, draw_normal, _trials,
)  # fmt: skip
MAX_POOLS = Family(
    ("max_pool1d", "max_pool2d", "max_pool3d"), ("x",), ("x",), (("dx", "x"),),
    (*_WINDOW, "dilation", "ties"),
    _forward, _max, MAX, _draw_ties, _trials,
)  # fmt: skip
