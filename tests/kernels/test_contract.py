"""Forms by NumPy against their definition by plain loops, read for every operand."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Iterator

import numpy as np
import pytest
from forms import CASES, FORMS, Case, arrays_for
from hypothesis import given, settings
from hypothesis import strategies as st

import gradients as check
from rot180.core import Form, Sum, declare
from rot180.errors import ArgumentError
from rot180.kernels import contract, reference
from rot180.window import Axis

module = importlib.import_module("rot180.kernels.plan")
contract_module = importlib.import_module("rot180.kernels.contract")

READINGS = [
    pytest.param(form.wrt(operand.name), id=f"{name}-{operand.name}")
    for name, form in FORMS.items()
    for operand in form.operands
]
every_reading = pytest.mark.parametrize("form", READINGS)


def clear_plans() -> None:
    for value in vars(module).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take batches in parts of a few cells."""
    clear_plans()
    monkeypatch.setattr(module, "PATCH_CELLS", 40)
    yield
    clear_plans()


def assert_is_the_reference(form: Form, rng: np.random.Generator) -> None:
    for dtype, tolerance in (("float64", 1e-13), ("float32", 2e-6)):
        arrays = arrays_for(form, rng, dtype)
        kept = [a.copy() for a in arrays]
        got, want = contract(form, *arrays), reference(form, *arrays)
        assert got.dtype == np.dtype(dtype)
        assert got.shape == form.result.shape
        scale = max(1.0, np.abs(want).max(initial=0))
        np.testing.assert_allclose(got, want, rtol=0, atol=tolerance * scale)
        for now, then in zip(arrays, kept, strict=True):
            np.testing.assert_array_equal(now, then)


@every_reading
def test_value(form: Form, rng: np.random.Generator) -> None:
    assert_is_the_reference(form, rng)


@every_reading
def test_terms_of_every_cell_sum_to_its_value_exactly(form: Form, rng: np.random.Generator) -> None:
    arrays = arrays_for(form, rng, "int64")
    given_cells = dict(zip((o.name for o in form.inputs), arrays, strict=True))
    summed = np.zeros(form.result.shape, np.int64)
    for cell in np.ndindex(*form.result.shape):
        for term in form.terms(cell):
            product = 1
            for name, place in term.factors:
                product *= int(given_cells[name][place])
            summed[cell] += product
    np.testing.assert_array_equal(summed, contract(form, *arrays))
    np.testing.assert_array_equal(summed, reference(form, *arrays))


@every_reading
def test_memory_layout(form: Form, rng: np.random.Generator) -> None:
    arrays = arrays_for(form, rng)
    want = contract(form, *arrays)
    for layout in ("fortran", "every second cell", "negative strides", "axes moved"):
        laid = [check.layouts(a).get(layout, a) for a in arrays]
        np.testing.assert_allclose(contract(form, *laid), want, rtol=1e-12, atol=1e-12)


@every_reading
def test_in_parts(form: Form, rng: np.random.Generator, in_parts: None) -> None:
    assert_is_the_reference(form, rng)


def test_some_forms_are_taken_in_parts(in_parts: None) -> None:
    cut = [form.values[0] for form in READINGS if module.plan(form.values[0]).part_loop]  # type: ignore[arg-type, union-attr]
    assert {form.output for form in cut} >= {"x", "w", "z"}  # type: ignore[union-attr]


def test_a_batch_too_large_for_one_go(rng: np.random.Generator) -> None:
    batch = 3 * module.PATCH_CELLS // (4 * 24 * 25 * 9) + 1
    case = Case((24, 25), (3, 3), batch=batch, channels=4, filters=3, padding=1)
    form = case.form()
    x, w = (a.astype("float64") for a in arrays_for(form, rng))
    assert module.plan(form).part_loop == "p0"
    z = contract(form, x, w)
    g = rng.standard_normal(z.shape)
    value = np.vdot(z, g)
    np.testing.assert_allclose(np.vdot(contract(form.wrt("x"), w, g), x), value, rtol=1e-11)
    np.testing.assert_allclose(np.vdot(contract(form.wrt("w"), x, g), w), value, rtol=1e-11)
    few = Case((24, 25), (3, 3), batch=2, channels=4, filters=3, padding=1).form()
    np.testing.assert_allclose(z[-2:], contract(few, x[-2:], w), rtol=1e-12, atol=1e-12)


@st.composite
def random_cases(draw: st.DrawFn) -> Case:
    """Any window that has an output: up to two axes, cropped or padded."""
    axes, sizes = [], []
    for _ in range(draw(st.integers(1, 2))):
        axis = Axis(
            draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3)),
            draw(st.integers(-2, 4)), draw(st.integers(-2, 4)),
        )  # fmt: skip
        smallest = max(1, axis.effective - axis.before - axis.after, -axis.before, -axis.after)
        axes.append(axis)
        sizes.append(smallest + draw(st.integers(0, 4)))
    return Case(
        tuple(sizes), tuple(a.kernel for a in axes), tuple(a.stride for a in axes),
        tuple((a.before, a.after) for a in axes), tuple(a.dilation for a in axes),
        groups=draw(st.integers(1, 2)), batch=draw(st.integers(1, 2)),
        channels=draw(st.integers(1, 2)), filters=draw(st.integers(1, 2)),
    )  # fmt: skip


@settings(max_examples=40, deadline=None, derandomize=True)
@given(random_cases(), st.sampled_from(["correlation", "convolution"]))
def test_random_windows(case: Case, mode: str) -> None:
    form, rng = case.form(mode), np.random.default_rng(1)
    for operand in form.operands:
        assert_is_the_reference(form.wrt(operand.name), rng)


@pytest.mark.parametrize("name", FORMS)
def test_reading_for_another_operand_and_back(name: str) -> None:
    form = FORMS[name]
    for operand in form.operands:
        assert form.wrt(operand.name).wrt(form.output) == form
        assert hash(form.wrt(operand.name).wrt(form.output)) == hash(form)
        assert operand not in form.wrt(operand.name).inputs
    names = [operand.name for operand in form.operands]
    for a, b in itertools.permutations(names, 2):
        assert form.wrt(a).wrt(b) == form.wrt(b)


@pytest.mark.parametrize("name", FORMS)
def test_all_readings_are_one_number(name: str, rng: np.random.Generator) -> None:
    """T(x, w, z) does not depend on which operand is summed last: Euler, and the adjoint."""
    form = FORMS[name]
    values = {o.name: rng.standard_normal(o.shape) for o in form.operands}
    totals = []
    for operand in form.operands:
        read = form.wrt(operand.name)
        made = contract(read, *(values[o.name] for o in read.inputs))
        totals.append(np.vdot(made, values[operand.name]))
    np.testing.assert_allclose(totals, totals[0], rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("loop", ["n", "p", "r"])
def test_a_loop_without_points_gives_zeros(loop: str) -> None:
    loops = {"n": 2, "p": 3, "r": 2} | {loop: 0}
    shapes = {"x": (loops["n"], 4), "w": (loops["r"],), "z": (loops["n"], loops["p"])}
    form = declare("conv", x="n p+r", w="r", z="n p").bind(0, "z", shapes, loops)
    for operand in form.operands:
        read = form.wrt(operand.name)
        made = contract(read, *(np.ones(o.shape, np.float32) for o in read.inputs))
        np.testing.assert_array_equal(made, np.zeros(operand.shape))
        assert made.dtype == np.float32


def test_a_sum_of_forms_adds_up(rng: np.random.Generator) -> None:
    """Two inputs into overlapping places of one output."""
    forms = []
    for size, start in ((3, 0), (4, 2)):
        one = declare("join", x="n i", y=f"n i+{start}")
        forms.append(one.bind(0, "y", {"x": (2, size), "y": (2, 6)}, {"n": 2, "i": size}))
    arrays = [rng.standard_normal((2, 3)), rng.standard_normal((2, 4))]
    want = sum(reference(form, a) for form, a in zip(forms, arrays, strict=True))
    np.testing.assert_allclose(contract_module.add_up(Sum("join", tuple(forms)), *arrays), want)


def test_a_declaration_says_what_is_wrong_with_it() -> None:
    def bound(word: str) -> Form:
        one = declare("f", x=word, y="i")
        return one.bind(0, "y", {"x": (3,), "y": (3,)}, {"i": 3, "j": 3})

    with pytest.raises(ArgumentError, match=r"index 'i\*j' multiplies two loops, i and j"):
        bound("i*j")
    with pytest.raises(ArgumentError, match=r"index 'i/2' is not affine.*S\*p\+D\*r-A"):
        bound("i/2")
    with pytest.raises(ArgumentError, match=r"form conv has no operand 'q'"):
        CASES["1-d"].form().wrt("q")


def test_forms_and_terms_print_as_they_read() -> None:
    form = Case((5,), (3,), stride=2, padding=1, batch=1, channels=1, filters=1).form()
    assert str(form) == "z[n, j + k, p0] = Σ_{c,r0} x[n, j + c, 2·p0 + r0 - 1] · w[j + k, c, r0]"
    assert [str(term) for term in form.terms((0, 0, 0))] == [
        "x[0, 0, 0]·w[0, 0, 1]",
        "x[0, 0, 1]·w[0, 0, 2]",
    ]
    assert [str(term) for term in form.wrt("x").terms((0, 0, 1))] == [
        "w[0, 0, 2]·z[0, 0, 0]",
        "w[0, 0, 0]·z[0, 0, 1]",
    ]
