"""Max pools: which cell g goes to.

δx[the winner of p] += g[p]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import entry, once
from rot180.check.catalogue.pools import WINDOW, forward, trials, window_of
from rot180.check.mistake import Answer, Case
from rot180.core import Array, Give, Select, Windows, run
from rot180.window import Window

__all__ = ["MAX_POOLS"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]


def _max(operation: str, arrays: Arrays, options: Options) -> Case:
    x, g = arrays["x"], arrays["g"]
    window = window_of(x, options)
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


def _draw_ties(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    """Few values, so that there are ties and near ties, and none that equals a padding's zero."""
    return {
        name: rng.integers(-4, 3, shape) + 0.5 + 0.04 * rng.integers(0, 2, shape)
        for name, shape in trial.shapes
    }


MAX_POOLS = Family(
    ("max_pool1d", "max_pool2d", "max_pool3d"), ("x",), ("x",), (("dx", "x"),),
    (*WINDOW, "dilation", "ties"),
    forward, _max, MAX, _draw_ties, trials,
)  # fmt: skip
