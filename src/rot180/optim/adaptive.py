"""RMSprop and Adagrad: steps divided by the root of past squared gradients."""

from __future__ import annotations

import functools

from rot180.core.expression import sqrt, variable
from rot180.optim.law import ZERO, Law, decayed
from rot180.optim.optimizer import Group, Optimizer, Parameters, at_least, below_one

__all__ = ["Adagrad", "RMSprop"]


class RMSprop(Optimizer):
    """s ← α·s + (1−α)·g²;  p ← p − lr·g / (√s + ε).

    Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012.

    Args:
        params: the parameters, or dicts of `params` and settings of their own.
        lr: length of a step.
        alpha: α, how much of the running square is kept.
        eps: ε, keeps the divisor away from 0.
        weight_decay: λ; adds λ·p to the gradient.
        momentum: keep this part of the last (scaled) step.
        centered: divide by the running standard deviation instead of the root mean square.

    Raises:
        ArgumentError: a negative setting, or α outside 0 <= α < 1.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "centered": centered,
        }
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        for key in ("lr", "eps", "weight_decay", "momentum"):
            at_least(f"RMSprop: {key}", group[key])
        below_one("RMSprop: alpha", group["alpha"])

    def law(self, group: Group) -> Law:
        """The law as the settings stand."""
        return _rmsprop(*(bool(group[key]) for key in ("momentum", "centered", "weight_decay")))


@functools.lru_cache(maxsize=8)
def _rmsprop(momentum: bool, centered: bool, weight_decay: bool) -> Law:
    d, assignments = decayed(weight_decay)
    p, s, b, mean = map(variable, ("p", "square_avg", "momentum_buffer", "grad_avg"))
    lr, eps, alpha = map(variable, ("lr", "eps", "alpha"))
    moves = [*assignments, ("square_avg", s * alpha + d * d * (1.0 - alpha))]
    states = ["square_avg", *(["momentum_buffer"] if momentum else [])]
    root = sqrt(s)
    if centered:
        moves.append(("grad_avg", mean + (d - mean) * (1.0 - alpha)))
        states.append("grad_avg")
        root = sqrt(s - mean * mean)
    scaled = d / (root + eps)
    if momentum:
        moves.append(("momentum_buffer", b * variable("momentum") + scaled))
        scaled = b
    moves.append(("p", p - scaled * lr))
    return Law(tuple(moves), tuple((name, ZERO) for name in states))


class Adagrad(Optimizer):
    """s ← s + g²;  p ← p − lr/(1 + (t−1)·lr_decay) · g / (√s + ε).

    Duchi, Hazan and Singer, "Adaptive subgradient methods", 2011.

    Args:
        params: the parameters, or dicts of `params` and settings of their own.
        lr: length of the first steps.
        lr_decay: how fast lr shrinks with the number of steps t.
        weight_decay: λ; adds λ·p to the gradient.
        initial_accumulator_value: where s starts.
        eps: ε, keeps the divisor away from 0.

    Raises:
        ArgumentError: a negative setting.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "eps": eps,
        }
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        for key, setting in group.items():
            if key != "params":
                at_least(f"Adagrad: {key}", setting)

    def law(self, group: Group) -> Law:
        """The law as the settings stand."""
        return _adagrad(bool(group["weight_decay"]))


@functools.lru_cache(maxsize=2)
def _adagrad(weight_decay: bool) -> Law:
    d, assignments = decayed(weight_decay)
    p, s, lr, eps = map(variable, ("p", "sum", "lr", "eps"))
    rate = lr / (1.0 + (variable("step") - 1.0) * variable("lr_decay"))
    return Law(
        (*assignments, ("sum", s + d * d), ("p", p - d / (sqrt(s) + eps) * rate)),
        (("sum", variable("initial_accumulator_value")),),
    )
