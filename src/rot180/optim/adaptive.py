"""RMSprop and Adagrad: steps divided by the root of past squared gradients."""

from __future__ import annotations

import numpy as np

from rot180.optim.optimizer import (
    Array,
    Group,
    Optimizer,
    Parameters,
    State,
    at_least,
    below_one,
)

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

    def _update(self, value: Array, gradient: Array, state: State, group: Group) -> None:
        if not state:
            state["square_avg"] = np.zeros_like(value)
            if group["momentum"]:
                state["momentum_buffer"] = np.zeros_like(value)
            if group["centered"]:
                state["grad_avg"] = np.zeros_like(value)
        gradient = self._decayed(value, gradient, float(group["weight_decay"]))
        alpha = float(group["alpha"])
        square, scratch = state["square_avg"], self._scratch(value, 1)
        np.multiply(gradient, gradient, out=scratch)
        scratch *= 1 - alpha
        square *= alpha
        square += scratch
        if group["centered"]:
            mean = state.setdefault("grad_avg", np.zeros_like(value))
            np.subtract(gradient, mean, out=scratch)
            scratch *= 1 - alpha
            mean += scratch
            np.multiply(mean, mean, out=scratch)
            np.subtract(square, scratch, out=scratch)
            np.sqrt(scratch, out=scratch)
        else:
            np.sqrt(square, out=scratch)
        scratch += float(group["eps"])
        np.divide(gradient, scratch, out=scratch)
        if group["momentum"]:
            buffer = state.setdefault("momentum_buffer", np.zeros_like(value))
            buffer *= float(group["momentum"])
            buffer += scratch
            np.multiply(buffer, float(group["lr"]), out=scratch)
        else:
            scratch *= float(group["lr"])
        value -= scratch


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

    def _update(self, value: Array, gradient: Array, state: State, group: Group) -> None:
        if not state:
            state["step"] = 0
            state["sum"] = np.full_like(value, float(group["initial_accumulator_value"]))
        state["step"] += 1
        gradient = self._decayed(value, gradient, float(group["weight_decay"]))
        total, scratch = state["sum"], self._scratch(value, 1)
        np.multiply(gradient, gradient, out=scratch)
        total += scratch
        np.sqrt(total, out=scratch)
        scratch += float(group["eps"])
        np.divide(gradient, scratch, out=scratch)
        scratch *= float(group["lr"]) / (1 + (state["step"] - 1) * float(group["lr_decay"]))
        value -= scratch
