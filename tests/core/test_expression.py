"""Scalar expressions: the one table of partial derivatives, simplification, printing."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable

import numpy as np
import pytest

from rot180.core import Map, run
from rot180.core import expression as e
from rot180.core.expression import _PARTIALS, Expression

x, y, g = e.variable("x"), e.variable("y"), e.variable("g")

# Every primitive, at points off its kinks: (expression, values of x, values of y).
SMOOTH = (0.3, 1.7)
SIGNED = (-1.3, -0.4, 0.6, 2.2)
PRIMITIVES: dict[str, tuple[Expression, tuple[float, ...], tuple[float, ...]]] = {
    "add": (x + y, SIGNED, SIGNED),
    "subtract": (x - y, SIGNED, SIGNED),
    "multiply": (x * y, SIGNED, SIGNED),
    "divide": (x / y, SIGNED, SIGNED),
    "power": (x**y, SMOOTH, SIGNED),
    "negative": (-x, SIGNED, ()),
    "exp": (e.exp(x), SIGNED, ()),
    "expm1": (e.expm1(x), SIGNED, ()),
    "log": (e.log(x), SMOOTH, ()),
    "log1p": (e.log1p(x), SMOOTH, ()),
    "sqrt": (e.sqrt(x), SMOOTH, ()),
    "sin": (e.sin(x), SIGNED, ()),
    "cos": (e.cos(x), SIGNED, ()),
    "tanh": (e.tanh(x), SIGNED, ()),
    "erf": (e.erf(x), SIGNED, ()),
    "sigmoid": (e.sigmoid(x), (*SIGNED, -30.0, 30.0), ()),
    "softplus": (e.softplus(x), (*SIGNED, -30.0, 30.0), ()),
    "absolute": (e.absolute(x), SIGNED, ()),
    "sign": (e.sign(x), SIGNED, ()),
    "floor": (e.floor(x), SIGNED, ()),
    "maximum": (e.maximum(x, y), SIGNED, (-0.5, 1.1)),
    "minimum": (e.minimum(x, y), SIGNED, (-0.5, 1.1)),
    "where": (e.where(x > 0.5, x * y, y * y), SIGNED, SIGNED),
    "greater": (e.where(x > y, x, 2.0 * y), SIGNED, (-0.5, 1.1)),
    "less": (e.where(x < y, x, 2.0 * y), SIGNED, (-0.5, 1.1)),
    "greater_equal": (e.where(x >= y, x, 2.0 * y), SIGNED, (-0.5, 1.1)),
    "less_equal": (e.where(x <= y, x, 2.0 * y), SIGNED, (-0.5, 1.1)),
    "equal": (e.where(e.equal(x, y), 1.0, x * y), SIGNED, (-0.5, 1.1)),
    "not_equal": (e.where(e.not_equal(x, y), x * y, 1.0), SIGNED, (-0.5, 1.1)),
}


def value(body: Expression, **at: float) -> float:
    names = tuple(at)
    return float(run(Map("test", names, body), *(np.array(at[name]) for name in names)))


def test_the_table_of_partial_derivatives_is_covered() -> None:
    assert set(PRIMITIVES) == set(_PARTIALS)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_derivative_of_every_primitive(name: str) -> None:
    body, xs, ys = PRIMITIVES[name]
    step = 1e-6
    for a, b in itertools.product(xs, ys or (0.0,)):
        for by, (da, db) in ((x, (step, 0.0)), (y, (0.0, step))):
            ahead, behind = (value(body, x=a + s * da, y=b + s * db) for s in (1, -1))
            expected = 0.7 * (ahead - behind) / (2 * step)
            found = value(e.differentiate(body, by, g), x=a, y=b, g=0.7)
            assert found == pytest.approx(expected, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("name", PRIMITIVES)
def test_second_derivative_of_every_primitive(name: str) -> None:
    body, xs, ys = PRIMITIVES[name]
    first = e.differentiate(body, x, e.constant(1.0))
    second = e.differentiate(first, x, g)
    step = 1e-5
    for a, b in itertools.product(xs, ys or (0.0,)):
        ahead, behind = (value(first, x=a + s * step, y=b) for s in (1, -1))
        expected = 0.7 * (ahead - behind) / (2 * step)
        assert value(second, x=a, y=b, g=0.7) == pytest.approx(expected, rel=1e-6, abs=1e-8)


def test_a_shared_node_adds_up_all_its_uses() -> None:
    t = e.tanh(x)
    body = t * t + t
    found = value(e.differentiate(body, x, g), x=0.4, g=1.0)
    assert found == pytest.approx((2 * np.tanh(0.4) + 1) * (1 - np.tanh(0.4) ** 2))


@pytest.mark.parametrize(
    ("body", "printed"),
    [
        (x + 0.0, "x"),
        (0.0 + x, "x"),
        (x - 0.0, "x"),
        (0.0 - x, "negative(x)"),
        (x * 1.0, "x"),
        (1.0 * x, "x"),
        (x * 0.0, "0.0"),
        (0.0 / x, "0.0"),
        (x / 1.0, "x"),
        (0.0 - (0.0 - x), "x"),
        (x**0, "1.0"),
        (x**1, "x"),
        (x**2, "(x * x)"),
        (x**0.5, "sqrt(x)"),
        (e.where(x > 0.0, y, y), "y"),
        (e.where(x > 0.0, y, 0.0) * g, "where((x > 0.0), (y * g), 0.0)"),
        (e.where(x > 0.0, y, 0.0) / g, "where((x > 0.0), (y / g), 0.0)"),
        (e.equal(x, y), "(x == y)"),
        (e.not_equal(x, 2.0), "(x != 2.0)"),
        ((x + y) ** 3 - e.exp(x) / y, "(((x + y) ** 3) - (exp(x) / y))"),
        (e.differentiate(x * y, x, g), "(g * y)"),
        (e.differentiate(e.exp(x), x, g), "(g * exp(x))"),
        (e.differentiate(e.maximum(0.0, x), x, g), "where((x > 0.0), g, 0.0)"),
        (e.differentiate(e.minimum(x, y), y, g), "where((y < x), g, 0.0)"),
        (e.differentiate(y, x, g), "0.0"),
        (e.differentiate(e.floor(x), x, g), "0.0"),
    ],
)
def test_simplification_and_printing(body: Expression, printed: str) -> None:
    assert str(body) == printed


def test_equal_expressions_are_one_key() -> None:
    assert {x * e.exp(y): 1}[x * e.exp(e.variable("y"))] == 1
    assert x * y != y * x


def test_order_variables_and_substitution() -> None:
    body = e.exp(x * y) + x * y
    order = e.in_order(body)
    assert [str(node) for node in order] == ["x", "y", "(x * y)", "exp((x * y))", str(body)]
    assert e.variables(body) == ["x", "y"]
    assert str(e.substitute(body, x * y, g)) == "(exp(g) + g)"


def test_no_recursion_over_the_depth_of_an_expression() -> None:
    body: Expression = x
    for _ in range(5000):
        body = e.sin(body)
    assert len(e.in_order(body)) == 5001


@pytest.mark.parametrize(
    ("build", "point"),
    [
        # The branch that is not taken is NaN or infinite there, and must not leak.
        (lambda: e.where(x > 0.0, e.log(e.where(x > 0.0, x, 1.0)), 0.0), 0.0),
        (lambda: e.maximum(e.log(x), -100.0), 0.0),
        (lambda: e.where(e.equal(x, 0.0), 0.0, e.sqrt(e.where(e.equal(x, 0.0), 1.0, x))), 0.0),
    ],
)
def test_a_branch_that_is_not_taken_hands_nothing_on(
    build: Callable[[], Expression], point: float
) -> None:
    assert value(e.differentiate(build(), x, g), x=point, g=2.0) == 0.0


def test_a_tie_belongs_to_the_first_and_relu_has_slope_0_at_0() -> None:
    assert value(e.differentiate(e.maximum(x, y), x, g), x=1.0, y=1.0, g=3.0) == 3.0
    assert value(e.differentiate(e.maximum(x, y), y, g), x=1.0, y=1.0, g=3.0) == 0.0
    assert value(e.differentiate(e.maximum(0.0, x), x, g), x=0.0, g=3.0) == 0.0


def test_a_power_with_a_number_is_differentiable_at_and_below_0() -> None:
    for exponent in (2, 3, 4):
        slope = e.differentiate(x**exponent, x, g)
        assert value(slope, x=-2.0, g=1.0) == exponent * (-2.0) ** (exponent - 1)
        assert value(slope, x=0.0, g=1.0) == 0.0


@pytest.mark.parametrize(
    "body",
    [e.constant(-2.0) ** x, -(x**2.0), (1.0 - x) / (x * 3.0 - -1.0), x - (x - y), x / (x / y)],
)
def test_what_is_printed_is_python(body: Expression) -> None:
    values = {"x": 3.0, "y": -7.0}
    found = eval(str(body), {"negative": operator.neg}, values)
    arrays = map(np.array, values.values())
    assert found == run(Map("f", ("x", "y"), body), *arrays)
