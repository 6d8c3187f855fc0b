"""Every mistake of the catalogue, as users write it: plain NumPy, nothing of the library.

`check.diagnose` makes its hypotheses out of changed index maps; what stands here was written
without them, by recipes (dilate, pad, turn, correlate) and loops, so that the two can disagree.
Each function takes a `Given` and returns the wrong gradient, or None where it makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray
Wrong = Callable[["Given"], Any]


@dataclass
class Given:
    """Arrays and options; windows are square: stride, dilation, padding before and after."""

    arrays: dict[str, Array]
    options: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Array:
        return self.arrays[name]

    def per_axis(self, name: str, default: int = 1) -> tuple[int, int]:
        value = self.options.get(name, default)
        return (value, value) if isinstance(value, int) else tuple(value)

    @property
    def sides(self) -> tuple[tuple[int, int], tuple[int, int]]:
        p = self.options.get("padding", 0)
        return ((p, p), (p, p)) if isinstance(p, int) else tuple(map(tuple, p))


def pad(a: Array, sides: Any) -> Array:
    """Zeros around the last two axes; a negative side crops."""
    wide = np.pad(a, [(0, 0), (0, 0), *((max(b, 0), max(e, 0)) for b, e in sides)])
    cut = tuple(slice(max(-b, 0), n - max(-e, 0)) for (b, e), n in zip(sides, wide.shape[2:]))  # noqa: B905
    return wide[(..., *cut)]


def dilate(a: Array, steps: Any) -> Array:
    (p, q), (s, t) = a.shape[2:], steps
    out = np.zeros((*a.shape[:2], (p - 1) * s + 1, (q - 1) * t + 1))
    out[:, :, ::s, ::t] = a
    return out


def sized(a: Array, shape: Any) -> Array:
    """Cut, or filled up with zeros, at the end."""
    out = np.zeros((*a.shape[:2], *shape))
    p, q = (min(s, t) for s, t in zip(a.shape[2:], shape, strict=True))
    out[:, :, :p, :q] = a[:, :, :p, :q]
    return out


def correlate(a: Array, w: Array) -> Array:
    if any(n < r for n, r in zip(a.shape[2:], w.shape[2:], strict=True)):
        return np.zeros((a.shape[0], w.shape[0], 0, 0))
    return np.einsum("nchwrs,kcrs->nkhw", sliding_window_view(a, w.shape[2:], (2, 3)), w)


def turned(w: Array) -> Array:
    return w[:, :, ::-1, ::-1]


def square(a: Array) -> bool:
    return a.shape[-1] == a.shape[-2]


def by_groups(f: Callable[..., Array], groups: int, **cut: tuple[Array, int]) -> Array:
    """Run f on every group and join the results along the channels (or filters)."""
    parts = []
    for j in range(groups):
        given = {}
        for name, (a, axis) in cut.items():
            size = a.shape[axis] // groups
            given[name] = np.take(a, range(j * size, (j + 1) * size), axis)
        parts.append(f(**given))
    return parts


# Convolution


def effective(v: Given) -> tuple[int, int]:
    return tuple(
        d * (r - 1) + 1 for d, r in zip(v.per_axis("dilation"), v.w.shape[2:], strict=True)
    )


def leftover(v: Given, size: Any = None) -> tuple[int, int]:
    sizes = v.x.shape[2:] if size is None else size
    zipped = zip(sizes, v.sides, effective(v), v.per_axis("stride"), strict=True)
    return tuple((h + a + b - e) % s for h, (a, b), e, s in zipped)


def conv_dx(
    v: Given, *, turn: Any = turned, swap: Any = None, spread: Any = dilate, steps: Any = None,
    gaps: Any = None, reach: Any = None, before: Any = None, after: Any = None, g: Any = None,
    mixed: bool = False,
) -> Array | None:  # fmt: skip
    """Dilate, pad, turn, correlate; a mistake replaces one of the steps."""
    groups = v.options.get("groups", 1)
    e = effective(v) if reach is None else reach
    rest = leftover(v)
    pb = before or (lambda i: e[i] - 1 - v.sides[i][0])
    pa = after or (lambda i: e[i] - 1 - v.sides[i][1] + rest[i])
    sides = [(pb(i), pa(i)) for i in range(2)]
    gaps = v.per_axis("dilation") if gaps is None else gaps
    steps = v.per_axis("stride") if steps is None else steps
    swap = swap or (lambda w: w.transpose(1, 0, 2, 3))

    def one(g: Array, w: Array) -> Array:
        kernel = dilate(swap(turn(w)), gaps)
        return sized(correlate(pad(spread(g, steps), sides), kernel), v.x.shape[2:])

    parts = by_groups(one, groups, g=(v.g if g is None else g, 1), w=(v.w, 0))
    if mixed:
        return np.stack(parts, 2).reshape(v.x.shape)
    return np.concatenate(parts, 1)


def scatter(v: Given, last_filter: bool = False) -> Array:
    """Patches written over each other."""
    wide = np.zeros_like(pad(v.x, [(a, max(b, 0)) for a, b in v.sides]))
    groups, (s, t), (d, e) = (
        v.options.get("groups", 1),
        v.per_axis("stride"),
        v.per_axis("dilation"),
    )
    r, q = effective(v)
    k, c = v.w.shape[0] // groups, v.w.shape[1]
    for i in range(v.g.shape[2]):
        for j in range(v.g.shape[3]):
            for group in range(groups):
                w, g = v.w[group * k : (group + 1) * k], v.g[:, group * k : (group + 1) * k, i, j]
                if last_filter:
                    w, g = w[-1:], g[:, -1:]
                patch = np.einsum("nk,kcrs->ncrs", g, w)
                at = (
                    slice(None), slice(group * c, (group + 1) * c),
                    slice(i * s, i * s + r, d), slice(j * t, j * t + q, e),
                )  # fmt: skip
                wide[at] = patch
    (a, _), (b, _) = v.sides
    return wide[:, :, a : a + v.x.shape[2], b : b + v.x.shape[3]]


def last_only(v: Given) -> Array | None:
    groups = v.options.get("groups", 1)
    k = v.w.shape[0] // groups
    if k == 1:
        return None
    g = np.zeros_like(v.g)
    g[:, k - 1 :: k] = v.g[:, k - 1 :: k]
    return conv_dx(v, g=g)


def corner(g: Array, steps: Any) -> Array:
    return sized(g, dilate(g, steps).shape[2:])


def cropped_in_front(v: Given) -> Array:
    full_size = tuple(n + a + b for n, (a, b) in zip(v.x.shape[2:], v.sides, strict=True))
    wide = Given(
        {**v.arrays, "x": np.zeros((*v.x.shape[:2], *full_size))}, {**v.options, "padding": 0}
    )
    full = conv_dx(wide)
    (a, b), (c, d) = v.sides
    return full[:, :, a + b :, c + d :]


def plus_one(values: Any) -> tuple[int, ...]:
    return tuple(n + 1 for n in values)


def wider(v: Given) -> tuple[int, ...]:
    gaps = plus_one(v.per_axis("dilation"))
    return tuple(d * (r - 1) + 1 for d, r in zip(gaps, v.w.shape[2:], strict=True))


CONV_DX: dict[str, Wrong] = {
    "kernel not turned": lambda v: conv_dx(v, turn=lambda w: w),
    "kernel turned by 90 degrees": lambda v: (
        conv_dx(v, turn=lambda w: np.rot90(w, 1, (2, 3))) if square(v.w) else None
    ),
    "kernel transposed": lambda v: (
        conv_dx(v, turn=lambda w: w.swapaxes(2, 3)) if square(v.w) else None
    ),
    "only the rows of the kernel turned": lambda v: conv_dx(v, turn=lambda w: w[:, :, ::-1]),
    "only the columns of the kernel turned": lambda v: conv_dx(v, turn=lambda w: w[..., ::-1]),
    "channels of the kernel not exchanged": lambda v: conv_dx(
        v, swap=lambda w: w.reshape(w.shape[1], w.shape[0], *w.shape[2:]),
        turn=turned,
    ),
    "groups mixed": lambda v: (
        conv_dx(v, mixed=True) if v.options.get("groups", 1) > 1 and v.w.shape[1] > 1 else None
    ),
    "only one filter handed back": last_only,
    "stride not undone": lambda v: conv_dx(v, spread=corner),
    "gradient repeated instead of dilated": lambda v: conv_dx(
        v, spread=lambda g, s: np.repeat(np.repeat(g, s[0], 2), s[1], 3)
    ),
    "one zero too many between the gradients": lambda v: conv_dx(
        v, spread=lambda g, s: dilate(g, plus_one(s)), after=lambda i: 30
    ),
    "remainder split to both sides": lambda v: (
        conv_dx(v, before=lambda i: effective(v)[i] - 1 - v.sides[i][0] + leftover(v)[i] // 2)
        if max(leftover(v)) > 1 else None
    ),
    "remainder put in front": lambda v: conv_dx(
        v, before=lambda i: effective(v)[i] - 1 - v.sides[i][0] + leftover(v)[i],
        after=lambda i: effective(v)[i] - 1 - v.sides[i][1],
    ),
    "remainder ignored": lambda v: conv_dx(
        v, after=lambda i: effective(v)[i] - 1 - v.sides[i][1]
    ),
    "kernel not dilated": lambda v: conv_dx(v, gaps=(1, 1), after=lambda i: 30),
    "padding computed from the taps": lambda v: conv_dx(
        v, before=lambda i: v.w.shape[2 + i] - 1 - v.sides[i][0], after=lambda i: 30
    ),
    "dilation counted from 0": lambda v: conv_dx(
        v, gaps=plus_one(v.per_axis("dilation")), reach=wider(v), after=lambda i: 30
    ),
    "padding p instead of e-1-p": lambda v: conv_dx(
        v, before=lambda i: v.sides[i][0], after=lambda i: 30
    ),
    "valid instead of full": lambda v: conv_dx(v, before=lambda i: 0, after=lambda i: 0),
    "padding not cropped": lambda v: conv_dx(
        v, before=lambda i: effective(v)[i] - 1, after=lambda i: 30
    ),
    "padding cropped in front only": cropped_in_front,
    "sides of the padding swapped": lambda v: conv_dx(
        v, before=lambda i: effective(v)[i] - 1 - v.sides[i][1], after=lambda i: 30
    ),
    "padding off by one": lambda v: conv_dx(
        v, before=lambda i: effective(v)[i] - v.sides[i][0], after=lambda i: 30
    ),
    "overwritten where windows overlap": scatter,
    "upstream gradient dropped": lambda v: conv_dx(v, g=np.ones_like(v.g)),
    "upstream gradient turned": lambda v: conv_dx(v, g=turned(v.g)),
    "upstream gradient transposed": lambda v: (
        conv_dx(v, g=v.g.swapaxes(2, 3)) if square(v.g) else None
    ),
}  # fmt: skip


def conv_dw(
    v: Given, *, spread: Any = dilate, steps: Any = None, gaps: Any = None, sides: Any = None,
    cut: Any = None, x: Any = None, g: Any = None, mixed: bool = False,
) -> Array:  # fmt: skip
    """Correlate the padded input with the dilated gradient; keep every D-th of the first rows."""
    groups = v.options.get("groups", 1)
    steps = v.per_axis("stride") if steps is None else steps
    gaps = v.per_axis("dilation") if gaps is None else gaps
    sides = v.sides if sides is None else sides
    x, g = v.x if x is None else x, v.g if g is None else g
    cut = cut or (lambda dw: sized(dw, v.w.shape[2:]))
    if mixed:
        x = np.concatenate([x[:, j::groups] for j in range(groups)], 1)

    def one(x: Array, g: Array) -> Array:
        wide, upstream = pad(x, sides), spread(g, steps)
        short = [max(0, m - n) for n, m in zip(wide.shape[2:], upstream.shape[2:], strict=True)]
        wide = pad(wide, [(0, n) for n in short])
        seen = sliding_window_view(wide, upstream.shape[2:], (2, 3))
        dw = np.einsum("nchwrs,nkrs->kchw", seen, upstream)
        return cut(dw[:, :, :: gaps[0], :: gaps[1]])

    return np.concatenate(by_groups(one, groups, x=(x, 1), g=(g, 1)), 0)


def last_rows(v: Given) -> Array | None:
    """The correlation has rows to spare; the last ones are kept."""
    more = [n // d for n, d in zip(leftover(v), v.per_axis("dilation"), strict=True)]
    if not any(more):
        return None
    r, s = v.w.shape[2:]
    return conv_dw(v, cut=lambda dw: dw[:, :, more[0] : more[0] + r, more[1] : more[1] + s])


def surplus(v: Given) -> Array | None:
    more = [n // d for n, d in zip(leftover(v), v.per_axis("dilation"), strict=True)]
    r, s = v.w.shape[2:]
    return conv_dw(v, cut=lambda dw: dw[:, :, : r + more[0], : s + more[1]]) if any(more) else None


def one_position(v: Given) -> Array:
    g = np.zeros_like(v.g)
    g[:, :, -1, -1] = v.g[:, :, -1, -1]
    return conv_dw(v, g=g)


def swapped_channels(v: Given) -> Array | None:
    return v_dw.transpose(1, 0, 2, 3) if (v_dw := conv_dw(v)).shape[0] == v_dw.shape[1] else None


def zeros_after(v: Given) -> Any:
    return [(a, b + 30) for a, b in v.sides]


CONV_DW: dict[str, Wrong] = {
    "weight gradient turned": lambda v: turned(conv_dw(v)),
    "weight gradient turned by 90 degrees": lambda v: (
        np.rot90(conv_dw(v), 1, (2, 3)) if square(v.w) else None
    ),
    "weight gradient transposed": lambda v: conv_dw(v).swapaxes(2, 3) if square(v.w) else None,
    "convolution instead of correlation": lambda v: conv_dw(v, g=turned(v.g)),
    "upstream gradient transposed in the weight gradient": lambda v: (
        conv_dw(v, g=v.g.swapaxes(2, 3)) if square(v.g) else None
    ),
    "channels of the weight gradient exchanged": swapped_channels,
    "groups mixed in the weight gradient": lambda v: (
        conv_dw(v, mixed=True) if v.options.get("groups", 1) > 1 and v.w.shape[1] > 1 else None
    ),
    "weight gradient not summed over the batch": lambda v: conv_dw(v, x=v.x[:1], g=v.g[:1]),
    "weight gradient of one position": one_position,
    "stride not undone in the weight gradient": lambda v: conv_dw(
        v, spread=lambda g, s: g
    ),
    "one zero too many in the weight gradient": lambda v: conv_dw(
        v, steps=plus_one(v.per_axis("stride")), sides=zeros_after(v)
    ),
    "last rows of the weight gradient kept": last_rows,
    "surplus rows of the weight gradient kept": surplus,
    "dilation not undone in the weight gradient": lambda v: conv_dw(v, gaps=(1, 1)),
    "dilation counted from 0 in the weight gradient": lambda v: conv_dw(
        v, gaps=plus_one(v.per_axis("dilation")), sides=zeros_after(v)
    ),
    "input not padded in the weight gradient": lambda v: conv_dw(
        v, sides=[(0, b + a) for a, b in v.sides]
    ),
    "sides of the padding swapped in the weight gradient": lambda v: conv_dw(
        v, sides=[(b, a + 30) for a, b in v.sides]
    ),
    "padding off by one in the weight gradient": lambda v: conv_dw(
        v, sides=[(a - 1, b + 30) for a, b in v.sides]
    ),
    "upstream gradient dropped in the weight gradient": lambda v: conv_dw(v, g=np.ones_like(v.g)),
}  # fmt: skip

DB: dict[str, Wrong] = {
    "bias not summed over the positions": lambda v: v.g[:, :, 0, 0].sum(0),
    "bias not summed over the batch": lambda v: v.g[0].sum((1, 2)),
    "bias summed over the wrong axes": lambda v: v.g.sum((1, 2, 3)),
    "upstream gradient dropped in the bias gradient": lambda v: np.full(
        v.g.shape[1], v.g.size / v.g.shape[1]
    ),
}


# Transposed convolution: the adjoint of a convolution with x for g; g is as large as its input


def convolve(
    v: Given, g: Array | None = None, *, turn: Any = lambda w: w, steps: Any = None,
    gaps: Any = None, sides: Any = None, swap: Any = lambda w: w, mixed: bool = False,
) -> Array:  # fmt: skip
    """δx = a correlation of g with the kernel as it is, in steps of S."""
    groups = v.options.get("groups", 1)
    g = v.g if g is None else g
    steps = v.per_axis("stride") if steps is None else steps
    gaps = v.per_axis("dilation") if gaps is None else gaps
    sides = [(a, b + 30) for a, b in v.sides] if sides is None else sides
    if mixed:
        g = np.concatenate([g[:, j::groups] for j in range(groups)], 1)

    def one(g: Array, w: Array) -> Array:
        z = correlate(pad(g, sides), dilate(swap(turn(w)), gaps))
        return sized(z[:, :, :: steps[0], :: steps[1]], v.x.shape[2:])

    return np.concatenate(by_groups(one, groups, g=(g, 1), w=(v.w, 0)), 1)


def without_last_rows(v: Given) -> Array | None:
    rows = v.per_axis("output_padding", 0)
    if not any(rows):
        return None
    g = v.g.copy()
    g[:, :, g.shape[2] - rows[0] :] = 0
    g[:, :, :, g.shape[3] - rows[1] :] = 0
    return convolve(v, g)


def last_channel(v: Given) -> Array | None:
    c = v.w.shape[1]
    if c == 1:
        return None
    g = np.zeros_like(v.g)
    g[:, c - 1 :: c] = v.g[:, c - 1 :: c]
    return convolve(v, g)


TRANSPOSED_DX: dict[str, Wrong] = {
    "kernel turned in the gradient of a transposed convolution": lambda v: convolve(v, turn=turned),
    "kernel turned by 90 degrees": lambda v: (
        convolve(v, turn=lambda w: np.rot90(w, 1, (2, 3))) if square(v.w) else None
    ),
    "kernel transposed": lambda v: (
        convolve(v, turn=lambda w: w.swapaxes(2, 3)) if square(v.w) else None
    ),
    "rows of the kernel turned": lambda v: convolve(v, turn=lambda w: w[:, :, ::-1]),
    "columns of the kernel turned": lambda v: convolve(v, turn=lambda w: w[..., ::-1]),
    "channels of the kernel exchanged": lambda v: (
        convolve(v, swap=lambda w: w.transpose(1, 0, 2, 3))
        if v.w.shape[0] == v.w.shape[1] * v.options.get("groups", 1) else None
    ),
    "groups mixed": lambda v: (
        convolve(v, mixed=True) if v.options.get("groups", 1) > 1 and v.w.shape[1] > 1 else None
    ),
    "only one output channel counted": last_channel,
    "stride lost": lambda v: convolve(v, steps=(1, 1)),
    "stride too large by one": lambda v: convolve(v, steps=plus_one(v.per_axis("stride"))),
    "wrong row read": lambda v: convolve(v, sides=[(a - 1, b + 30) for a, b in v.sides]),
    "kernel not dilated": lambda v: convolve(v, gaps=(1, 1)),
    "dilation counted from 0": lambda v: convolve(v, gaps=plus_one(v.per_axis("dilation"))),
    "cropping not undone": lambda v: convolve(v, sides=[(0, 30), (0, 30)]),
    "sides of the padding swapped": lambda v: convolve(
        v, sides=[(b, a + 30) for a, b in v.sides]
    ),
    "output_padding taken for zeros": without_last_rows,
    "upstream gradient dropped": lambda v: convolve(v, np.ones_like(v.g)),
}  # fmt: skip


def flipped_roles(wrong: Wrong) -> Wrong:
    """A weight mistake of the convolution that this is the adjoint of: x and g change places."""

    def made(v: Given) -> Any:
        back = Given({**v.arrays, "x": v.g, "g": v.x}, v.options)
        return wrong(back)

    return made


TRANSPOSED_DW = {
    name: flipped_roles(wrong)
    for name, wrong in CONV_DW.items()
    if "upstream" not in name
} | {
    "upstream gradient dropped in the weight gradient": lambda v: conv_dw(
        Given({**v.arrays, "x": np.ones_like(v.g), "g": v.x}, v.options)
    ),
}  # fmt: skip


# Factors


def scaled(factor: Callable[[Given], float | None]) -> Callable[[Callable[[Given], Array]], Wrong]:
    def of(right: Callable[[Given], Array]) -> Wrong:
        def wrong(v: Given) -> Any:
            by = factor(v)
            return None if by is None or by == 1 else by * right(v)

        return wrong

    return of


def positions(v: Given) -> int:
    return int(np.prod(v.g.shape[2:]))


FACTORS: dict[str, Callable[[Given], float | None]] = {
    "sign reversed": lambda v: -1.0,
    "averaged over the batch": lambda v: 1 / v.x.shape[0],
    "multiplied by the batch": lambda v: float(v.x.shape[0]),
    "averaged over the positions": lambda v: 1 / positions(v),
    "averaged over batch and positions": lambda v: 1 / (v.x.shape[0] * positions(v)),
    "divided by the cells of the window": lambda v: 1 / np.prod(v.w.shape[2:]),
    "multiplied by the cells of the window": lambda v: float(np.prod(v.w.shape[2:])),
    "counted twice": lambda v: 2.0,
    "halved": lambda v: 0.5,
}


class Entries(dict[str, Wrong]):
    """Wrong gradients by the names of their mistakes, and the right one."""

    right: Callable[[Given], Array]


def with_factors(
    gradient: str, entries: dict[str, Wrong], right: Callable[[Given], Array],
    names: tuple[str, ...] = tuple(FACTORS), factors: Any = None,
) -> Entries:  # fmt: skip
    known = FACTORS | (factors or {})
    made = Entries(entries | {f"{name} ({gradient})": scaled(known[name])(right) for name in names})
    made.right = right
    return made


def right_db(v: Given) -> Array:
    return v.g.sum((0, 2, 3))


CONV_TABLE = {
    "dx": with_factors("dx", CONV_DX, lambda v: conv_dx(v)),
    "dw": with_factors("dw", CONV_DW, lambda v: conv_dw(v)),
    "db": with_factors("db", DB, right_db),
}
TRANSPOSED_TABLE = {
    "dx": with_factors("dx", TRANSPOSED_DX, lambda v: convolve(v)),
    "dw": with_factors("dw", TRANSPOSED_DW, flipped_roles(conv_dw)),
    "db": with_factors("db", DB, right_db),
}
WINDOWED: dict[str, dict[str, Entries]] = {
    "conv2d": CONV_TABLE,
    "conv_transpose2d": TRANSPOSED_TABLE,
}
