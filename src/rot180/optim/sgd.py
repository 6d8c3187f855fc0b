"""Stochastic gradient descent, plain, with momentum, and with Nesterov's look ahead."""

from __future__ import annotations

import numpy as np

from rot180.errors import ArgumentError
from rot180.optim.optimizer import Array, Group, Optimizer, Parameters, State, at_least

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

    def _update(self, value: Array, gradient: Array, state: State, group: Group) -> None:
        momentum = float(group["momentum"])
        direction = self._decayed(value, gradient, float(group["weight_decay"]))
        step = self._scratch(value, 1)
        if momentum:
            buffer = state.get("momentum_buffer")
            if buffer is None:
                buffer = state["momentum_buffer"] = direction.copy()
            else:
                buffer *= momentum
                if group["dampening"]:
                    np.multiply(direction, 1 - float(group["dampening"]), out=step)
                    buffer += step
                else:
                    buffer += direction
            if group["nesterov"]:
                np.multiply(buffer, momentum, out=step)
                step += direction
                direction = step
            else:
                direction = buffer
        np.multiply(direction, float(group["lr"]), out=step)
        value -= step
