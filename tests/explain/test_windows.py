"""500 random windows: every cell's terms are the engine's value, exactly; all views agree, exactly.

All arrays hold small integers, so that sums are exact and 0 is the only tolerance.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import rot180 as rt
from rot180.explain import Explanation
from rot180.explain.formula import evaluate
from rot180.window import Window


@st.composite
def windows(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of a convolution in one to three axes; padding may crop, remainders are common."""
    axes = draw(st.integers(1, 3))
    small = {1: 9, 2: 6, 3: 4}[axes]
    groups = draw(st.integers(1, 3 if axes == 1 else 2))
    kernel, stride, dilation, padding, sizes = [], [], [], [], []
    for _ in range(axes):
        k = draw(st.integers(1, 3))
        s, d = draw(st.integers(1, 4)), draw(st.integers(1, 3 if axes < 3 else 2))
        before, after = draw(st.integers(-1, 3)), draw(st.integers(-1, 3))
        least = max(1, d * (k - 1) + 1 - before - after)
        size = draw(st.integers(least, max(least, small)))
        kernel.append(k)
        stride.append(s)
        dilation.append(d)
        padding.append((before, after))
        sizes.append(size)
    batch, channels, filters = (draw(st.integers(1, 2)) for _ in range(3))
    return {
        "input": (batch, groups * channels, *sizes),
        "kernel": (groups * filters, channels, *kernel),
        "stride": tuple(stride),
        "dilation": tuple(dilation),
        "padding": tuple(padding),
        "groups": groups,
        "mode": draw(st.sampled_from(["correlation", "convolution"])),
        "bias": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }


def explained(options: dict[str, Any]) -> Explanation:
    axes = len(options["stride"])
    name = f"conv{axes}d"
    return getattr(rt.explain, name)(**options)  # type: ignore[no-any-return]


def exactly_equal(e: Explanation, name: str) -> None:
    """The terms of every cell, added as Python integers, are the engine's integer."""
    for cell in e[name]:
        value, _ = evaluate(cell.formula, lambda ref: int(e.number(ref)))
        assert isinstance(value, int) or not cell.formula
        assert value == int(cell.engine) == cell.engine, (name, cell.index)


@pytest.mark.slow
@settings(
    max_examples=500,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(windows())
def test_terms_are_exact_and_gather_is_scatter_is_matrix(options: dict[str, Any]) -> None:
    e = explained(options)
    for name, value in e.values.items():
        if value.step is not None:
            exactly_equal(e, name)
    for of in ("z", "dx", "dw"):
        views = e.views(of)
        assert set(views) >= {"scatter", "matrix"} | ({"gather"} if of != "dw" else set())
        for view in views.values():
            np.testing.assert_array_equal(view.array, view.engine, err_msg=f"{of}, {view.name}")
    dense = e.view("matrix", "dx").toeplitz_array()  # type: ignore[attr-defined]
    g = e.g.array.ravel()
    np.testing.assert_array_equal((dense.T @ g).reshape(e.dx.array.shape), e.dx.array)


@settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
@given(windows(), st.data())
def test_transposed_convolutions(options: dict[str, Any], data: st.DataObject) -> None:
    """The same windows used backwards, with every legal output_padding of each axis."""
    window = Window.of(
        options["kernel"][2:], options["stride"], options["padding"], options["dilation"]
    )
    positions = tuple(data.draw(st.integers(1, 3)) for _ in window.axes)
    smallest = [
        (p - 1) * a.stride - a.before - a.after + a.effective
        for p, a in zip(positions, window.axes, strict=True)
    ]
    if min(smallest) < 1:
        return
    filters = options["kernel"][0]
    extra = tuple(data.draw(st.integers(0, max(a.stride, a.dilation) - 1)) for a in window.axes)
    changed = {**options, "input": (2, filters, *positions), "output_padding": extra}
    e = getattr(rt.explain, f"conv_transpose{len(positions)}d")(**changed)
    for name, value in e.values.items():
        if value.step is not None:
            exactly_equal(e, name)
    for of, view in itertools.product(("z", "dx", "dw"), ("scatter", "matrix")):
        found = e.view(view, of)
        np.testing.assert_array_equal(found.array, found.engine, err_msg=f"{of}, {view}")
    for of in ("z", "dx"):
        found = e.view("gather", of)
        np.testing.assert_array_equal(found.array, found.engine, err_msg=of)
    if e.w.array[0, 0].size * np.prod(positions) < 60:
        assert e.prove().holds


@settings(max_examples=60, deadline=None, derandomize=True)
@given(windows())
def test_proofs_hold_for_small_windows(options: dict[str, Any]) -> None:
    proof = explained(options).prove()
    assert proof.holds, str(proof)
    x, w = options["input"][2:], options["kernel"][2:]
    assert len(proof.entries) == np.prod(x) + np.prod(w)
