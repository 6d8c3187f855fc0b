"""Fixtures for every floor."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Kernels that tests compile go among pytest's files, not among the user's.

    All workers of a run, the programs that tests start, and the next run find them there.
    """
    folder = config.rootpath / ".pytest_cache" / "kernels"
    os.environ["ROT180_CACHE"] = str(folder)


@pytest.fixture(scope="session")
def material() -> Path:
    """The folder of real data and published cases beside the repository; skips without it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "data" / "mnist").is_dir():
        pytest.skip("the real data sets are not on this machine")
    return folder


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """Python's own way with Ctrl-C, also where the shell that started the tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
