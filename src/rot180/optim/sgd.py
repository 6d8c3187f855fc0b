"""Stochastic gradient descent, plain, with momentum, and with Nesterov's look ahead."""

from __future__ import annotations

import functools

from rot180.core.expression import variable
from rot180.errors import ArgumentError
from rot180.optim.law import ZERO, Law, decayed
from rot180.optim.optimizer import Group, Optimizer, Parameters, at_least

__all__ = ["SGD"]


class SGD(Optimizer):
    """v ← μ·v + (1 − dampening)·(g + λ·p);  p ← p − lr·v, or with Nesterov p − lr·(g + λ·p + μ·v).

    The first step starts with v = g + λ·p, without dampening, as in PyTorch.

    Args:
        params: the parameters, or dicts of `params` and settings of their own.
        lr: length of a step.
        momentum: μ, the part of the last step that is kept.
        dampening: how much less a new gradient counts beside the momentum.
        weight_decay: λ; pulls p towards 0. It equals the penalty λ/2·‖p‖² in the loss (the
            penalty λ·‖p‖² of `nn.L2Penalty` has the gradient 2·λ·p).
        nesterov: take the gradient's step after the momentum's.

    Raises:
        ArgumentError: a negative setting, or nesterov without momentum or with dampening.

    >>> from rot180.core import tensor
    >>> p = tensor([1.0, 2.0], requires_grad=True)
    >>> p.grad = tensor([1.0, -1.0])
    >>> SGD([p], lr=0.5).step()
    >>> p.data
    array([0.5, 2.5], dtype=float32)
    """

    def __init__(
        self,
        params: Parameters,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
        }
        super().__init__(params, defaults)

    def _check(self, group: Group) -> None:
        for key in ("lr", "momentum", "weight_decay"):
            at_least(f"SGD: {key}", group[key])
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ArgumentError(
                "SGD: nesterov",
                expected="momentum > 0 and dampening = 0",
                got=f"momentum={group['momentum']}, dampening={group['dampening']}",
            )

    def law(self, group: Group) -> Law:
        """The law as the settings stand."""
        return _law(
            bool(group["momentum"]),
            bool(group["dampening"]),
            bool(group["weight_decay"]),
            bool(group["nesterov"]),
        )


@functools.lru_cache(maxsize=16)
def _law(momentum: bool, dampening: bool, weight_decay: bool, nesterov: bool) -> Law:
    d, assignments = decayed(weight_decay and momentum)
    p, v, lr, mu = map(variable, ("p", "momentum_buffer", "lr", "momentum"))
    if not momentum:
        whole = d + variable("weight_decay") * p if weight_decay else d
        return Law((("p", p - whole * lr),))
    # The first step is not dampened.
    lesser = 1.0 - variable("dampening") * (1.0 - variable("first"))
    move = ("momentum_buffer", v * mu + (d * lesser if dampening else d))
    ahead = v * mu + d if nesterov else v
    return Law((*assignments, move, ("p", p - ahead * lr)), (("momentum_buffer", ZERO),))
