"""Running a model over data without training it: numbers, scores, probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from rot180.core import Tensor, no_grad, tensor
from rot180.errors import DataError
from rot180.ops import cross_entropy
from rot180.train.metrics import TopK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from rot180.nn import Module

    Loss: TypeAlias = Callable[[Tensor, Any], Tensor]

__all__ = ["Batches", "Tally", "as_input", "evaluate", "judge", "predict", "probabilities"]


class Batches(Protocol):
    """Batches (x, y) that can be gone through again and again, and counted: a `DataLoader`."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[Any, Any]]: ...


class Tally:
    """The mean loss over images and, for a classifier, the accuracy, over many batches."""

    def __init__(self) -> None:
        self._loss = 0.0
        self._count = 0
        self._top: dict[int, TopK] = {}

    def update(self, loss: float, output: NDArray[Any], labels: Any) -> None:
        """Count a batch: its mean loss, the model's output, and the labels."""
        rows = len(output) if output.ndim else 1
        self._loss += loss * rows
        self._count += rows
        truth = np.asarray(labels)
        if output.ndim == 2 and truth.ndim == 1 and truth.dtype.kind in "iu":
            for k in (1, 5) if output.shape[1] > 5 else (1,):
                self._top.setdefault(k, TopK(k)).update(output, truth)

    def compute(self) -> dict[str, float]:
        """The key "loss", for a classifier "accuracy", and above five classes "top5_accuracy"."""
        numbers = {"loss": self._loss / self._count} if self._count else {}
        for k, meter in self._top.items():
            numbers["accuracy" if k == 1 else f"top{k}_accuracy"] = meter.compute()
        return numbers

    def state_dict(self) -> dict[str, Any]:
        """The sums so far."""
        top = [[k, meter.correct, meter.count] for k, meter in self._top.items()]
        return {"loss": self._loss, "count": self._count, "top": top}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on counting from there."""
        self._loss, self._count, self._top = state["loss"], state["count"], {}
        for k, correct, count in state["top"]:
            self._top[k] = TopK(k)
            self._top[k].correct, self._top[k].count = correct, count


def as_input(x: Any, model: Module) -> Tensor:
    """A batch as a tensor; floats take the type of the model's parameters."""
    if isinstance(x, Tensor):
        return x
    values = np.asarray(x)
    first = next(iter(model.parameters()), None)
    if first is not None and values.dtype.kind == "f" and values.dtype != first.dtype:
        values = values.astype(first.dtype)
    return tensor(values)


def evaluate(
    model: Module,
    batches: Batches,
    *,
    loss: Loss = cross_entropy,
    limit_batches: int | None = None,
) -> dict[str, float]:
    """The model's numbers on data, in evaluation mode and without a graph.

    Args:
        model: left in the mode it was in.
        batches: a `DataLoader`, or anything that gives (x, y) and has a length.
        loss: (output, y) to a scalar, the mean over the batch.
        limit_batches: look at so many only.

    Returns:
        "loss", and for a classifier "accuracy" and (above five classes) "top5_accuracy".

    Raises:
        DataError: there is no batch.
    """
    tally = Tally()
    for output, y in _outputs(model, batches, limit_batches):
        tally.update(float(loss(output, y).item()), output.numpy(), y)
    numbers = tally.compute()
    if not numbers:
        raise DataError("evaluate: there is no batch", got="an empty data set")
    return numbers


def judge(model: Module, batches: Batches) -> tuple[dict[str, float], NDArray[Any], NDArray[Any]]:
    """`evaluate` and `predict` of a classifier in one pass: its numbers, outputs and labels."""
    tally = Tally()
    outputs, labels = [], []
    for output, y in _outputs(model, batches, None):
        tally.update(float(cross_entropy(output, y).item()), output.numpy(), y)
        outputs.append(output.numpy().copy())
        labels.append(np.asarray(y))
    if not outputs:
        raise DataError("evaluate: there is no batch", got="an empty data set")
    return tally.compute(), np.concatenate(outputs), np.concatenate(labels)


def predict(
    model: Module, batches: Batches, *, limit_batches: int | None = None
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The model's outputs for all batches, and the labels that came with them.

    Args:
        model: left in the mode it was in.
        batches: a `DataLoader`, or anything that gives (x, y) and has a length.
        limit_batches: look at so many only.

    Returns:
        (outputs (N, ...), labels (N,)), in the order of the batches.

    Raises:
        DataError: there is no batch.
    """
    outputs, labels = [], []
    for output, y in _outputs(model, batches, limit_batches):
        outputs.append(output.numpy().copy())
        labels.append(np.asarray(y))
    if not outputs:
        raise DataError("predict: there is no batch", got="an empty data set")
    return np.concatenate(outputs), np.concatenate(labels)


def probabilities(scores: NDArray[Any]) -> NDArray[Any]:
    """Softmax over the last axis: (N, classes) scores to rows that sum to 1.

    >>> probabilities(np.zeros((1, 4)))
    array([[0.25, 0.25, 0.25, 0.25]])
    """
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _outputs(
    model: Module, batches: Batches, limit: int | None
) -> Iterator[tuple[Tensor, NDArray[Any]]]:
    was_training = model.training
    model.eval()
    try:
        for number, (x, y) in enumerate(batches):
            if limit is not None and number >= limit:
                break
            with no_grad():
                output = model(as_input(x, model))
            yield output, y
    finally:
        model.train(was_training)
