"""Losses as modules, and the penalty on weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import rot180.nn.functional as F
from rot180.core import ArrayLike, Tensor, tensor
from rot180.errors import ArgumentError
from rot180.nn.arguments import probability
from rot180.nn.module import Module

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "HuberLoss",
    "KLDivLoss",
    "L1Loss",
    "L2Penalty",
    "MSELoss",
    "NLLLoss",
    "SmoothL1Loss",
]


class _Loss(Module):
    """A loss with a reduction: "mean", "sum" or "none"."""

    def _reduce_by(self, reduction: str) -> str:
        allowed = ("mean", "sum", "none", "batchmean")[: 4 if isinstance(self, KLDivLoss) else 3]
        if reduction not in allowed:
            raise ArgumentError(
                f"{type(self).__name__}: reduction",
                expected=" or ".join(allowed),
                got=repr(reduction),
            )
        return reduction

    def _keep(self, name: str, value: ArrayLike | None) -> None:
        self.register_buffer(name, None if value is None else tensor(value))


class CrossEntropyLoss(_Loss):
    """−Σ_c t_c · ln softmax(x)_c; the input is logits, not probabilities.

    Args:
        weight: (C,), a factor for every class; "mean" then divides by the factors' sum.
        ignore_index: targets of this index count nowhere.
        reduction: "mean", "sum" or "none".
        label_smoothing: ε: t becomes (1 − ε)·t + ε/C.

    Raises:
        ArgumentError: an unknown reduction, or label_smoothing outside 0 to 1.

    >>> loss = CrossEntropyLoss()
    >>> round(loss(tensor([[2.0, 0.0]]), tensor([0])).item(), 4)
    0.1269
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
    ) -> None:
        self._keep("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = self._reduce_by(reduction)
        self.label_smoothing = probability(self, label_smoothing, "label_smoothing")

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Logits (N, C, ...), and class indices (N, ...) or probabilities (N, C, ...)."""
        return F.cross_entropy(
            input,
            target,
            self.weight,
            self.ignore_index,
            self.reduction,
            self.label_smoothing,
        )


class NLLLoss(_Loss):
    """−weight[y] · x[y] of log-probabilities x.

    Args:
        weight: (C,), a factor for every class; "mean" then divides by the factors' sum.
        ignore_index: targets of this index count nowhere.
        reduction: "mean", "sum" or "none".
    """

    weight: Tensor | None

    def __init__(
        self,
        weight: ArrayLike | None = None,
        ignore_index: int = -100,
        reduction: str = "mean",
    ) -> None:
        self._keep("weight", weight)
        self.ignore_index = ignore_index
        self.reduction = self._reduce_by(reduction)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Log-probabilities (N, C, ...) and class indices (N, ...)."""
        return F.nll_loss(input, target, self.weight, self.ignore_index, self.reduction)


class MSELoss(_Loss):
    """(x − y)².

    Args:
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = self._reduce_by(reduction)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Two arrays of one shape."""
        return F.mse_loss(input, target, self.reduction)


class L1Loss(_Loss):
    """|x − y|.

    Args:
        reduction: "mean", "sum" or "none".
    """

    def __init__(self, reduction: str = "mean") -> None:
        self.reduction = self._reduce_by(reduction)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Two arrays of one shape."""
        return F.l1_loss(input, target, self.reduction)


class HuberLoss(_Loss):
    """(x − y)² / 2 up to a distance delta, then the tangent.

    Args:
        reduction: "mean", "sum" or "none".
        delta: the distance, above 0.

    Raises:
        ArgumentError: delta not above 0, or an unknown reduction.
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        if not delta > 0:
            raise ArgumentError("HuberLoss: delta", expected="> 0", got=repr(delta))
        self.reduction = self._reduce_by(reduction)
        self.delta = delta

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Two arrays of one shape."""
        return F.huber_loss(input, target, self.reduction, self.delta)


class SmoothL1Loss(_Loss):
    """(x − y)² / (2·beta) up to a distance beta, then |x − y| − beta/2.

    Args:
        reduction: "mean", "sum" or "none".
        beta: the distance, at least 0.

    Raises:
        ArgumentError: a negative beta, or an unknown reduction.
    """

    def __init__(self, reduction: str = "mean", beta: float = 1.0) -> None:
        if not beta >= 0:
            raise ArgumentError("SmoothL1Loss: beta", expected=">= 0", got=repr(beta))
        self.reduction = self._reduce_by(reduction)
        self.beta = beta

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Two arrays of one shape."""
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class BCELoss(_Loss):
    """−t·ln p − (1 − t)·ln(1 − p) of probabilities p; logits belong to `BCEWithLogitsLoss`.

    Args:
        weight: a factor for every cell, broadcast.
        reduction: "mean", "sum" or "none".
    """

    weight: Tensor | None

    def __init__(self, weight: ArrayLike | None = None, reduction: str = "mean") -> None:
        self._keep("weight", weight)
        self.reduction = self._reduce_by(reduction)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Probabilities and targets of one shape."""
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_Loss):
    """`BCELoss` of sigmoid(x), computed without overflow.

    Args:
        weight: a factor for every cell, broadcast.
        reduction: "mean", "sum" or "none".
        pos_weight: a factor for the positive part, broadcast.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: ArrayLike | None = None,
        reduction: str = "mean",
        pos_weight: ArrayLike | None = None,
    ) -> None:
        self._keep("weight", weight)
        self._keep("pos_weight", pos_weight)
        self.reduction = self._reduce_by(reduction)

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Logits and targets of one shape."""
        return F.binary_cross_entropy_with_logits(
            input, target, self.weight, self.reduction, self.pos_weight
        )


class KLDivLoss(_Loss):
    """t · (ln t − x) of log-probabilities x and probabilities t.

    Args:
        reduction: "mean" (over all cells), "batchmean" (the divergence), "sum" or "none".
        log_target: whether the target is given as its logarithm.
    """

    def __init__(self, reduction: str = "mean", log_target: bool = False) -> None:
        self.reduction = self._reduce_by(reduction)
        self.log_target = log_target

    def forward(self, input: ArrayLike, target: ArrayLike) -> Tensor:
        """Log-probabilities and probabilities of one shape."""
        return F.kl_div(input, target, self.reduction, self.log_target)


class L2Penalty(Module):
    """λ · Σ‖W‖² as part of the loss, with gradient 2·λ·W.

    An optimiser's `weight_decay` is something else: it adds weight_decay · W to the gradient (that
    is the penalty with λ = weight_decay / 2), and AdamW's not even through the gradient.

    Args:
        strength: λ, at least 0.
        biases: whether to count parameters with fewer than two axes (biases and norms' scales) too.

    Raises:
        ArgumentError: a negative λ.

    >>> from rot180 import nn
    >>> layer = nn.Linear(2, 1, init="ones")
    >>> nn.L2Penalty(0.5)(layer).item()
    1.0
    """

    def __init__(self, strength: float, biases: bool = False) -> None:
        if not strength >= 0:
            raise ArgumentError("L2Penalty: strength", expected=">= 0", got=repr(strength))
        self.strength = strength
        self.biases = biases

    def forward(self, source: Module | Iterable[Tensor]) -> Tensor:
        """The penalty of a module's parameters, or of an iterable of tensors."""
        tensors = source.parameters() if isinstance(source, Module) else source
        counted = [t for t in tensors if self.biases or t.ndim > 1]
        return F.l2_penalty(counted, self.strength)
