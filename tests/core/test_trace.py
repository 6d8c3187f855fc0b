"""Tracer and symbols: what is written down, in which scope, and that everything is put back."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import rot180.ops as F
from rot180.core import (
    Draw,
    Form,
    Function,
    Map,
    Program,
    Select,
    Symbol,
    Tensor,
    Tracer,
    assign,
    detect_anomaly,
    gradients,
    run,
)
from rot180.core.modes import state
from rot180.errors import TraceError


def leaf(*shape: int, dtype: str = "float64") -> Tensor:
    rng = np.random.default_rng(3)
    return Tensor(rng.standard_normal(shape).astype(dtype), requires_grad=True)


def test_the_listing_reads_like_the_computation() -> None:
    w = leaf(2, 3)
    with Tracer() as tracer:
        x = tracer.input("x", (4, 3), "float64")
        tracer.hold(w, "parameter", "w")
        y = F.relu(F.linear(x, w)) * 0.5
        (g,) = gradients([y.sum()], [w])
        assert g is not None
        assign(w, w.detach() - g * 0.1)
        program = tracer.program(y=y)
    assert (
        str(program)
        == """\
%0 float64[4, 3] input x
%1 float64[2, 3] parameter w
%7 float64[] constant
forward:
  %2 float64[4, 2] = linear[n0, o] Σ_{i} %0[n0, i] · %1[o, i] ; linear.0
  %3 float64[4, 2] = relu: maximum(0.0, %2) ; relu.0
  %5 float64[4, 2] = mul: (%3 * 0.5) ; mul.0
backward:
  %8 float64[4, 2] = sum[i0, i1] %7[] ; sum.0 of %6
  %9 float64[4, 2] = mul′: (%8 * 0.5) ; mul.0 of %5
  %10 float64[4, 2] = relu′: where((%2 > 0.0), %9, 0.0) ; relu.0 of %3
  %11 float64[2, 3] = linear[o, i] Σ_{n0} %0[n0, i] · %10[n0, o] ; linear.0 of %2
forward:
  %13 float64[2, 3] = mul: (%11 * 0.1) ; mul.1
  %14 float64[2, 3] = sub: (%1 - %13) ; sub.0
output y %5
write %1 w <- %14"""
    )


def test_tensors_get_their_arrays_back_whatever_happens() -> None:
    w, b = leaf(3), leaf(3)
    arrays = [w.data, b.data]

    def fail() -> None:
        with Tracer() as tracer:
            tracer.hold(w, "parameter", "w")
            tracer.hold(b, "buffer", "b")
            assign(b, w * 2.0)
            assert isinstance(w.data, Symbol)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert all(t.data is a for t, a in zip((w, b), arrays, strict=True))
    assert state.tracer is None
    assert w.grad is None


def test_one_trace_at_a_time_in_a_thread_and_over_threads() -> None:
    with Tracer(), pytest.raises(TraceError, match="a trace is running in this thread"), Tracer():
        pass
    order: list[str] = []
    inside = threading.Event()

    def other() -> None:
        inside.wait()
        with Tracer():
            order.append("second")

    thread = threading.Thread(target=other)
    thread.start()
    with Tracer():
        inside.set()
        # Operations of this thread are traced; those of another would not be.
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_another_thread_computes_while_this_one_traces() -> None:
    results: list[np.ndarray] = []
    with Tracer():
        thread = threading.Thread(target=lambda: results.append(F.exp([0.0, 1.0]).data))
        thread.start()
        thread.join()
    np.testing.assert_allclose(results[0], np.exp([0.0, 1.0]), rtol=1e-6)


def test_anomaly_mode_and_tracing_exclude_each_other() -> None:
    with detect_anomaly(), pytest.raises(TraceError, match="looks at every value"), Tracer():
        pass


def traced_norm() -> Program:
    w, mean, var = leaf(3), Tensor(np.zeros(3)), Tensor(np.ones(3))
    with Tracer() as tracer:
        x = tracer.input("x", (4, 3, 5), "float64").requires_grad_()
        tracer.hold(w, "parameter", "w")
        tracer.hold(mean, "buffer", "mean")
        tracer.hold(var, "buffer", "var")
        first = F.batch_norm(x, mean, var, w, training=True, momentum=0.2)
        y = F.batch_norm(first + x, None, None, training=True)
        ups = tracer.input("g", y.shape, "float64")
        dx, dw = gradients([y], [x, w], [ups])
        assert dx is not None
        assert dw is not None
        return tracer.program(y=y, dx=dx, dw=dw)


def test_scopes_know_call_arguments_and_backward_instructions() -> None:
    program = traced_norm()
    calls = [s for s in program.scopes if s.parent is None]
    assert [s.name for s in calls] == ["batch_norm", "add", "batch_norm"]
    assert [s.call for s in calls if s.name == "batch_norm"] == [0, 1]
    first, _, second = calls
    assert first.setting("momentum") == 0.2
    assert first.setting("training") is True
    names = {v.number: v.name for v in program.values if v.name}
    assert [(a, names.get(n)) for a, n in first.inputs] == [
        ("input", "x"), ("running_mean", "mean"), ("running_var", "var"), ("weight", "w"),
    ]  # fmt: skip
    assert second.input("weight") is None
    assert second.outputs == (dict(program.outputs)["y"],)
    for place, scope in enumerate(program.scopes):
        if scope.name != "batch_norm":
            continue
        inside = [program.instructions[at] for at in program.within(place)]
        assert {i.phase for i in inside} == {"forward", "backward"}
        # The gradients that meet inside a call belong to it ...
        assert any(i.phase == "backward" and i.kind.name == "add" for i in inside)
    # ... and where those of two calls meet, to none.
    meeting = [i for i in program.instructions if i.phase == "backward" and i.scope is None]
    assert [i.kind.name for i in meeting] == ["add"]
    # A call and its gradient touch the rest at few places: what a fused kernel needs.
    at = program.scopes.index(second)
    inside_made = {n for p in program.within(at) for n in program.instructions[p].outputs}
    read = {n for p in program.within(at) for n in program.instructions[p].inputs} - inside_made
    assert len(read) == 2  # its input and its upstream gradient


def test_writes_come_after_reads_and_views_of_targets_do_not_matter() -> None:
    b = Tensor(np.arange(3.0))
    with Tracer() as tracer:
        x = tracer.input("x", (3,), "float64")
        tracer.hold(b, "buffer", "b")
        before = b * 1.0
        assign(b, b + x)
        assign(b, b * 2.0)
        program = tracer.program(before=before, after=b * 1.0)
    outputs = program.step(x=np.ones(3))
    np.testing.assert_array_equal(outputs["before"], [0, 1, 2])
    np.testing.assert_array_equal(outputs["after"], [2, 4, 6])
    np.testing.assert_array_equal(b.data, [2, 4, 6])
    program.step(x=np.ones(3))
    np.testing.assert_array_equal(b.data, [6, 10, 14])


def test_a_write_into_anything_else_is_refused() -> None:
    stranger = Tensor(np.zeros(3))
    with Tracer() as tracer, pytest.raises(TraceError, match="no parameter and no buffer"):
        assign(stranger, tracer.input("x", (3,), "float64"))
    held = Tensor(np.zeros(3))
    with Tracer() as tracer:
        tracer.hold(held, "buffer", "b")
        with pytest.raises(
            TraceError, match=r"write to b; expected float64\[3\], got float64\[2\]"
        ):
            assign(held, tracer.input("x", (2,), "float64"))
        with pytest.raises(TraceError, match="writing into the array"):
            held[0] = 1.0


def test_repeated_work_is_done_once_and_unused_work_not_at_all() -> None:
    with Tracer() as tracer:
        x = tracer.input("x", (4, 3), "float64")
        y = F.exp(x) + F.exp(x)
        F.tanh(y).sum()
        program = tracer.program(y=y)
    assert [i.kind.name for i in program.instructions] == ["exp", "add"]
    values = np.ones((4, 3))
    np.testing.assert_array_equal(program.step(x=values)["y"], np.exp(values) * 2)


def test_operations_on_arrays_alone_run_at_once() -> None:
    with Tracer() as tracer:
        x = tracer.input("x", (3,), "float64")
        mask = F.gt(np.array([1.0, -1.0, 2.0]), 0.0)
        assert mask.tolist() == [True, False, True]
        program = tracer.program(y=F.where(mask, x, 0.0))
    assert [i.kind.name for i in program.instructions] == ["where"]
    np.testing.assert_array_equal(program.step(x=np.full(3, 5.0))["y"], [5, 0, 5])


def test_a_function_of_the_users_is_traced_by_its_operations() -> None:
    class Cube(Function):
        @staticmethod
        def forward(ctx, x):  # type: ignore[no-untyped-def]
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, g):  # type: ignore[no-untyped-def]
            (x,) = ctx.saved_tensors
            return g * 3.0 * x * x

    with Tracer() as tracer:
        x = tracer.input("x", (3,), "float64").requires_grad_()
        y = Cube.apply(x)
        (dx,) = gradients([y], [x], [tracer.input("g", (3,), "float64")])
        assert dx is not None
        program = tracer.program(y=y, dx=dx)
    x_array, g = np.array([1.0, -2.0, 3.0]), np.array([1.0, 10.0, 0.1])
    outputs = program.step(x=x_array, g=g)
    np.testing.assert_allclose(outputs["y"], x_array**3)
    np.testing.assert_allclose(outputs["dx"], g * 3 * x_array**2)


def test_gradients_of_gradients_are_written_down() -> None:
    with Tracer() as tracer:
        x = tracer.input("x", (3,), "float64").requires_grad_()
        (first,) = gradients([(F.sin(x) * x).sum()], [x], create_graph=True)
        assert first is not None
        (second,) = gradients([first.sum()], [x])
        assert second is not None
        program = tracer.program(second=second)
    x_array = np.array([0.3, 1.0, 2.0])
    expected = 2 * np.cos(x_array) - x_array * np.sin(x_array)
    np.testing.assert_allclose(program.step(x=x_array)["second"], expected, rtol=1e-14)


def test_a_repeated_number_stays_a_number() -> None:
    """The gradient of a mean is one number everywhere: no array of it is kept as a constant."""
    with Tracer() as tracer:
        x = tracer.input("x", (50, 40), "float64").requires_grad_()
        (dx,) = gradients([x.mean()], [x])
        assert dx is not None
        program = tracer.program(dx=dx)
    assert max(array.size for array in program.constants.values()) == 1
    np.testing.assert_allclose(program.step(x=np.ones((50, 40)))["dx"], 1 / 2000)


def splitmix64(state: int) -> int:
    """As its authors wrote it, one number at a time."""
    mask = (1 << 64) - 1
    z = (state + 0x9E3779B97F4A7C15) & mask
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
    return z ^ (z >> 31)


@pytest.mark.parametrize("key", [0, 1, 1234567, 2**64 - 1])
def test_draw_is_splitmix64(key: int) -> None:
    drawn = run(Draw("draw", (3, 7)), np.asarray(key, np.uint64))
    step = 0x9E3779B97F4A7C15
    expected = [(splitmix64((key + i * step) & (2**64 - 1)) >> 40) / 2**24 for i in range(21)]
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn.reshape(-1), np.float32(expected))
    # Published: the first numbers of splitmix64 with seed 1234567.
    assert splitmix64(1234567) == 6457827717110365317


def test_draw_is_even_over_blocks() -> None:
    drawn = run(Draw("draw", (40_000,)), np.asarray(99, np.uint64)).astype(np.float64)
    assert drawn.min() >= 0
    assert drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.005
    assert abs(np.corrcoef(drawn[1:], drawn[:-1])[0, 1]) < 0.02
    counts = np.histogram(drawn, 20, (0, 1))[0]
    assert ((counts - 2000) ** 2 / 2000).sum() < 45  # chi squared, 19 degrees of freedom


def test_kinds_of_a_program_are_those_of_the_core() -> None:
    kinds = {type(i.kind) for i in traced_norm().instructions}
    assert kinds <= {Form, Map, Select}
