"""The legality of programs: a traced one is legal, and broken ones are refused, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import rot180.ops as F
from rot180.core import (
    Along,
    Cells,
    Draw,
    Give,
    Instruction,
    Program,
    Rows,
    Select,
    Spec,
    Take,
    Tensor,
    Tracer,
    Value,
    Windows,
    assign,
    from_host,
    gradients,
    pointwise,
    results,
    run,
)
from rot180.errors import DTypeError, ShapeError, TraceError
from rot180.window import Window

FLOAT = np.dtype(np.float32)


def example() -> Program:
    """Every kind, every role, writes, a select with its record, two phases."""
    rng = np.random.default_rng(0)
    w = Tensor(rng.standard_normal((3, 2, 2, 2)).astype(np.float32), requires_grad=True)
    mean = Tensor(np.zeros(3, np.float32))
    table = Tensor(rng.standard_normal((4, 3)).astype(np.float32))
    with Tracer() as tracer:
        x = tracer.input("x", (2, 2, 5, 5), "float32")
        y = tracer.input("y", (2,), "int64")
        tracer.hold(w, "parameter", "w")
        tracer.hold(mean, "buffer", "mean")
        velocity = tracer.state("v", w.shape, "float32", lambda: np.ones(w.shape, np.float32))
        lr = from_host("lr", "float32", lambda: 0.1)
        z = F.max_pool2d(F.conv2d(x, w), 2)
        z = F.cat([z, z * 2.0], 1)
        z = F.dropout(z, 0.5).sum((2, 3))[:, :3] + F.index_select(table, 0, y)
        assign(mean, F.mean(z, 0).detach())
        loss = F.cross_entropy(z, y)
        (g,) = gradients([loss], [w])
        assert g is not None
        tracer.phase = "update"
        step = velocity * 0.9 + g
        assign(velocity, step)
        assign(w, w.detach() - step * lr)
        return tracer.program(loss=loss, z=z)


PROGRAM = example()
FEEDS = PROGRAM.feeds(
    x=np.random.default_rng(1).standard_normal((2, 2, 5, 5)).astype(np.float32), y=np.array([0, 2])
)


def test_the_example_is_legal_and_runs() -> None:
    assert PROGRAM.check() is PROGRAM
    assert {type(i.kind).__name__ for i in PROGRAM.instructions} == {
        "Form", "Sum", "Map", "Select", "Take", "Give", "Draw",
    }  # fmt: skip
    assert {v.role for v in PROGRAM.values} == {
        "input", "parameter", "buffer", "state", "scalar", "constant", "computed",
    }  # fmt: skip
    declared_is_made(PROGRAM)


def declared_is_made(program: Program) -> None:
    """Run it, holding every value to its declared shape and type."""
    known = dict(FEEDS)
    with np.errstate(all="ignore"):
        for i in program.instructions:
            made = run(i.kind, *(known[n] for n in i.inputs))
            for number, array in zip(
                i.outputs, made if isinstance(made, tuple) else (made,), strict=True
            ):
                assert Spec(array.shape, array.dtype) == program.value(number).spec
                known[number] = array
    assert all(number in known for _, number in (*program.outputs, *program.writes))


def with_instruction(at: int, **changes: Any) -> Program:
    listed = list(PROGRAM.instructions)
    listed[at] = replace(listed[at], **changes)
    return replace(PROGRAM, instructions=tuple(listed))


def with_value(number: int, **changes: Any) -> Program:
    values = [replace(v, **changes) if v.number == number else v for v in PROGRAM.values]
    return replace(PROGRAM, values=tuple(values))


places = st.integers(0, len(PROGRAM.instructions) - 1)
numbers = st.sampled_from([v.number for v in PROGRAM.values])


@given(places, places)
@settings(deadline=None, max_examples=200)
def test_instructions_in_another_order(first: int, second: int) -> None:
    listed = list(PROGRAM.instructions)
    listed.insert(second, listed.pop(first))
    accept_or_refuse(replace(PROGRAM, instructions=tuple(listed)))


@given(places, st.data())
@settings(deadline=None, max_examples=300)
def test_another_input(at: int, data: st.DataObject) -> None:
    inputs = list(PROGRAM.instructions[at].inputs)
    inputs[data.draw(st.integers(0, len(inputs) - 1))] = data.draw(numbers)
    accept_or_refuse(with_instruction(at, inputs=tuple(inputs)))


def accept_or_refuse(program: Program) -> None:
    """What is accepted runs as declared; what is not is refused with the instruction's line."""
    refused = ""
    try:
        program.check()
    except TraceError as error:
        refused = str(error)
    if refused:
        assert "instruction: %" in refused
    else:
        with contextlib.suppress(IndexError):  # another record: whether it fits is seen when run
            declared_is_made(program)


@given(places)
@settings(deadline=None)
def test_a_missing_instruction_is_refused(at: int) -> None:
    listed = [i for n, i in enumerate(PROGRAM.instructions) if n != at]
    with pytest.raises(TraceError):
        replace(PROGRAM, instructions=tuple(listed)).check()


@given(places)
@settings(deadline=None)
def test_a_value_made_twice_is_refused(at: int) -> None:
    twice = (*PROGRAM.instructions, PROGRAM.instructions[at])
    with pytest.raises(TraceError, match="is made twice"):
        replace(PROGRAM, instructions=twice).check()


@given(places, st.sampled_from(["kind", "extra", "fewer"]))
@settings(deadline=None)
def test_inputs_that_the_kind_does_not_read(at: int, how: str) -> None:
    i = PROGRAM.instructions[at]
    program = {
        "kind": lambda: with_instruction(at, kind="conv"),
        "extra": lambda: with_instruction(at, inputs=(*i.inputs, i.inputs[0])),
        "fewer": lambda: with_instruction(at, inputs=i.inputs[:-1]),
    }[how]()
    with pytest.raises(TraceError):
        program.check()


@given(numbers, st.sampled_from([np.dtype(np.float64), np.dtype(np.int16)]))
@settings(deadline=None, max_examples=100)
def test_another_data_type_is_refused(number: int, dtype: np.dtype[Any]) -> None:
    value = PROGRAM.value(number)
    assume(value.dtype.kind != "i" or dtype.kind != "i")  # an index may be of any integer type
    with pytest.raises(TraceError):
        with_value(number, spec=Spec(value.shape, dtype)).check()


@given(numbers)
@settings(deadline=None, max_examples=100)
def test_another_shape_is_refused(number: int) -> None:
    value = PROGRAM.value(number)
    with pytest.raises(TraceError):
        with_value(number, spec=Spec((*value.shape, 3), value.dtype)).check()


def first(role: str) -> Value:
    return PROGRAM.of_role(role)[0]


BROKEN: dict[str, tuple[Callable[[], Program], str]] = {
    "write to an input": (
        lambda: replace(PROGRAM, writes=((first("input").number,) * 2,)),
        "write to %0; expected parameter or buffer or state, got input",
    ),
    "write of another shape": (
        lambda: replace(PROGRAM, writes=((first("parameter").number, first("buffer").number),)),
        r"write to %2 w; expected float32\[3, 2, 2, 2\], got float32\[3\]",
    ),
    "two writes to one place": (
        lambda: replace(PROGRAM, writes=PROGRAM.writes * 2),
        "a value is written twice",
    ),
    "write of nothing": (
        lambda: replace(PROGRAM, writes=((first("parameter").number, 9999),)),
        "which are not both made",
    ),
    "an output that is not there": (
        lambda: replace(PROGRAM, outputs=(("loss", 9999),)),
        "output loss %9999 is not made",
    ),
    "a constant without an array": (
        lambda: replace(PROGRAM, constants={}),
        "constant %.* is not its array",
    ),
    "a parameter without a source": (
        lambda: replace(PROGRAM, sources={}),
        "has no source",
    ),
    "no role": (lambda: with_value(0, role="guest"), "%0 has no role; got guest"),
    "no phase": (lambda: with_instruction(0, phase="later"), "no such phase; got later"),
    "no scope": (lambda: with_instruction(0, scope=9999), "no such scope; got 9999"),
    "one number twice": (
        lambda: replace(PROGRAM, values=(*PROGRAM.values, PROGRAM.values[0])),
        "two values of one number",
    ),
    "a value that nothing makes": (
        lambda: replace(
            PROGRAM, values=(*PROGRAM.values, Value(9999, Spec((2,), FLOAT), "computed"))
        ),
        "no instruction makes %9999",
    ),
    "a select without its record": (
        lambda: with_instruction(
            next(n for n, i in enumerate(PROGRAM.instructions) if isinstance(i.kind, Select)),
            outputs=(
                next(i for i in PROGRAM.instructions if isinstance(i.kind, Select)).outputs[0],
            ),
        ),
        "results; expected",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_program_is_refused_by_name(name: str) -> None:
    build, words = BROKEN[name]
    with pytest.raises(TraceError, match=words):
        build().check()


POOL = Windows((2, 3, 4, 4), Window.of((2, 2), stride=2))
INT = np.dtype(np.int64)


@pytest.mark.parametrize(
    ("kind", "inputs", "error", "words"),
    [
        (Take("t", Rows((4, 3))), [Spec((4, 3), FLOAT), Spec((2,), FLOAT)], DTypeError, "record"),
        (Take("t", Cells((4, 3))), [Spec((4, 2), FLOAT), Spec((2,), INT)], ShapeError, "inputs"),
        (
            Give("g", POOL),
            [Spec((2, 3, 2, 2), FLOAT), Spec((2, 3, 2, 1), INT)],
            ShapeError,
            "inputs",
        ),
        (Give("g", Along((4, 3), 1)), [Spec((4, 1), FLOAT), Spec((4,), INT)], ShapeError, "axes"),
        (
            Take("t", Along((4, 3), 1, "all")),
            [Spec((4, 3), FLOAT), Spec((4, 3), INT)],
            DTypeError,
            "shares of a choice; expected float32, got int64",
        ),
        (
            pointwise("m", lambda x, y: x + y),
            [Spec((2,), FLOAT), Spec((2,), np.dtype(np.bool_))],
            DTypeError,
            "m: an operand; expected a number, got bool",
        ),
        (Select("s", Rows((4, 3))), [Spec((4, 3), FLOAT)], ShapeError, "by index, not by value"),
        (Draw("d", (3,)), [Spec((), INT)], DTypeError, "key; expected uint64, got int64"),
        (
            pointwise("m", lambda x, y: x + y),
            [Spec((2,), FLOAT), Spec((2,), np.dtype(np.float64))],
            DTypeError,
            "m: mixed data types; got float32 and float64",
        ),
        (
            pointwise("m", lambda x, y: x + y),
            [Spec((2,), FLOAT), Spec((3,), FLOAT)],
            ShapeError,
            "inputs",
        ),
        ("conv", [], ShapeError, "no operation is a str"),
    ],
)
def test_what_a_kind_does_not_read(
    kind: Any, inputs: list[Spec], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        results(kind, *inputs)


@pytest.mark.parametrize("ties", ["first", "all", "split"])
@pytest.mark.parametrize(
    "choice", [POOL, Along((2, 3, 4), 1), Windows((1, 2, 20, 20), Window.of((16, 16)))]
)
def test_results_of_choices_are_what_the_kernels_make(choice: Any, ties: str) -> None:
    choice = replace(choice, ties=ties)
    x = np.random.default_rng(0).standard_normal(choice.shape).astype(np.float32)
    values, record = run(Select("s", choice), x)
    specs = [Spec(a.shape, a.dtype) for a in (x, values, record)]
    assert results(Select("s", choice), specs[0]) == (specs[1], specs[2])
    assert results(Take("t", choice), specs[0], specs[2]) == (specs[1],)
    assert results(Give("g", choice), specs[1], specs[2]) == (specs[0],)


def test_live_keeps_order_and_what_is_needed() -> None:
    loss = dict(PROGRAM.outputs)["loss"]
    smaller = replace(PROGRAM, outputs=(("loss", loss),), writes=()).live().check()
    assert {i.phase for i in smaller.instructions} == {"forward"}
    kept = [i for i in PROGRAM.instructions if i in smaller.instructions]
    assert kept == list(smaller.instructions)
    assert [v.name for v in smaller.of_role("input", "scalar")] == [
        v.name for v in PROGRAM.of_role("input", "scalar")
    ]
    assert not smaller.of_role("state")
    np.testing.assert_array_equal(smaller.run(FEEDS)[0]["loss"], PROGRAM.run(FEEDS)[0]["loss"])


def test_instructions_are_plain_data() -> None:
    i = PROGRAM.instructions[0]
    assert hash(i) == hash(Instruction(i.kind, i.inputs, i.outputs, i.phase, i.scope, i.cause))
