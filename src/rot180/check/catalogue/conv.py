"""Mistakes in the backward pass of a convolution: changes of the index relation.

right:  δx[S·p + D·r − A] += w[r] · g[p]        δw[r] += x[S·p + D·r − A] · g[p]
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import sub

from rot180.check.catalogue import windows as w
from rot180.check.catalogue.factors import factors
from rot180.check.mistake import Case, Change, Mistake
from rot180.core import Array

__all__ = ["BIAS", "CONV", "weight_mistakes"]


# The input gradient


def _repeated(case: Case) -> Iterator[Change]:
    if max(case.relation.stride) > 1:
        yield {"repeat": True}


def _split(case: Case) -> Iterator[Change]:
    r, rest = case.relation, case.extra["remainder"]
    if max(rest) > 1:
        yield {"before": tuple(a - n // 2 for a, n in zip(r.before, rest, strict=True))}
        yield {"before": tuple(a - n + n // 2 for a, n in zip(r.before, rest, strict=True))}


def _in_front(case: Case) -> Iterator[Change]:
    yield {"before": tuple(map(sub, case.relation.before, case.extra["remainder"]))}


def _ignored(case: Case) -> Iterator[Change]:
    if any(case.extra["remainder"]):
        yield {"extent": tuple(map(sub, case.relation.sizes, case.extra["remainder"]))}


def _kernel_not_measured(case: Case) -> Iterator[Change]:
    r = case.relation
    reach = (e - taps for e, taps in zip(r.effective, r.taps, strict=True))
    yield {"before": tuple(a + n for a, n in zip(r.before, reach, strict=True))}


def _plain_padding(case: Case) -> Iterator[Change]:
    r = case.relation
    yield {"before": tuple(e - 1 - a for e, a in zip(r.effective, r.before, strict=True))}


def _valid(case: Case) -> Iterator[Change]:
    r = case.relation
    spread = [(p - 1) * s + 1 for p, s in zip(r.outputs, r.stride, strict=True)]
    extent = tuple(g - e + 1 for g, e in zip(spread, r.effective, strict=True))
    if min(extent) > 0:
        yield {"before": tuple(e - 1 for e in r.effective), "extent": extent}


def _overwritten(case: Case) -> Iterator[Change]:
    yield {"overwrite": True}
    if case.relation.filters > 1:
        yield {"overwrite": True, "only": (("k", case.relation.filters - 1),)}


def _exchanged(case: Case) -> Iterator[Change]:
    yield {"exchanged": True}


_SIZE = "h = S·p + D·r − A"


def _dx(
    name: str, group: str, changes: w.Changes, algebra: str, fix: str,
    cost: int = 10, ranks: tuple[int, ...] | None = None,
) -> Mistake:  # fmt: skip
    return Mistake(name, "dx", group, algebra, fix, changes, cost=cost, ranks=ranks)


INPUT = (
    _dx("kernel not turned", "kernel", w.turned(),
        "δx[h] = Σ w[R−1−r]·g[p] instead of Σ w[r]·g[p], " + _SIZE,
        "turn the kernel by 180 degrees before the full correlation: w[..., ::-1, ::-1]"),
    _dx("kernel turned by 90 degrees", "kernel", w.quarter_turned,
        "np.rot90(w) once instead of twice", "turn by 180 degrees: w[..., ::-1, ::-1]",
        ranks=(2,)),
    _dx("kernel transposed", "kernel", w.transposed(),
        "w[s, r] in place of w[r, s]", "turn the kernel, do not transpose it", 11, ranks=(2,)),
    _dx("only the rows of the kernel turned", "kernel", w.one_axis_turned(0),
        "w[::-1, :] instead of w[::-1, ::-1]", "flip both axes of the kernel", ranks=(2,)),
    _dx("only the columns of the kernel turned", "kernel", w.one_axis_turned(1),
        "w[:, ::-1] instead of w[::-1, ::-1]", "flip both axes of the kernel", ranks=(2,)),
    _dx("only some axes of the kernel turned", "kernel", w.one_axis_turned(None),
        "some spatial axes flipped instead of all", "flip every spatial axis", ranks=(3,)),
    _dx("channels of the kernel not exchanged", "kernel", _exchanged,
        "δx[c] = Σ_k w[c, k]·g[k] instead of Σ_k w[k, c]·g[k]",
        "sum over output channels: w.swapaxes(0, 1), no reshape"),
    _dx("groups mixed", "kernel", w.interleaved,
        "channel i was put into group i mod G instead of i // (C/G)",
        "a group is a block of neighbouring channels"),
    _dx("only one filter handed back", "kernel", w.only("k"),
        "one k instead of the sum over k", "add over all output channels: +="),
    _dx("stride not undone", "stride", w.stride_lost,
        "h = p + D·r − A instead of h = S·p + D·r − A",
        "put S−1 zeros between the entries of g, or scatter to S·p"),
    _dx("gradient repeated instead of dilated", "stride", _repeated,
        "g[h // S] at every h instead of only where S divides h",
        "put zeros between the entries of g, do not repeat them"),
    _dx("one zero too many between the gradients", "stride", w.stride_plus_one,
        "h = (S+1)·p + … : S zeros between neighbours instead of S−1", "S−1 zeros, not S"),
    _dx("remainder split to both sides", "stride", _split,
        "the ρ = (H+A+B−e) mod S rows that are left over belong at the end",
        "pad the dilated gradient with e−1−A before and e−1−B+ρ after", 11),
    _dx("remainder put in front", "stride", _in_front,
        "h = S·p + D·r − A + ρ : shifted by the rows that the stride leaves over",
        "pad the dilated gradient with e−1−A before and e−1−B+ρ after", 11),
    _dx("remainder ignored", "stride", _ignored,
        "δx has ρ = (H+A+B−e) mod S rows too few",
        "pad ρ more rows at the end: their gradient need not be 0 where B > 0"),
    _dx("kernel not dilated", "dilation", w.not_dilated,
        "h = S·p + r − A instead of h = S·p + D·r − A", "put D−1 zeros between the taps"),
    _dx("padding computed from the taps", "dilation", _kernel_not_measured,
        "padded by R−1−A instead of e−1−A, e = D·(R−1)+1", "use the effective kernel e"),
    _dx("dilation counted from 0", "dilation", w.dilated_more,
        "h = S·p + (D+1)·r − A", "dilation 1 means no zeros between the taps", 11),
    _dx("padding p instead of e-1-p", "padding", _plain_padding,
        "g padded by A instead of e−1−A", "pad the dilated gradient by e−1−A"),
    _dx("valid instead of full", "padding", _valid,
        "g not padded at all: only overlaps that are whole",
        "full correlation: pad the dilated gradient by e−1−A and e−1−B"),
    _dx("padding not cropped", "padding", w.not_cropped,
        "δx of the padded input: h = S·p + D·r", "cut A cells off in front and B at the end"),
    _dx("padding cropped in front only", "padding", w.front_only,
        "h = S·p + D·r − A − B", "cut A cells off in front and B at the end"),
    _dx("sides of the padding swapped", "padding", w.sides_swapped,
        "h = S·p + D·r − B instead of − A", "before belongs to the front"),
    _dx("padding off by one", "padding", w.off_by_one,
        "h = S·p + D·r − A ± 1", "full padding is e−1−A, not e−A", 12),
    _dx("overwritten where windows overlap", "accumulate", _overwritten,
        "δx[h] = w[r]·g[p] instead of δx[h] += w[r]·g[p]", "add: +=", 11),
    _dx("upstream gradient dropped", "chain", w.ones("z"),
        "δx = Σ w[r] instead of Σ w[r]·g[p]", "multiply by the upstream gradient"),
    _dx("upstream gradient turned", "chain", w.turned("upstream"),
        "g[P−1−p] in place of g[p]", "the kernel is turned, the gradient is not", 11),
    _dx("upstream gradient transposed", "chain", w.transposed("upstream"),
        "g[q, p] in place of g[p, q]", "rows stay rows: check the reshape of g", 12, ranks=(2,)),
    *factors("dx"),
)  # fmt: skip


# The weight gradient


def _not_padded(case: Case) -> Iterator[Change]:
    yield {"before": (0,) * case.relation.rank}


def _stride_lost(case: Case) -> Iterator[Change]:
    r = case.relation
    room = _room(case)
    extent = tuple((n - p) // d + 1 for n, p, d in zip(room, r.outputs, r.dilation, strict=True))
    yield {"stride": (1,) * r.rank, "extent": extent}


def _dilation_lost(case: Case) -> Iterator[Change]:
    r = case.relation
    spread = ((p - 1) * s + 1 for p, s in zip(r.outputs, r.stride, strict=True))
    extent = tuple(n - g + 1 for n, g in zip(_room(case), spread, strict=True))
    yield {"dilation": (1,) * r.rank, "extent": extent}


def _room(case: Case) -> tuple[int, ...]:
    """H + A + B."""
    r = case.relation
    return tuple(map(sum, zip(r.sizes, r.before, case.extra["after"], strict=True)))


def _surplus(case: Case) -> tuple[int, ...]:
    r = case.relation
    return tuple(n // d for n, d in zip(case.extra["remainder"], r.dilation, strict=True))


def _last_rows(case: Case) -> Iterator[Change]:
    r, more = case.relation, _surplus(case)
    if any(more):
        shift = zip(r.before, r.dilation, more, strict=True)
        yield {"before": tuple(a - d * n for a, d, n in shift)}


def _surplus_kept(case: Case) -> Iterator[Change]:
    if any(_surplus(case)):
        taps = zip(case.relation.taps, _surplus(case), strict=True)
        yield {"extent": tuple(r + n for r, n in taps)}


def _one_image(case: Case) -> Iterator[Change]:
    yield from w.only("n")(case)
    yield {"keep": ("n",)}


def _last_position(case: Case) -> Iterator[Change]:
    r = case.relation
    if max(r.outputs) > 1:
        for end in (1, 0):
            last = tuple((f"p{i}", end * (size - 1)) for i, size in enumerate(r.outputs))
            yield {"only": last}
            if r.batch > 1:
                yield {"only": (*last, ("n", end * (r.batch - 1)))}


def _dw(
    name: str, group: str, changes: w.Changes, algebra: str, fix: str,
    cost: int = 10, ranks: tuple[int, ...] | None = None,
) -> Mistake:  # fmt: skip
    return Mistake(name, "dw", group, algebra, fix, changes, cost=cost, ranks=ranks)


def weight_mistakes(upstream: str) -> tuple[Mistake, ...]:
    """Mistakes in the weight gradient; `upstream`: which operand of the form is g."""
    return (
        _dw("weight gradient turned", "weight gradient", w.turned(),
            "δw[R−1−r] in place of δw[r]: the operands of the correlation were exchanged, or the "
            "result was flipped", "correlate x with g; nothing is turned"),
        _dw("weight gradient turned by 90 degrees", "weight gradient", w.quarter_turned,
            "np.rot90(δw) in place of δw", "correlate x with g; nothing is turned", 11, ranks=(2,)),
        _dw("weight gradient transposed", "weight gradient", w.transposed(),
            "δw[s, r] in place of δw[r, s]", "the axes of δw are those of w", 11, ranks=(2,)),
        _dw("convolution instead of correlation", "weight gradient", w.turned("upstream"),
            "δw[r] = Σ x[S·p + D·r − A]·g[P−1−p]: an operand was turned",
            "correlate: nothing is turned"),
        _dw("channels of the weight gradient exchanged", "weight gradient", _exchanged,
            "δw[c, k] in place of δw[k, c]", "δw has the shape of w"),
        _dw("groups mixed in the weight gradient", "weight gradient", w.interleaved,
            "channel i was put into group i mod G instead of i // (C/G)",
            "a group is a block of neighbouring channels"),
        _dw("weight gradient not summed over the batch", "weight gradient", _one_image,
            "δw of one image instead of Σ_n", "add over the batch: +="),
        _dw("weight gradient of one position", "accumulate", _last_position,
            "δw = x[…]·g[p] instead of δw += x[…]·g[p]", "add over positions: +="),
        _dw("stride not undone in the weight gradient", "stride", _stride_lost,
            "x[p + D·r − A] instead of x[S·p + D·r − A]",
            "dilate g by S, or read x in steps of S"),
        _dw("one zero too many in the weight gradient", "stride", w.stride_plus_one,
            "x[(S+1)·p + D·r − A]", "S−1 zeros between the entries of g, not S"),
        _dw("last rows of the weight gradient kept", "stride", _last_rows,
            "of R + ⌊ρ/D⌋ rows the first R are δw", "dw[..., :R, :S]"),
        _dw("surplus rows of the weight gradient kept", "stride", _surplus_kept,
            "the correlation has R + ⌊ρ/D⌋ rows, the first R are δw", "dw[..., :R, :S]"),
        _dw("dilation not undone in the weight gradient", "dilation", _dilation_lost,
            "x[S·p + r − A] instead of x[S·p + D·r − A]", "keep every D-th row of the correlation"),
        _dw("dilation counted from 0 in the weight gradient", "dilation", w.dilated_more,
            "x[S·p + (D+1)·r − A]", "dilation 1 means neighbouring taps", 11),
        _dw("input not padded in the weight gradient", "padding", _not_padded,
            "x[S·p + D·r] instead of x[S·p + D·r − A]", "correlate the padded input"),
        _dw("sides of the padding swapped in the weight gradient", "padding", w.sides_swapped,
            "x[S·p + D·r − B]", "before belongs to the front"),
        _dw("padding off by one in the weight gradient", "padding", w.off_by_one,
            "x[S·p + D·r − A ± 1]", "pad the input as in the forward pass", 12),
        _dw("upstream gradient dropped in the weight gradient", "chain", w.ones(upstream),
            "δw = Σ x instead of Σ x·g", "multiply by the upstream gradient"),
        *factors("dw"),
    )  # fmt: skip


# The bias gradient: δb[k] = Σ g[n, k, p..]


def _one_place(case: Case) -> Iterator[Array]:
    g = case.arrays["g"]
    yield g.reshape(*g.shape[:2], -1)[:, :, 0].sum(0)
    yield g.sum(0)


def _one_of_the_batch(case: Case) -> Iterator[Array]:
    g = case.arrays["g"]
    summed = g.sum(tuple(range(2, g.ndim)))
    yield from (summed[0], summed[-1], summed)


def _other_axes(case: Case) -> Iterator[Array]:
    g = case.arrays["g"]
    for kept in (0, *range(2, g.ndim)):
        yield g.sum(tuple(axis for axis in range(g.ndim) if axis != kept))


def _count(case: Case) -> Iterator[Array]:
    g = case.arrays["g"]
    yield 0 * case.answers["db"].value + g.size / g.shape[1]


def _db(name: str, group: str, arrays: object, algebra: str, fix: str) -> Mistake:
    return Mistake(name, "db", group, algebra, fix, arrays=arrays)  # type: ignore[arg-type]


BIAS = (
    _db("bias not summed over the positions", "bias", _one_place,
        "δb[k] = Σ_n g[n, k, 0, 0] instead of Σ_{n,p,q} g[n, k, p, q]",
        "g.sum((0, 2, 3))"),
    _db("bias not summed over the batch", "bias", _one_of_the_batch,
        "δb of one image instead of Σ_n", "g.sum((0, 2, 3))"),
    _db("bias summed over the wrong axes", "bias", _other_axes,
        "the channel axis was summed, another one kept", "g.sum((0, 2, 3)): all but the channels"),
    _db("upstream gradient dropped in the bias gradient", "chain", _count,
        "δb = N·P·Q instead of Σ g", "sum the upstream gradient"),
    *factors("db"),
)  # fmt: skip

TRANSPOSED_UPSTREAM = (
    _dw("upstream gradient transposed in the weight gradient", "weight gradient",
        w.transposed("upstream"), "g[q, p] in place of g[p, q]",
        "rows stay rows: check the reshape of g", 12, ranks=(2,)),
)  # fmt: skip

CONV = (*INPUT, *weight_mistakes("z"), *TRANSPOSED_UPSTREAM, *BIAS)
