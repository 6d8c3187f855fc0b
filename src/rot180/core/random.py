"""The default random generator (PCG64). Every random operation also takes one explicitly."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

__all__ = ["default_generator", "generator_state", "manual_seed", "set_generator_state"]


@functools.cache
def default_generator() -> np.random.Generator:
    """The generator that random operations and initialisers use when none is given."""
    return np.random.Generator(np.random.PCG64(0))


def manual_seed(seed: int) -> np.random.Generator:
    """Start the default generator anew; the same seed gives the same numbers on every platform."""
    generator = default_generator()
    generator.bit_generator.state = np.random.PCG64(seed).state
    return generator


def generator_state(generator: np.random.Generator | None = None) -> dict[str, Any]:
    """The state of a generator (the default one), as plain Python data for a checkpoint."""
    return dict((generator or default_generator()).bit_generator.state)


def set_generator_state(
    state: dict[str, Any], generator: np.random.Generator | None = None
) -> None:
    """Continue exactly where `generator_state` was taken."""
    (generator or default_generator()).bit_generator.state = state
