"""How good predictions are: accuracy, top-k accuracy and the confusion matrix, batch by batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.errors import ArgumentError, DataError, ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ConfusionMatrix", "TopK", "accuracy", "ranks", "top_k_accuracy"]


def ranks(scores: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.int64]:
    """How many classes stand before the true one; equal scores: the lower class index is first."""
    if scores.ndim != 2 or labels.shape != scores.shape[:1]:
        raise ShapeError(
            "accuracy: scores and labels do not fit",
            expected="scores (N, classes) and labels (N,)",
            got=f"{scores.shape} and {labels.shape}",
        )
    _check_labels(labels, scores.shape[1])
    true = scores[np.arange(len(labels)), labels][:, None]
    # "not less or equal", so that a NaN score never counts as right
    before = ~(scores <= true)
    before |= (scores == true) & (np.arange(scores.shape[1]) < labels[:, None])
    return np.asarray(before.sum(axis=1), dtype=np.int64)


def _check_labels(labels: NDArray[Any], classes: int) -> None:
    if labels.dtype.kind not in "iu":
        raise DataError("labels are no class indices", expected="integers", got=str(labels.dtype))
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        first = int(np.argmax(wrong))
        raise DataError(
            "a label is out of range",
            expected=f"0 to {classes - 1} ({classes} classes)",
            got=f"{labels[first]} at position {first}",
        )


def accuracy(scores: NDArray[Any], labels: NDArray[Any]) -> float:
    """The share of rows whose largest score is the true class.

    Args:
        scores: (N, classes) logits or probabilities.
        labels: (N,) class indices.

    Returns:
        A number from 0 to 1; NaN for an empty batch.

    Raises:
        ShapeError: the shapes do not fit.
        DataError: a label is no class.

    >>> accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), np.array([1, 1]))
    0.5
    """
    return top_k_accuracy(scores, labels, 1)


def top_k_accuracy(scores: NDArray[Any], labels: NDArray[Any], k: int = 5) -> float:
    """The share of rows whose true class is among the k largest scores.

    >>> top_k_accuracy(np.array([[0.1, 0.7, 0.2]]), np.array([2]), k=2)
    1.0
    """
    meter = TopK(k)
    meter.update(scores, labels)
    return meter.compute()


class TopK:
    """Top-k accuracy over many batches.

    Args:
        k: how many guesses are allowed, at least 1; 1 is the plain accuracy.

    Raises:
        ArgumentError: k is below 1.

    >>> meter = TopK(1)
    >>> meter.update(np.eye(3), np.array([0, 1, 1]))
    >>> round(meter.compute(), 3)
    0.667
    """

    def __init__(self, k: int = 1) -> None:
        if k < 1:
            raise ArgumentError("top-k accuracy", expected="k >= 1", got=str(k))
        self.k = k
        self.correct = 0
        self.count = 0

    def update(self, scores: NDArray[Any], labels: NDArray[Any]) -> None:
        """Count one batch: scores (N, classes), labels (N,)."""
        self.count_ranks(ranks(scores, labels))

    def count_ranks(self, found: NDArray[np.int64]) -> None:
        """Count one batch by its `ranks`."""
        self.correct += int(np.count_nonzero(found < self.k))
        self.count += len(found)

    def compute(self) -> float:
        """The accuracy so far, from 0 to 1; NaN before the first row."""
        return self.correct / self.count if self.count else float("nan")


class ConfusionMatrix:
    """How often class i (row, true) was taken for class j (column, predicted).

    Args:
        num_classes: at least 1.

    Attributes:
        counts: int64 (num_classes, num_classes).

    >>> matrix = ConfusionMatrix(2)
    >>> matrix.update(np.array([0, 1, 1]), np.array([0, 0, 1]))
    >>> matrix.counts
    array([[1, 1],
           [0, 1]])
    >>> matrix.recall()
    array([0.5, 1. ])
    """

    def __init__(self, num_classes: int) -> None:
        if num_classes < 1:
            raise ArgumentError("confusion matrix", expected="classes >= 1", got=str(num_classes))
        self.counts = np.zeros((num_classes, num_classes), dtype=np.int64)

    def update(self, predicted: NDArray[Any], labels: NDArray[Any]) -> None:
        """Count one batch: predicted (N,) and true (N,) class indices."""
        if predicted.shape != labels.shape:
            raise ShapeError(
                "confusion matrix: one prediction per label",
                expected=str(labels.shape),
                got=str(predicted.shape),
            )
        classes = len(self.counts)
        _check_labels(labels, classes)
        _check_labels(predicted, classes)
        cells = labels.astype(np.int64) * classes + predicted
        self.counts += np.bincount(cells, minlength=classes**2).reshape(classes, classes)

    def accuracy(self) -> float:
        """The share on the diagonal; NaN when nothing was counted."""
        total = int(self.counts.sum())
        return int(np.trace(self.counts)) / total if total else float("nan")

    def recall(self) -> NDArray[np.float64]:
        """Per true class, the share that was recognised; NaN for a class that never occurred."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=1))

    def precision(self) -> NDArray[np.float64]:
        """Per predicted class, the share that was right; NaN for a class never predicted."""
        return _shares(np.diag(self.counts), self.counts.sum(axis=0))


def _shares(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    shares = np.full(len(part), np.nan)
    np.divide(part, whole, out=shares, where=whole > 0)
    return shares
