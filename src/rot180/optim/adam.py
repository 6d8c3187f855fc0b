"""Adam and AdamW: steps scaled by running moments of the gradient, per element."""

from __future__ import annotations

import functools

from rot180.core.expression import sqrt, variable
from rot180.optim.law import ZERO, Law, decayed
from rot180.optim.optimizer import Group, Optimizer, Parameters, at_least, below_one

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """m ← m + (1−β₁)(g−m);  v ← β₂v + (1−β₂)g²;  p ← p − lr·m̂ / (√v̂ + ε).

    m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ) make up for the start from 0; t counts the steps.

    Kingma and Ba, "Adam: a method for stochastic optimization", 2015.

    Args:
        params: the parameters, or dicts of `params` and settings of their own.
        lr: length of a step; early steps have about this size in every element.
        betas: β₁ and β₂, how much of the first and second moment is kept.
        eps: ε, keeps the divisor away from 0.
        weight_decay: λ; adds λ·p to the gradient, so that it is scaled by the moments too (for
            decay apart from them see `AdamW`).

    Raises:
        ArgumentError: a negative setting, or a beta outside 0 <= β < 1.

    >>> from rot180.core import tensor
    >>> p = tensor([1.0, 2.0], requires_grad=True)
    >>> p.grad = tensor([1.0, -100.0])
    >>> Adam([p], lr=0.1).step()
    >>> p.data.round(4)
    array([0.9, 2.1], dtype=float32)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        defaults = {"lr": lr, "betas": tuple(betas), "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        name = type(self).__name__
        for key in ("lr", "eps", "weight_decay"):
            at_least(f"{name}: {key}", group[key])
        for beta in group["betas"]:
            below_one(f"{name}: betas", beta)

    def law(self, group: Group) -> Law:
        """The law as the settings stand."""
        return _law("gradient" if group["weight_decay"] else "none")


class AdamW(Adam):
    """Adam with weight decay apart from the moments: p ← (1 − lr·λ)·p, then Adam's step.

    Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

    Args:
        params: the parameters, or dicts of `params` and settings of their own.
        lr: length of a step.
        betas: how much of the first and second moment is kept.
        eps: keeps the divisor away from 0.
        weight_decay: λ, the part of p that a step of length 1 takes away.

    Raises:
        ArgumentError: a negative setting, or a beta outside 0 <= β < 1.
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay)

    def law(self, group: Group) -> Law:
        """The law as the settings stand."""
        return _law("parameter" if group["weight_decay"] else "none")


@functools.lru_cache(maxsize=4)
def _law(decay: str) -> Law:
    """The law with weight decay in the gradient, of the parameter, or none."""
    d, assignments = decayed(decay == "gradient")
    p, m, v = map(variable, ("p", "exp_avg", "exp_avg_sq"))
    lr, eps, beta1, beta2, t = map(variable, ("lr", "eps", "beta1", "beta2", "step"))
    old = p * (1.0 - lr * variable("weight_decay")) if decay == "parameter" else p
    root = sqrt(v) / sqrt(1.0 - beta2**t) + eps
    return Law(
        (
            *assignments,
            ("exp_avg", m + (d - m) * (1.0 - beta1)),
            ("exp_avg_sq", v * beta2 + d * d * (1.0 - beta2)),
            ("p", old - m / root * (lr / (1.0 - beta1**t))),
        ),
        (("exp_avg", ZERO), ("exp_avg_sq", ZERO)),
    )
