"""Every operation, forward and backward, by generic loop nests, against `core.run`."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, Buffer, blank, code_of, given, run

import gradients as check
from rot180 import core
from rot180.core import kinds
from rot180.jit.emission.layout import Layout, plain
from rot180.jit.emission.target import TARGETS
from rot180.jit.planning.generic import lower
from rot180.ops import OPERATIONS
from rot180.window import Axis, Window

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


WAYS = [
    pytest.param(how, dtype, id=f"{how}-{dtype}", marks=() if short else pytest.mark.slow)
    for how, dtype, short in (
        ("plain", "float32", False), ("blocks", "float32", False), ("mixed", "float32", True),
        ("plain", "float64", False), ("blocks", "float64", False), ("mixed", "float64", False),
    )
]  # fmt: skip


@pytest.mark.parametrize(("how", "dtype"), WAYS)
@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_kind_of_every_operation(name: str, dtype: str, how: str) -> None:
    for sample in TABLE[name]:
        for kind, arrays in recorded(name, sample, dtype):
            compare(kind, arrays, how, dtype, parts=2)


# Selects beyond the table: repeated and tied cells, NaN, rows, all targets and numbers of parts


X = np.random.default_rng(5).standard_normal((6, 3, 5, 7)).round(1)
X[0, 0, 2, 3] = X[4, 1, 0, 0] = np.nan
WINDOW = Window(tuple(Axis(kernel=3, stride=2, dilation=1, before=1, after=1) for _ in range(2)))


def selects() -> list[Any]:
    """Every choice with every rule for ties: select, take and give."""
    rng = np.random.default_rng(9)
    found: list[Any] = []
    for dtype in ("float32", "float64"):
        x = X.astype(dtype)
        choices = [kinds.Along(x.shape, axis, ties) for axis in (0, 1, 3) for ties in TIES]
        for choice in [*choices, *(kinds.Windows(x.shape, WINDOW, ties) for ties in TIES)]:
            for largest in (True, False):
                values, record = core.run(kinds.Select("s", choice, largest), x)
                found.append((kinds.Select("s", choice, largest), [x], dtype))
            g = rng.standard_normal(values.shape).astype(dtype)
            clean = np.nan_to_num(record) if record.dtype.kind == "f" else record
            found.append((kinds.Take("t", choice), [x, clean], dtype))
            found.append((kinds.Give("g", choice), [g, clean], dtype))
        cells = rng.integers(0, 12, (4, 9))
        rows = rng.integers(0, 3, (2, 4))
        for choice, record in ((kinds.Cells(x.shape), cells), (kinds.Rows(x.shape, 1), rows)):
            taken = core.run(kinds.Take("t", choice), x, record)
            g = rng.standard_normal(taken.shape).astype(dtype)
            found.append((kinds.Take("t", choice), [x, record], dtype))
            found.append((kinds.Give("g", choice), [g, record.astype("int32")], dtype))
    return found


TIES = ("first", "all", "split")


@pytest.mark.parametrize("how", ["plain", "blocks", "mixed"])
def test_selects(how: str) -> None:
    for kind, arrays, dtype in selects():
        compare(kind, arrays, how, dtype, parts=3)


@pytest.mark.slow
@pytest.mark.parametrize("target", [name for name in RUNNABLE if name != "avx512"])
def test_selects_on_lesser_targets(target: str) -> None:
    for kind, arrays, dtype in selects():
        compare(kind, arrays, "blocks", dtype, 2, target)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("shape", [(), (1,), (37,), (6, 3, 5), (5, 2, 3, 19)])
def test_drawn_numbers(shape: tuple[int, ...], target: str) -> None:
    key = np.array(0xFEDCBA9876543210, np.uint64)
    for how in ("plain", "blocks"):
        for parts in (1, 3):
            compare(kinds.Draw("draw", shape), [key], how, "float32", parts, target)


@pytest.mark.parametrize("name", ["conv2d", "cat", "matmul", "max_pool2d", "dropout", "softmax"])
def test_other_processors(name: str) -> None:
    for kind, arrays in recorded(name, TABLE[name][0], "float32"):
        outputs = core.run(kind, *arrays)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        dtypes = [a.dtype.name for a in (*arrays, *outputs)]
        layouts = [plain(a.shape) for a in arrays], [plain(a.shape) for a in outputs]
        kernel, _ = lower(kind, *layouts, dtypes)
        assert code_of(kernel, TARGETS["neon"])
