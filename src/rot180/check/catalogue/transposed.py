"""Mistakes in the backward pass of a transposed convolution: it is a convolution of g.

z[S·p + D·r − A] += w[r] · x[p]      δx[p] = Σ_r w[r] · g[S·p + D·r − A]
"""

from __future__ import annotations

from collections.abc import Iterator

from rot180.check.catalogue import windows as w
from rot180.check.catalogue.conv import BIAS, weight_mistakes
from rot180.check.catalogue.factors import factors
from rot180.check.mistake import Case, Change, Mistake

__all__ = ["TRANSPOSED"]


def _zeros(case: Case) -> Iterator[Change]:
    if any(case.extra["output_padding"]):
        yield {"cut": case.extra["output_padding"]}


def _exchanged(case: Case) -> Iterator[Change]:
    yield {"exchanged": True}


def _not_cropped(case: Case) -> Iterator[Change]:
    yield {"before": (0,) * case.relation.rank}


def _dx(
    name: str, group: str, changes: w.Changes, algebra: str, fix: str,
    cost: int = 10, ranks: tuple[int, ...] | None = None,
) -> Mistake:  # fmt: skip
    return Mistake(name, "dx", group, algebra, fix, changes, cost=cost, ranks=ranks)


INPUT = (
    _dx("kernel turned in the gradient of a transposed convolution", "transposed", w.turned(),
        "δx[p] = Σ w[R−1−r]·g[S·p + D·r − A] instead of Σ w[r]·g[…]",
        "the backward pass is a plain correlation of g with w"),
    _dx("kernel turned by 90 degrees", "kernel", w.quarter_turned,
        "np.rot90(w) in place of w", "correlate g with w as it is", ranks=(2,)),
    _dx("kernel transposed", "kernel", w.transposed(),
        "w[s, r] in place of w[r, s]", "correlate g with w as it is", 11, ranks=(2,)),
    _dx("rows of the kernel turned", "kernel", w.one_axis_turned(1),
        "w[::-1, :] in place of w", "correlate g with w as it is", ranks=(2,)),
    _dx("columns of the kernel turned", "kernel", w.one_axis_turned(0),
        "w[:, ::-1] in place of w", "correlate g with w as it is", ranks=(2,)),
    _dx("channels of the kernel exchanged", "transposed", _exchanged,
        "δx[c] = Σ_k w[k, c]·g[k] instead of Σ_k w[c, k]·g[k]",
        "weights of a transposed convolution are (C, K / groups, taps...)"),
    _dx("groups mixed", "kernel", w.interleaved,
        "channel i was put into group i mod G instead of a block",
        "a group is a block of neighbouring channels"),
    _dx("only one output channel counted", "accumulate", w.only("c"),
        "one output channel instead of the sum over all", "add over all output channels: +="),
    _dx("stride lost", "stride", w.stride_lost,
        "g[p + D·r − A] instead of g[S·p + D·r − A]", "step through g by S"),
    _dx("stride too large by one", "stride", w.stride_plus_one,
        "g[(S+1)·p + D·r − A]", "step through g by S", 11),
    _dx("wrong row read", "transposed", w.off_by_one,
        "g[S·p + D·r − A ± 1]", "output p reads g from row S·p − A", 12),
    _dx("kernel not dilated", "dilation", w.not_dilated,
        "g[S·p + r − A] instead of g[S·p + D·r − A]", "put D−1 zeros between the taps"),
    _dx("dilation counted from 0", "dilation", w.dilated_more,
        "g[S·p + (D+1)·r − A]", "dilation 1 means neighbouring taps", 11),
    _dx("cropping not undone", "padding", _not_cropped,
        "g[S·p + D·r]: the A cells that the forward pass cut off were forgotten",
        "pad g by A before correlating"),
    _dx("sides of the padding swapped", "padding", w.sides_swapped,
        "g[S·p + D·r − B]", "before belongs to the front"),
    _dx("output_padding taken for zeros", "transposed", _zeros,
        "the last output_padding rows of g left out",
        "output_padding rows are real rows: where B > 0 windows reach them"),
    _dx("upstream gradient dropped", "chain", w.ones("x"),
        "δx = Σ w[r] instead of Σ w[r]·g[…]", "multiply by the upstream gradient"),
    *factors("dx"),
)  # fmt: skip

TRANSPOSED = (*INPUT, *weight_mistakes("x"), *BIAS)
