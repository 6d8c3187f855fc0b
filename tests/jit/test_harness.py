"""The harness sees what a kernel must not do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, blank, code_of, given, run

from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS, Target


@dataclass(frozen=True)
class Double:
    """z = 2x over `count` elements, written `shift` elements too far on."""

    count: int
    shift: int = 0
    dtype: str = "float32"

    arrays = ("x", "z")

    def emit(self, name: str, target: Target) -> Any:
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        first, after = k.share(self.count)
        with k.loop(first, after) as i:
            v = k.load("x", i, 1)
            k.store(k.add(v, v), "z", k.at(i, self.shift))
        return k.finish()


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("threads", [False, True])
def test_values_go_in_and_out(
    target: str, parts: int, threads: bool, rng: np.random.Generator
) -> None:
    x = rng.standard_normal((3, 5)).astype(np.float32)
    made = run(Double(15), {"x": given(x), "z": blank((3, 5), "float32")}, target, parts, threads)
    np.testing.assert_array_equal(made["z"], 2 * x)


def test_images_go_into_blocks_and_back(rng: np.random.Generator) -> None:
    x = rng.standard_normal((5, 3, 2, 4)).astype(np.float32)
    planes = Planes(5, 3, (2, 4), 4, (1, 0), (0, 2))
    made = run(Double(planes.size), {"x": given(x, planes), "z": given(x, planes, written=True)})
    np.testing.assert_array_equal(made["z"], 2 * x)


@pytest.mark.parametrize(("shift", "where"), [(-1, "in front"), (1, "behind")])
def test_a_write_outside_is_seen(shift: int, where: str) -> None:
    x = np.ones(8, np.float32)
    with pytest.raises(AssertionError, match=where):
        run(Double(8, shift), {"x": given(x), "z": blank((8,), "float32")})


def test_a_write_into_the_halo_is_seen() -> None:
    planes = Planes(1, 1, (2,), 1, (1,), (1,))
    x = np.ones((1, 1, 2), np.float32)
    with pytest.raises(AssertionError, match="halo"):
        run(Double(2, 0), {"x": given(x), "z": blank(planes, "float32")})


def test_a_forgotten_cell_is_nan() -> None:
    made = run(Double(3), {"x": given(np.ones(4, "f4")), "z": blank((4,), "float32")})
    np.testing.assert_array_equal(made["z"], [2, 2, 2, np.nan])


def test_other_processors_are_compiled_for() -> None:
    assert code_of(Double(4), TARGETS["neon"])
