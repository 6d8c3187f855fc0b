"""Mistakes that are nothing but a factor."""

from __future__ import annotations

from collections.abc import Callable

from rot180.check.mistake import Case, Mistake

__all__ = ["factors"]

Factor = Callable[[Case], float | None]


def _over(*names: str) -> Factor:
    def factor(case: Case) -> float | None:
        product = 1
        for name in names:
            if name not in case.facts:
                return None
            product *= case.facts[name]
        return 1 / product

    return factor


def _times(name: str) -> Factor:
    return lambda case: float(case.facts[name]) if name in case.facts else None


_ALL: tuple[tuple[str, str, str, Factor, int], ...] = (
    ("sign reversed", "−{d} instead of {d}", "drop the minus", lambda case: -1.0, 10),
    (
        "averaged over the batch", "{d} / N instead of {d}",
        "sum over the batch; divide once, in the loss", _over("N"), 10,
    ),
    (
        "multiplied by the batch", "N · {d} instead of {d}",
        "the mean's 1/N is missing, or the batch was counted twice", _times("N"), 11,
    ),
    (
        "averaged over the positions", "{d} / (P·Q) instead of {d}",
        "sum over the positions, do not average", _over("positions"), 11,
    ),
    (
        "averaged over batch and positions", "{d} / (N·P·Q) instead of {d}",
        "sum over batch and positions, do not average", _over("N", "positions"), 11,
    ),
    (
        "divided by the cells of the window", "{d} / (R·S) instead of {d}",
        "a convolution is no mean: drop the division", _over("taps"), 12,
    ),
    (
        "multiplied by the cells of the window", "R·S · {d} instead of {d}",
        "divide by the cells of the window once", _times("taps"), 12,
    ),
    (
        "counted twice", "2 · {d} instead of {d}",
        "clear the gradient of an earlier sweep; visit every node once", lambda case: 2.0, 12,
    ),
    ("halved", "{d} / 2 instead of {d}", "the derivative of x² is 2x", lambda case: 0.5, 13),
)  # fmt: skip


def factors(gradient: str, without: tuple[str, ...] = ()) -> tuple[Mistake, ...]:
    """The factors that a gradient may be off by."""
    return tuple(
        Mistake(
            f"{name} ({gradient})", gradient, "scale", algebra.format(d=gradient), fix,
            factor=factor, cost=cost,
        )
        for name, algebra, fix, factor, cost in _ALL
        if name not in without
    )  # fmt: skip
