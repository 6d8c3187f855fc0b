"""200 steps of training beside PyTorch: the same losses (table: `benchmarks/loss_curves.py`)."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
sys.path.append(str(Path(__file__).resolve().parents[2]))  # the benchmarks are no package

from benchmarks.loss_curves import NETS, TOLERANCE, compare


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_lenet5_follows_torch(dtype: str) -> None:
    curves = compare("lenet5", dtype)
    assert curves.ours[-20:].mean() < 0.9 * curves.ours[0]  # it learns: no two flat lines
    assert curves.difference < TOLERANCE[dtype]


@pytest.mark.parametrize("name", ["vgg6", "resnet20"])
def test_first_steps_follow_torch(name: str) -> None:
    """A few steps on smaller images, for every run of the tests."""
    assert compare(name, "float64", steps=8, size=16).difference < 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("name", NETS)
def test_200_steps_follow_torch(name: str, dtype: str) -> None:
    assert compare(name, dtype).difference < TOLERANCE[dtype]
