"""Which images train and which test: one stratified split, the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def stratified_split(
    labels: NDArray[Any], test_fraction: float = 0.2, seed: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide indices into train and test so that every class keeps its share.

    The test set has `ceil(test_fraction · N)` members. Class c gives `N_c · N_test / N` of them,
    rounded by the largest remainder (ties: the lower class). Within a class the members with the
    smallest random keys are taken. The keys are raw 64-bit words of PCG64, whose stream NumPy
    guarantees, unlike that of `Generator.permutation`: the split never changes with a version.

    Args:
        labels: (N,) the class of each image.
        test_fraction: the share of the test set, between 0 and 1.
        seed: another seed, another split.

    Returns:
        (train, test): ascending int64 indices, together each of 0..N−1 once.

    Raises:
        ArgumentError: the fraction is not between 0 and 1.

    >>> train, test = stratified_split(np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1]))
    >>> len(train), len(test)
    (8, 2)
    """
    if not 0 < test_fraction < 1:
        raise ArgumentError(
            "stratified_split: test_fraction", expected="0 < fraction < 1", got=f"{test_fraction}"
        )
    labels = np.asarray(labels)
    total = len(labels)
    test_total = int(np.ceil(round(test_fraction * total, 9)))
    keys = np.random.PCG64(seed).random_raw(total)
    classes, counts = np.unique(labels, return_counts=True)
    # Integers throughout: floating remainders would tie differently here and there.
    taken = counts * test_total // max(total, 1)
    remainders = counts * test_total % max(total, 1)
    for index in np.argsort(-remainders, kind="stable")[: test_total - int(taken.sum())]:
        taken[index] += 1
    in_test = np.zeros(total, dtype=bool)
    for value, count in zip(classes, taken, strict=True):
        members = np.flatnonzero(labels == value)
        in_test[members[np.argsort(keys[members], kind="stable")[:count]]] = True
    return np.flatnonzero(~in_test), np.flatnonzero(in_test)


def check_split(name: str, split: str | None, allowed: Sequence[str | None]) -> None:
    """Raise `ArgumentError` unless `split` is one of the words that data set `name` knows."""
    if split not in allowed:
        words = ", ".join(repr(word) for word in allowed)
        raise ArgumentError(f"{name}: unknown split", expected=f"one of {words}", got=repr(split))
