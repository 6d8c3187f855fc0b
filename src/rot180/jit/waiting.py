"""Waiting: how the native threads of a step wait for one another.

A barrier between native threads costs a fraction of a microsecond; a Python thread that has to be
woken costs a hundred times as much. Threads count the barriers that they reach: the arrivals of
all of them are added up in one number that only grows, so there is nothing to reset.

One that waits looks at the number for about as long as it takes to fall asleep and wake up. Then
it sleeps where the system has sleep for that (Linux: a futex), and the last one to arrive wakes
the others; elsewhere it gives its processor away between looks. On a quiet machine nobody sleeps.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.emission.target import Target

__all__ = ["MEETING", "SYSTEM", "enter", "linger_module", "meet", "system_function"]

I64 = ir.IntType(64)
POINTER = ir.PointerType()
SYSTEM = ir.FunctionType(I64, [I64], var_arg=True)
"""The system's function by which a thread rests: see `system_function`."""

MEETING = np.dtype([("arrivals", "<i8"), ("sleepers", "<i8"), ("entered", "<i8")])
"""What the threads of a step share, all zero before it; `entered`: whether worker 0 was there."""

_PATIENCE = 1 << 10
"""How often a thread looks before it rests."""

_SHORT_PATIENCE = 1 << 8
"""The same for a thread that only looks whether there is more to do."""

_FUTEX = {"neon": 98}
"""The number of Linux's system call by target; 202 on x86."""

_WAIT, _WAKE = 128, 129
"""FUTEX_WAIT and FUTEX_WAKE, of this process only."""


def enter(b: ir.IRBuilder, meeting: Any) -> None:
    """Note that worker 0 has come."""
    b.store(I64(1), _word(b, meeting, "entered"))


def meet(b: ir.IRBuilder, target: Target, goal: Any, meeting: Any, system: Any) -> None:
    """Arrive, and wait until the arrivals of all threads have reached the goal."""
    arrivals, sleepers = _word(b, meeting, "arrivals"), _word(b, meeting, "sleepers")
    number = b.add(b.atomic_rmw("add", arrivals, I64(1), "seq_cst"), I64(1))
    with b.if_else(b.icmp_signed("==", number, goal)) as (last, others):
        with last:
            asleep = b.load_atomic(sleepers, "seq_cst", 8, typ=I64)
            with b.if_then(b.icmp_signed("!=", asleep, I64(0)), likely=False):
                _wake(b, target, arrivals, system)
        with others:
            _look(b, target, goal, arrivals)
            _sleep(b, target, goal, arrivals, sleepers, system)


def _look(b: ir.IRBuilder, target: Target, goal: Any, arrivals: Any) -> None:
    """Look until the counter is at the goal, or patience ends."""
    before, spin = b.block, b.append_basic_block("spin")
    after = b.append_basic_block("looked")
    b.branch(spin)
    b.position_at_end(spin)
    looks = b.phi(I64)
    looks.add_incoming(I64(_PATIENCE), before)
    _pause(b, target)
    left = b.sub(looks, I64(1))
    looks.add_incoming(left, b.block)
    reached = b.icmp_signed(">=", b.load_atomic(arrivals, "acquire", 8, typ=I64), goal)
    b.cbranch(b.or_(reached, b.icmp_signed("==", left, I64(0))), after, spin)
    b.position_at_end(after)


def _sleep(
    b: ir.IRBuilder, target: Target, goal: Any, arrivals: Any, sleepers: Any, system: Any
) -> None:
    """Rest as long as the counter is not at the goal.

    A sleeper counts itself before it looks for the last time, and the last to arrive counts itself
    before it looks for sleepers: one of them sees the other.
    """
    seen = b.load_atomic(arrivals, "acquire", 8, typ=I64)
    with b.if_then(b.icmp_signed("<", seen, goal), likely=False):
        b.atomic_rmw("add", sleepers, I64(1), "seq_cst")
        again, done = b.append_basic_block("again"), b.append_basic_block("done")
        rest = b.append_basic_block("rest")
        b.branch(again)
        b.position_at_end(again)
        seen = b.load_atomic(arrivals, "seq_cst", 8, typ=I64)
        b.cbranch(b.icmp_signed("<", seen, goal), rest, done)
        b.position_at_end(rest)
        if sys.platform == "linux":  # sleeps only if the number is still what was seen
            _futex(b, target, system, arrivals, _WAIT, b.trunc(seen, ir.IntType(32)))
        else:
            b.call(system, [I64(0)])
        b.branch(again)
        b.position_at_end(done)
        b.atomic_rmw("sub", sleepers, I64(1), "seq_cst")


def _wake(b: ir.IRBuilder, target: Target, arrivals: Any, system: Any) -> None:
    if sys.platform == "linux":
        _futex(b, target, system, arrivals, _WAKE, ir.Constant(ir.IntType(32), 0x7FFFFFFF))


def _futex(b: ir.IRBuilder, target: Target, system: Any, word: Any, what: int, number: Any) -> None:
    """Linux's system call on the lower half of a word (all targets here are little-endian)."""
    call = I64(_FUTEX.get(target.name, 202))
    b.call(system, [call, word, I64(what), b.zext(number, I64), I64(0), I64(0), I64(0)])


def linger_module(target: Target, name: str) -> ir.Module:
    """The function `linger(counter, goal, looks, give_way)`: look until a counter is at a goal.

    A thread that has done its part of a step looks for the next one for a moment before it parks:
    waking it up again takes as long as a small step.
    """
    module = ir.Module(name)
    system = ir.FunctionType(ir.VoidType(), [])
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, system.as_pointer()])
    function = ir.Function(module, kind, name)
    counter, goal, looks, yielding = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    before, spin = b.block, b.append_basic_block("spin")
    done = b.append_basic_block("done")
    b.branch(spin)
    b.position_at_end(spin)
    left = b.phi(I64)
    left.add_incoming(looks, before)
    _pause(b, target)
    fewer = b.sub(left, I64(1))
    with b.if_then(b.icmp_signed("==", b.and_(fewer, I64(_SHORT_PATIENCE - 1)), I64(0))):
        b.call(yielding, [])
    left.add_incoming(fewer, b.block)
    reached = b.icmp_signed(">=", b.load_atomic(counter, "acquire", 8, typ=I64), goal)
    b.cbranch(b.or_(reached, b.icmp_signed("<=", fewer, I64(0))), done, spin)
    b.position_at_end(done)
    b.ret_void()
    return module


def _word(b: ir.IRBuilder, meeting: Any, field: str) -> Any:
    assert MEETING.names is not None
    return b.gep(meeting, [I64(MEETING.names.index(field))], source_etype=I64)


def _pause(b: ir.IRBuilder, target: Target) -> None:
    """Tell the processor that this loop waits."""
    if target.name == "neon":
        _intrinsic(b, "llvm.aarch64.hint", ir.Constant(ir.IntType(32), 1))
    else:
        _intrinsic(b, "llvm.x86.sse2.pause")


def _intrinsic(b: ir.IRBuilder, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
    known = b.module.globals.get(name)
    b.call(ir.Function(b.module, kind, name) if known is None else known, arguments)


def give_way() -> int:
    """The address of the system's function that lets other threads run."""
    if sys.platform == "win32":
        return _address(ctypes.windll.kernel32.SwitchToThread)
    return _address(ctypes.CDLL(None).sched_yield)


def system_function() -> int:
    """The address of the system's function by which a thread rests in a step.

    Linux: `syscall`, which takes a number first. Elsewhere `give_way`, which takes nothing.
    """
    return _address(ctypes.CDLL(None).syscall) if sys.platform == "linux" else give_way()


def _address(function: Any) -> int:
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
