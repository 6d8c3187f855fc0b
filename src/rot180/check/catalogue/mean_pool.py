"""Mean pools: what g is divided by, and where windows lie.

    δx[S·p + r − A] += g[p] · d[p]

A mean pool is read like a convolution of every channel with ones, so its windows can go wrong in
the same ways.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue import windows as w
from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family
from rot180.check.catalogue.plain import draw_normal, entry, once
from rot180.check.catalogue.pools import WINDOW, arguments, forward, trials, window_of
from rot180.check.catalogue.windowed import read_window
from rot180.check.mistake import Answer, Case, Change, Mistake
from rot180.check.reading import Reading
from rot180.core import Array
from rot180.window import Window, pool_divisors

__all__ = ["MEAN_POOLS"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]


def _reading(x: Array, window: Window) -> Reading:
    grouped = Window(window.axes, x.shape[1])
    return read_window(grouped, x.shape[0], 1, 1, x.shape[2:], "correlation")


def _facts(case: Case, window: Window) -> None:
    case.facts |= {"N": case.arrays["x"].shape[0], "taps": math.prod(window.kernel)}


def _divisors(x: Array, options: Options, **changed: Any) -> Array:
    """1 / divisor of every position."""
    counts = pool_divisors(**arguments(x, {**options, **changed}, (*WINDOW, "count_include_pad")))
    product = np.ones([len(axis) for axis in counts])
    for i, axis in enumerate(counts):
        product *= np.reshape(axis, [-1 if k == i else 1 for k in range(len(counts))])
    return np.asarray(1 / product)


def _mean(operation: str, arrays: Arrays, options: Options) -> Case:
    x, g = arrays["x"], arrays["g"]
    window = window_of(x, options)
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


MEAN_POOLS = Family(
    ("avg_pool1d", "avg_pool2d", "avg_pool3d"), ("x",), ("x",), (("dx", "x"),),
    (*WINDOW, "count_include_pad", "divisor_override"),
    forward, _mean, MEAN, draw_normal, trials,
)  # fmt: skip
