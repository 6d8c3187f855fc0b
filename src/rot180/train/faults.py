"""When numbers go wrong: which epoch and batch, which operation, and what to try."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import detect_anomaly
from rot180.errors import MissingExtraError, NumericsError, Rot180Error
from rot180.train.modes import as_input

if TYPE_CHECKING:
    from rot180.nn import Module
    from rot180.train.evaluation import Loss

__all__ = ["explain_non_finite", "located", "require_finite"]


def located(error: Rot180Error, where: str) -> Rot180Error:
    """The same error, saying where in the training it happened."""
    if isinstance(error, MissingExtraError) or str(error).startswith(where):
        return error
    return type(error)(f"{where}: {error}")


def _broken_weight(model: Module) -> str | None:
    for name, parameter in model.named_parameters():
        if not np.isfinite(parameter.numpy()).all():
            return name
    return None


def require_finite(model: Module, where: str, rate: float) -> None:
    """Hold a model to finite weights before they are kept.

    Raises:
        NumericsError: a weight is NaN or infinite; names it.
    """
    name = _broken_weight(model)
    if name is not None:
        raise NumericsError(
            f"{where}: the update has made the weights of {name} NaN or infinite",
            rule=f"lower the learning rate (now {rate:g}) or clip the gradients",
        )


def explain_non_finite(
    model: Module, loss: Loss, x: Any, y: Any, where: str, rate: float
) -> NumericsError:
    """The error for a loss that is NaN or infinite: runs the batch again to find the operation.

    Args:
        model: with the weights that gave the loss, and the random state from before the batch.
        loss: the loss function.
        x: the batch's input.
        y: the batch's labels.
        where: the epoch and the batch, in words.
        rate: the learning rate.
    """
    advice = f"lower the learning rate (now {rate:g}) or clip the gradients"
    name = _broken_weight(model)
    if name is not None:
        return NumericsError(
            f"{where}: the loss is not finite, for the weights of {name} are not since the update "
            "before",
            rule=advice,
        )
    values = np.asarray(x)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        return NumericsError(
            f"{where}: the loss is not finite, for the input holds NaN or infinity",
            rule="look at the data and its transforms",
        )
    try:
        with detect_anomaly():
            value = float(loss(model(as_input(x, model)), y).item())
    except NumericsError as error:
        return NumericsError(f"{where}: the loss is not finite: {error}", rule=advice)
    kind = "NaN" if math.isnan(value) else "infinite"
    called = getattr(loss, "__name__", type(loss).__name__)
    return NumericsError(f"{where}: the loss is {kind}, first in {called}", rule=advice)
