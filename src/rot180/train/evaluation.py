"""Running a model over data without training it: numbers, scores, probabilities."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from rot180.errors import DataError
from rot180.ops import cross_entropy
from rot180.train.metrics import TopK, ranks
from rot180.train.step import Eager, compile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from rot180.core import Tensor
    from rot180.nn import Module
    from rot180.train.step import Step

    Loss: TypeAlias = Callable[[Tensor, Any], Tensor]

__all__ = ["Batches", "Tally", "evaluate", "judge", "measure", "predict", "probabilities"]


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
            found = ranks(output, truth)
            for k in (1, 5) if output.shape[1] > 5 else (1,):
                if k not in self._top:
                    self._top[k] = TopK(k)
                self._top[k].count_ranks(found)

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


def evaluate(
    model: Module,
    batches: Batches,
    *,
    loss: Loss = cross_entropy,
    limit_batches: int | None = None,
    eager: bool = False,
) -> dict[str, float]:
    """The model's numbers on data, in evaluation mode and without a graph.

    Args:
        model: left in the mode it was in.
        batches: a `DataLoader`, or anything that gives (x, y) and has a length.
        loss: (output, y) to a scalar, the mean over the batch.
        limit_batches: look at so many only.
        eager: run operation by operation instead of compiled.

    Returns:
        "loss", and for a classifier "accuracy" and (above five classes) "top5_accuracy".

    Raises:
        DataError: there is no batch.
        TraceError: the model cannot be compiled; names the line.
    """
    return measure(_step(model, loss, eager), batches, limit_batches)


def measure(step: Step, batches: Batches, limit_batches: int | None = None) -> dict[str, float]:
    """`evaluate` by a step that there is already."""
    tally = Tally()
    for x, y in _limited(batches, limit_batches):
        tally.update(step.evaluate(x, y), step.output, y)
    numbers = tally.compute()
    if not numbers:
        raise DataError("evaluate: there is no batch", got="an empty data set")
    return numbers


def judge(
    model: Module, batches: Batches, *, eager: bool = False
) -> tuple[dict[str, float], NDArray[Any], NDArray[Any]]:
    """`evaluate` and `predict` of a classifier in one pass: its numbers, outputs and labels."""
    tally, step = Tally(), _step(model, cross_entropy, eager)
    outputs, labels = [], []
    for x, y in batches:
        tally.update(step.evaluate(x, y), step.output, y)
        outputs.append(step.output.copy())
        labels.append(np.asarray(y))
    if not outputs:
        raise DataError("evaluate: there is no batch", got="an empty data set")
    return tally.compute(), np.concatenate(outputs), np.concatenate(labels)


def predict(
    model: Module, batches: Batches, *, limit_batches: int | None = None, eager: bool = False
) -> tuple[NDArray[Any], NDArray[Any]]:
    """The model's outputs for all batches, and the labels that came with them.

    Args:
        model: left in the mode it was in.
        batches: a `DataLoader`, or anything that gives (x, y) and has a length.
        limit_batches: look at so many only.
        eager: run operation by operation instead of compiled.

    Returns:
        (outputs (N, ...), labels (N,)), in the order of the batches.

    Raises:
        DataError: there is no batch.
        TraceError: the model cannot be compiled; names the line.
    """
    step = _step(model, None, eager)
    outputs, labels = [], []
    for x, y in _limited(batches, limit_batches):
        outputs.append(step.predict(x))
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


def _step(model: Module, loss: Loss | None, eager: bool) -> Step:
    step: Step = Eager(model, loss, None) if eager else compile(model, loss)
    return step


def _limited(batches: Batches, limit: int | None) -> Iterator[tuple[Any, Any]]:
    """All batches, or the first so many (none is asked for beyond them)."""
    return iter(batches) if limit is None else islice(batches, limit)
