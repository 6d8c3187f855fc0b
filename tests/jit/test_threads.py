"""Threads and the driver: barriers, segments, forks, two callers, errors and Ctrl-C."""

from __future__ import annotations

import ctypes
import dis
import itertools
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import pytest

from rot180.errors import ArgumentError
from rot180.jit import driver, get_num_threads, set_num_threads, threads, waiting
from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.target import Target, host
from rot180.jit.engine import Code, compile_object
from rot180.jit.planning.arena import ALIGNMENT
from rot180.jit.runner import aligned
from rot180.jit.threads import run_together


@dataclass(frozen=True)
class Next:
    """z[part] = z[part] + x[(part + 1) mod parts] + 1: wrong unless all threads wait for all."""

    parts: int
    dtype: str = "float64"

    arrays = ("x", "z")

    def emit(self, name: str, target: Target) -> Any:
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        _, other = k.divmod(k.at(k.part, 1), self.parts)
        value = k.add(k.load("x", other, 1), k.load("z", k.part, 1))
        k.store(k.add(value, k.constant(1.0, 1)), "z", k.part)
        return k.finish()


@dataclass(frozen=True)
class Note:
    """z[part] = z[part] · 3 + digit: tells in which order a block went through the kernels."""

    digit: int
    dtype: str = "float64"

    arrays = ("z",)

    def emit(self, name: str, target: Target) -> Any:
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        value = k.mul(k.load("z", k.part, 1), k.constant(3.0, 1))
        k.store(k.add(value, k.constant(float(self.digit), 1)), "z", k.part)
        return k.finish()


class Step:
    """A table of calls that is driven without a plan."""

    def __init__(self, rows: list[tuple[Any, list[Any], int, int, int]]) -> None:
        self.code = Code(host())
        self.code.add(compile_object(str(driver.driver_module(host())), host()))
        kernels = {row[0]: f"k{i}" for i, row in enumerate(rows)}
        for kernel, name in kernels.items():
            self.code.add(compile_object(str(kernel.emit(name, host())), host()))
        self.calls = np.zeros(len(rows), driver.CALL)
        self.tables = []
        for at, (kernel, arrays, parts, barrier, span) in enumerate(rows):
            table = np.array([a.ctypes.data for a in arrays], np.uint64)
            self.tables.append(table)
            call = self.calls[at]
            call["function"] = self.code.address(kernels[kernel])
            call["arrays"], call["parts"] = table.ctypes.data, parts
            call["barrier"], call["span"] = barrier, span
        word = ctypes.c_int64
        kind = ctypes.CFUNCTYPE(
            None, ctypes.c_void_p, word, word, word, ctypes.c_void_p, ctypes.c_void_p
        )
        self.drive = kind(self.code.address(driver.NAME))

    def run(self, workers: int, late: float = 0.0) -> None:
        meeting = aligned(ALIGNMENT)[: waiting.MEETING.itemsize].view(waiting.MEETING)

        def work(part: int, parts: int) -> None:
            if part == 0 and meeting["entered"][0]:
                return
            if part == workers - 1 and late:
                time.sleep(late)
            self.drive(
                self.calls.ctypes.data, len(self.calls), part, parts, meeting.ctypes.data,
                waiting.system_function(),
            )  # fmt: skip

        run_together(work, workers)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_hundreds_of_barriers(workers: int) -> None:
    x, z = np.zeros(workers), np.zeros(workers)
    pairs = [(Next(workers), [a, b], workers, 1, 1) for a, b in [(x, z), (z, x)] * 150]
    step = Step(pairs)
    for _ in range(3):
        x[:], z[:] = 0, 0
        step.run(workers)
        a, b = 0.0, 0.0
        with np.errstate(over="ignore"):
            for _ in range(150):
                b = b + a + 1
                a = a + b + 1
        np.testing.assert_array_equal(x, np.full(workers, a))


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_a_segment_takes_each_block_through_all_kernels(workers: int) -> None:
    z = np.zeros(7)
    step = Step(
        [
            (Note(1), [z], 7, 0, 3),
            (Note(2), [z], 7, 0, 0),
            (Note(0), [z], 7, 0, 0),
            (Note(2), [z], workers, 1, 1),
        ]
    )
    step.run(workers)
    once = (1 * 3 + 2) * 3.0
    assert z.tolist() == [once * 3 + 2] * workers + [once] * (7 - workers)


@pytest.mark.parametrize("workers", [2, 3])
def test_a_thread_that_waits_long_sleeps(workers: int) -> None:
    x, z = np.zeros(workers), np.zeros(workers)
    pairs = [(Next(workers), [a, b], workers, 1, 1) for a, b in [(x, z), (z, x)]]
    step = Step(pairs)
    for _ in range(5):
        x[:], z[:] = 0, 0
        before = time.process_time()
        step.run(workers, late=0.1)
        if sys.platform == "linux":
            assert time.process_time() - before < 0.05
        assert x.tolist() == [2.0] * workers


def test_more_threads_than_parts() -> None:
    z = np.zeros(3)
    Step([(Note(1), [z], 1, 0, 1), (Note(2), [z], 2, 1, 1)]).run(3)
    assert z.tolist() == [1 * 3 + 2, 2, 0]


def test_worker_0_notes_the_clock() -> None:
    z = np.zeros(2)
    step = Step([(Note(1), [z], 2, 0, 1), (Note(2), [z], 2, 1, 1)])
    step.run(2)
    begun, ended = step.calls["begun"], step.calls["ended"]
    assert (begun > 0).all()
    assert (ended >= begun).all()
    assert begun[1] >= ended[0]


def test_a_gate_closes_where_a_number_is_not_finite() -> None:
    z, loss = np.zeros(2), np.array([1.5])
    step = Step([(Note(1), [z], 2, 0, 1), (Note(2), [z], 2, 1, 1)])
    step.calls[1]["gate"], step.calls[1]["mask"] = loss.ctypes.data + 4, 0x7FF00000
    for value, expected in ((1.5, 5.0), (-np.inf, 1.0), (np.nan, 1.0), (1e308, 5.0)):
        loss[:], z[:] = value, 0
        step.run(2)
        assert z.tolist() == [expected] * 2


@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("guilty", [0, 1])
def test_an_error_in_a_part_arrives_and_the_crew_works_on(parts: int, guilty: int) -> None:
    def work(part: int, parts: int) -> None:
        if part == guilty:
            raise ValueError("a part")

    for _ in range(3):
        with pytest.raises(ValueError, match="a part"):
            run_together(work, parts)
    seen: list[int] = []
    run_together(lambda part, parts: seen.append(part), parts)
    assert sorted(seen) == list(range(parts))


def test_two_callers_take_turns() -> None:
    inside: list[int] = []
    crowded: list[int] = []
    lock = threading.Lock()

    def work(caller: int, part: int) -> None:
        with lock:
            inside.append(caller)
            if len(set(inside)) > 1:
                crowded.append(caller)
        time.sleep(0.0002)
        with lock:
            inside.remove(caller)

    def call(caller: int) -> None:
        for _ in range(100):
            run_together(lambda part, parts: work(caller, part), 2)

    callers = [threading.Thread(target=call, args=(n,)) for n in range(3)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(60)
        assert not caller.is_alive()
    assert not crowded


def _sum_in_a_child(queue: Any) -> None:
    seen: list[int] = []
    run_together(lambda part, parts: seen.append(part), 3)
    queue.put(sorted(seen))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_after_a_fork_has_a_crew_of_its_own() -> None:
    run_together(lambda part, parts: None, 3)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=_sum_in_a_child, args=(queue,))
    child.start()
    assert queue.get(timeout=60) == [0, 1, 2]
    child.join(60)
    assert child.exitcode == 0


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_waits_for_the_others_and_the_crew_works_on() -> None:
    done: list[int] = []
    calls: list[int] = []

    def work(part: int, parts: int) -> None:
        if part == 0:
            calls.append(part)
            if len(calls) == 1:  # the second time nothing is left
                signal.raise_signal(signal.SIGINT)
                time.sleep(0.01)
        else:
            time.sleep(0.2)
            done.append(part)

    with pytest.raises(KeyboardInterrupt):
        run_together(work, 3)
    assert sorted(done) == [1, 2]
    seen: list[int] = []
    run_together(lambda part, parts: seen.append(part), 3)
    assert sorted(seen) == [0, 1, 2]


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_while_waiting() -> None:
    done: list[int] = []

    def work(part: int, parts: int) -> None:
        if part == 1:
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.1)
            done.append(part)

    with pytest.raises(KeyboardInterrupt):
        run_together(work, 2)
    assert done == [1]


class Interruption:
    """Ctrl-C at one place where Python looks for signals: the first, the second, ...

    It looks when a function begins, after a call, and where a loop jumps back.
    """

    def __init__(self, at: int) -> None:
        self.left = at
        self.files = (threads.__file__, __file__)
        self.latest: dict[FrameType, int] = {}

    def __call__(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename not in self.files or frame.f_code.co_name == "interrupted":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            before = self.latest.get(frame)
            self.latest[frame] = frame.f_lasti
            name = "CALL" if before is None else dis.opname[frame.f_code.co_code[before]]
            self.left -= name.startswith(("CALL", "JUMP_BACKWARD", "JUMP_ABSOLUTE"))
            if self.left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return self


@pytest.mark.parametrize("workers", [2, 3])
def test_ctrl_c_at_any_place_of_a_step(workers: int) -> None:
    """The step is done either whole or not at all, and the next one runs."""
    x, z = np.zeros(workers), np.zeros(workers)
    pairs = [(Next(workers), [a, b], workers, 1, 1) for a, b in [(x, z), (z, x)]]
    step = Step(pairs)

    def interrupted(at: int) -> bool:
        before = sys.gettrace()
        sys.settrace(Interruption(at))
        try:
            step.run(workers)
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    step.run(workers)
    for at in itertools.count(1):
        x[:], z[:] = 0, 0
        if not interrupted(at):
            break
        assert x.tolist() in ([0.0] * workers, [2.0] * workers)
        x[:], z[:] = 0, 0
        step.run(workers)
        assert x.tolist() == [2.0] * workers
    assert at > 20


@pytest.mark.parametrize("n", [0, -1, 1.5, "2"])
def test_a_wrong_number_of_threads(n: Any) -> None:
    before = get_num_threads()
    with pytest.raises(ArgumentError, match="set_num_threads"):
        set_num_threads(n)
    assert get_num_threads() == before
