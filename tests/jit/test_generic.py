"""Every operation, forward and backward, by generic loop nests, against `core.run`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import Buffer, blank, given, run

import gradients as check
from rot180 import core
from rot180.jit.generic import lower
from rot180.jit.layout import Layout, plain
from rot180.ops import OPERATIONS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ops"))
from table import TABLE, Sample

Array = np.ndarray
BLOCK = 4


def blocked(shape: tuple[int, ...], block: int, halo: int) -> Layout:
    """Axis 0 in blocks, a halo around the axes from 2 on."""
    extents = [size + (2 * halo if axis > 1 else 0) for axis, size in enumerate(shape)]
    strides = [block * math.prod(extents[axis + 1 :]) for axis in range(len(shape))]
    origin = halo * sum(strides[2:])
    return Layout(shape, tuple(strides), block, origin, -(-shape[0] // block) * strides[0])


def layout_of(shape: tuple[int, ...], how: str, rng: np.random.Generator) -> Layout:
    if len(shape) < 2 or how == "plain" or (how == "mixed" and rng.random() < 0.5):
        return plain(shape)
    return blocked(shape, BLOCK, int(rng.integers(0, 2)))


def recorded(name: str, sample: Sample, dtype: str) -> list[tuple[Any, list[Array]]]:
    """Kind and inputs of every operation that runs, forward and backward."""
    found: dict[Any, list[Array]] = {}

    def listener(kind: Any, inputs: Any, output: Any, record: Any) -> None:
        arrays = [np.array(t.data) for t in inputs]
        found.setdefault((kind, *((a.shape, a.dtype.name) for a in arrays)), arrays)

    rng = np.random.default_rng(1)
    arrays = [a.astype(dtype) if a.dtype.kind == "f" else a for a in sample.arrays(rng)]
    f = sample.function(OPERATIONS[name])
    with core.listening(listener):
        gs = check.normals(check.values(f, arrays), rng)
        if not sample.discrete:
            check.pull(f, arrays, gs)
        else:
            f(*map(core.Tensor, arrays))
    return [(key[0], arrays) for key, arrays in found.items()]


def widened(a: Array) -> Array:
    return a.astype(np.float64) if a.dtype.kind == "f" else a


def compare(
    kind: Any, arrays: list[Array], how: str, dtype: str, parts: int, target: str = ""
) -> None:
    """Lower a kind, run it, and hold it to `core.run` in float64."""
    rng = np.random.default_rng(len(arrays))
    with np.errstate(all="ignore"):
        made, wide = core.run(kind, *arrays), core.run(kind, *map(widened, arrays))
    outputs = list(made) if isinstance(made, tuple) else [made]
    wanted = list(wide) if isinstance(wide, tuple) else [wide]
    inputs = [layout_of(a.shape, how, rng) for a in arrays]
    places = [layout_of(a.shape, how, rng) for a in outputs]
    dtypes = [a.dtype.name for a in (*arrays, *outputs)]
    kernel, names = lower(kind, inputs, places, dtypes)
    buffers: dict[str, Buffer] = {}
    for n, a, where in zip(names, arrays, inputs, strict=False):
        buffers[n] = given(a, where)
    for n, a, where in zip(names[len(arrays) :], outputs, places, strict=True):
        buffers[n] = blank(where, a.dtype.name)
    results = run(kernel, buffers, target, parts)
    for n, a, want in zip(names[len(arrays) :], outputs, wanted, strict=True):
        got = results[n]
        assert got.shape == a.shape
        if a.dtype.kind != "f":
            np.testing.assert_array_equal(got, a)
            continue
        finite = np.isfinite(want)
        top = np.abs(want[finite]).max(initial=1.0)
        atol = (4e-6 if dtype == "float32" else 1e-13) * top
        np.testing.assert_allclose(got, want, rtol=0, atol=atol)


@pytest.mark.parametrize("how", ["plain", "blocks", "mixed"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_kind_of_every_operation(name: str, dtype: str, how: str) -> None:
    for sample in TABLE[name]:
        for kind, arrays in recorded(name, sample, dtype):
            compare(kind, arrays, how, dtype, parts=2)
