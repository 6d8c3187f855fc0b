"""Bounds on gradients, between the backward pass and the step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from rot180.core import Tensor, apply, pointwise
from rot180.core import expression as e
from rot180.errors import ArgumentError, NumericsError
from rot180.ops import clip, norm, reshape, stack

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["bounded_by_norm", "bounded_by_value", "clip_grad_norm_", "clip_grad_value_"]


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    listed = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [parameter.grad for parameter in listed if parameter.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scale all gradients by one factor so that their joint norm is at most `max_norm`, in place.

    Args:
        parameters: whose gradients; those without one are skipped.
        max_norm: the bound, at least 0.
        norm_type: p of the p-norm over all elements together; `math.inf` for the largest one.
        error_if_nonfinite: raise instead of scaling by a norm that is NaN or infinite.

    Returns:
        The norm before scaling (0 without gradients).

    Raises:
        ArgumentError: a negative bound or a norm_type that is not above 0.
        NumericsError: the norm is not finite and that was to be an error.

    >>> from rot180.core import tensor
    >>> p = tensor([0.0, 0.0], requires_grad=True)
    >>> p.grad = tensor([3.0, 4.0])
    >>> clip_grad_norm_([p], max_norm=1.0), p.grad.data.round(3)
    (5.0, array([0.6, 0.8], dtype=float32))
    """
    if not max_norm >= 0:
        raise ArgumentError("clip_grad_norm_: max_norm", expected=">= 0", got=repr(max_norm))
    if not norm_type > 0:
        raise ArgumentError(
            "clip_grad_norm_: norm_type", expected="> 0 or inf", got=repr(norm_type)
        )
    gradients = _gradients(parameters)
    norms = [
        float(np.linalg.norm(gradient.data.reshape(-1), norm_type))
        for gradient in gradients
        if gradient.size
    ]
    total = float(np.linalg.norm(np.array(norms), norm_type)) if norms else 0.0
    if error_if_nonfinite and not math.isfinite(total):
        raise NumericsError(
            "clip_grad_norm_: the norm of the gradients is not finite",
            got=str(total),
            rule="detect_anomaly() names the operation that made it",
        )
    scale = max_norm / (total + 1e-6)
    if not scale >= 1.0:  # a NaN scale is applied too: it must not hide
        for gradient in gradients:
            gradient.writable()[...] *= scale
    return total


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Bound every element of every gradient to −clip_value ... clip_value, in place.

    Args:
        parameters: whose gradients; those without one are skipped.
        clip_value: the bound, at least 0.

    Raises:
        ArgumentError: a negative bound.
    """
    if not clip_value >= 0:
        raise ArgumentError("clip_grad_value_: clip_value", expected=">= 0", got=repr(clip_value))
    bound = float(clip_value)
    for gradient in _gradients(parameters):
        values = gradient.writable()
        np.clip(values, -bound, bound, out=values)


# The same as operations, for a step that is traced: nothing is changed in place.


def bounded_by_norm(gradients: Sequence[Tensor], max_norm: float) -> tuple[list[Tensor], Tensor]:
    """Gradients scaled as `clip_grad_norm_` does, and the norm before."""
    norms = stack([norm(reshape(g, -1)) for g in gradients])
    total = norm(norms)
    # A NaN scale is no smaller than 1 and is applied, too.
    bound = e.constant(float(max_norm))
    scale = pointwise("clip", lambda x: e.where(bound / (x + 1e-6) >= 1.0, 1.0, bound / (x + 1e-6)))
    return [g * apply(scale, total) for g in gradients], total


def bounded_by_value(gradients: Sequence[Tensor], clip_value: float) -> list[Tensor]:
    """Gradients bounded as `clip_grad_value_` does."""
    return [clip(g, -float(clip_value), float(clip_value)) for g in gradients]
