"""Accuracy, top-k and confusion against a plain count."""

import numpy as np
import pytest

from rot180.errors import ArgumentError, DataError, ShapeError
from rot180.train.metrics import ConfusionMatrix, TopK, accuracy, top_k_accuracy


def test_accuracy_is_the_share_of_argmax(rng):
    scores, labels = rng.normal(size=(50, 7)), rng.integers(0, 7, 50)
    assert accuracy(scores, labels) == np.mean(scores.argmax(1) == labels)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
def test_top_k_against_sorting(rng, k):
    scores, labels = rng.normal(size=(40, 7)), rng.integers(0, 7, 40)
    best = np.argsort(-scores, axis=1)[:, :k]
    assert top_k_accuracy(scores, labels, k) == np.mean((best == labels[:, None]).any(1))


def test_equal_scores_go_to_the_lower_class_as_argmax_does():
    scores = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    assert accuracy(scores, np.array([0, 1])) == 0.5
    assert top_k_accuracy(scores, np.array([0, 1]), 2) == 1.0


def test_nan_scores_are_never_right():
    scores = np.full((3, 4), np.nan)
    assert accuracy(scores, np.array([0, 1, 2])) == 0.0
    assert top_k_accuracy(scores, np.array([0, 1, 2]), 3) == 0.0


def test_streaming_equals_all_at_once(rng):
    scores, labels = rng.normal(size=(41, 5)), rng.integers(0, 5, 41)
    meter, matrix = TopK(2), ConfusionMatrix(5)
    for part in np.array_split(np.arange(41), 4):
        meter.update(scores[part], labels[part])
        matrix.update(scores[part].argmax(1), labels[part])
    assert meter.compute() == top_k_accuracy(scores, labels, 2)
    want = np.zeros((5, 5), int)
    for true, got in zip(labels, scores.argmax(1), strict=True):
        want[true, got] += 1
    assert np.array_equal(matrix.counts, want)
    assert matrix.accuracy() == accuracy(scores, labels)


def test_recall_and_precision_of_absent_classes_are_nan():
    matrix = ConfusionMatrix(3)
    matrix.update(np.array([0, 0, 1]), np.array([0, 1, 1]))
    assert matrix.recall()[:2].tolist() == [1.0, 0.5]
    assert matrix.precision()[:2].tolist() == [0.5, 1.0]
    assert np.isnan(matrix.recall()[2])
    assert np.isnan(matrix.precision()[2])


def test_bad_input():
    with pytest.raises(DataError, match=r"label is out of range; expected 0 to 2.*got 3 at pos"):
        accuracy(np.zeros((2, 3)), np.array([0, 3]))
    with pytest.raises(DataError, match="out of range"):
        accuracy(np.zeros((2, 3)), np.array([0, -1]))
    with pytest.raises(DataError, match="class indices"):
        accuracy(np.zeros((2, 3)), np.array([0.0, 1.0]))
    with pytest.raises(ShapeError, match="do not fit"):
        accuracy(np.zeros((2, 3)), np.array([0]))
    with pytest.raises(ArgumentError):
        TopK(0)
    with pytest.raises(ArgumentError):
        ConfusionMatrix(0)
    with pytest.raises(ShapeError):
        ConfusionMatrix(2).update(np.array([0]), np.array([0, 1]))


def test_empty_batches():
    meter = TopK()
    meter.update(np.zeros((0, 3)), np.zeros(0, int))
    assert np.isnan(meter.compute())
    assert np.isnan(ConfusionMatrix(2).accuracy())
