"""Every operation, by one table: gradients, layouts, empty batches, float32, nothing mutated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from table import TABLE, Sample

import gradients as check
from rot180.core import Tensor
from rot180.core import gradients as sweep
from rot180.ops import OPERATIONS

ENTRIES = [
    pytest.param(name, sample, id=f"{name}-{i}")
    for name, samples in TABLE.items()
    for i, sample in enumerate(samples)
]
every = pytest.mark.parametrize(("name", "sample"), ENTRIES)
smooth = pytest.mark.parametrize(
    ("name", "sample"),
    [e for e in ENTRIES if e.values[1].smooth and not e.values[1].discrete],  # type: ignore[union-attr]
)
with_gradient = pytest.mark.parametrize(
    ("name", "sample"),
    [e for e in ENTRIES if not e.values[1].discrete],  # type: ignore[union-attr]
)


def prepared(name: str, sample: Sample, rng: np.random.Generator) -> tuple[Any, list[Any]]:
    return sample.function(OPERATIONS[name]), sample.arrays(rng)


def test_the_table_names_every_registered_operation() -> None:
    assert set(TABLE) == set(OPERATIONS)
    assert all(TABLE.values())


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_docstring_begins_with_the_law(name: str) -> None:
    assert (OPERATIONS[name].__doc__ or "").startswith("Law:")


@with_gradient
def test_gradient(name: str, sample: Sample, rng: np.random.Generator) -> None:
    f, arrays = prepared(name, sample, rng)
    check.check_gradient(f, arrays, rng, sample.linear)


@with_gradient
def test_forward_derivative_agrees_with_backward(
    name: str, sample: Sample, rng: np.random.Generator
) -> None:
    f, arrays = prepared(name, sample, rng)
    check.check_push(f, arrays, rng)


@smooth
def test_second_order(name: str, sample: Sample, rng: np.random.Generator) -> None:
    f, arrays = prepared(name, sample, rng)
    check.check_second_order(f, arrays, rng)


@every
def test_memory_layout_changes_nothing(name: str, sample: Sample, rng: np.random.Generator) -> None:
    f, arrays = prepared(name, sample, rng)
    expected = [y.data for y in outputs(f, arrays)]
    gs = check.normals(check.values(f, arrays), rng)
    grads = check.pull(f, arrays, gs)
    for layout in ("fortran", "every second cell", "negative strides", "axes moved"):
        laid = [check.layouts(a).get(layout, a) for a in arrays]
        laid_gs = [check.layouts(g).get(layout, g) for g in gs]
        for got, want in zip(outputs(f, laid), expected, strict=True):
            np.testing.assert_allclose(got.data, want, rtol=1e-12, atol=1e-13)
        for got, want in zip(check.pull(f, laid, laid_gs), grads, strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


def outputs(f: Any, arrays: list[Any]) -> list[Tensor]:
    result = f(*map(Tensor, arrays))
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.parametrize(
    ("name", "sample"),
    [
        e
        for e in ENTRIES
        if e.values[1].empty and any(i.batch is not None for i in e.values[1].inputs)  # type: ignore[union-attr]
    ],
)
def test_empty_batch(name: str, sample: Sample, rng: np.random.Generator) -> None:
    f, arrays = sample.function(OPERATIONS[name]), sample.emptied(rng)
    made = outputs(f, arrays)
    full = outputs(f, sample.arrays(rng))
    assert [y.ndim for y in made] == [y.ndim for y in full]
    assert [y.dtype for y in made] == [y.dtype for y in full]
    if sample.discrete:
        return
    grads = check.pull(f, arrays, check.normals([y.data for y in made], rng))
    for i, d in zip(check.differentiable(arrays), grads, strict=True):
        assert d.shape == arrays[i].shape
        assert d.dtype == arrays[i].dtype
        if sample.inputs[i].batch is None:
            assert not d.any()


@every
def test_float32_follows_float64(name: str, sample: Sample, rng: np.random.Generator) -> None:
    f, arrays = prepared(name, sample, rng)
    narrow = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in narrow]
    for got, want in zip(outputs(f, narrow), outputs(f, wide), strict=True):
        assert got.shape == want.shape
        if want.dtype.kind == "f":
            assert got.dtype == np.float32
            close(got.data, want.data)
        else:
            np.testing.assert_array_equal(got.data, want.data)
    if sample.discrete:
        return
    gs = check.normals(check.values(f, narrow), rng)
    wide_gs = [g.astype(np.float64) for g in gs]
    for got, want in zip(check.pull(f, narrow, gs), check.pull(f, wide, wide_gs), strict=True):
        assert got.dtype == np.float32
        close(got, want)


def close(got: Any, want: Any, tolerance: float = 3e-5) -> None:
    assert np.abs(got - want).max(initial=0) <= tolerance * max(1.0, np.abs(want).max(initial=0))


@smooth
def test_second_order_keeps_float32(name: str, sample: Sample, rng: np.random.Generator) -> None:
    f, arrays = prepared(name, sample, rng)
    narrow = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in arrays]
    xs = check.leaves(narrow)
    ys = [y for y in check.float_outputs(f(*xs)) if y.requires_grad]
    gs = check.leaves(check.normals([y.data for y in ys], rng))
    wanted = [xs[i] for i in check.differentiable(narrow)]
    first = [d for d in sweep(ys, wanted, gs, create_graph=True) if d is not None]
    found = sweep(first, [*wanted, *gs], check.normals([d.data for d in first], rng))
    assert {d.dtype for d in found if d is not None} <= {np.dtype(np.float32)}


@every
def test_inputs_and_upstream_gradients_are_not_changed(
    name: str, sample: Sample, rng: np.random.Generator
) -> None:
    f, arrays = prepared(name, sample, rng)
    before = [a.copy() for a in arrays]
    xs = check.leaves(arrays)
    result = f(*xs)
    ys = [y for y in check.float_outputs(result) if y.requires_grad]
    gs = check.normals([y.data for y in ys], rng)
    kept = [g.copy() for g in gs]
    values = [y.data.copy() for y in ys]
    for y, g in zip(ys, gs, strict=True):
        y.backward(Tensor(g), retain_graph=True)
        y.backward(Tensor(g))
    for now, then in zip(
        [*arrays, *gs, *(y.data for y in ys)], [*before, *kept, *values], strict=True
    ):
        np.testing.assert_array_equal(now, then)
    for x in xs:
        if x.grad is not None:
            assert not any(np.may_share_memory(x.grad.data, a) for a in [*arrays, *gs])


@pytest.mark.parametrize(
    ("name", "sample"),
    [e for e in ENTRIES if e.values[1].discrete],  # type: ignore[union-attr]
)
def test_indices_and_truths_have_no_gradient(
    name: str, sample: Sample, rng: np.random.Generator
) -> None:
    f, arrays = prepared(name, sample, rng)
    y = f(*check.leaves(arrays))
    assert y.dtype.kind in "ib"
    assert not y.requires_grad
    assert y.is_leaf
