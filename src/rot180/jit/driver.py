"""The driver: one native call runs a whole step, each thread entering it once.

A step is a table of calls, executed in order:

    for each call:                                     {function, arrays, parts, barrier}
        if barrier: wait until every thread has come here
        if part < parts: function(arrays, part, parts)

A barrier between native threads costs a fraction of a microsecond; a Python thread that has to be
woken costs a hundred times as much. Threads count the barriers that they reach: the arrivals of
all of them are added up in one number that only grows, so there is nothing to reset. One that waits
long gives its processor away, so that a machine with other work does not stand still.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.target import Target

__all__ = ["CALL", "NAME", "driver_module", "give_way"]

NAME = "rot180_drive"
CALL = np.dtype([("function", "<u8"), ("arrays", "<u8"), ("parts", "<i8"), ("barrier", "<i8")])
"""One row of the table of calls."""

I64 = ir.IntType(64)
_PATIENCE = 1 << 14
"""How often a waiting thread looks before it gives its processor away."""


def driver_module(target: Target, name: str = NAME) -> ir.Module:
    """The function `drive(calls, count, part, parts, arrivals, give_way)`."""
    pointer = ir.PointerType()
    module = ir.Module(name)
    system = ir.FunctionType(ir.VoidType(), [])
    kind = ir.FunctionType(
        ir.VoidType(), [pointer, I64, I64, I64, pointer, system.as_pointer()]
    )
    function = ir.Function(module, kind, name)
    calls, count, part, parts, arrivals, yielding = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    kernel = ir.FunctionType(ir.VoidType(), [pointer, I64, I64])
    entry, head = b.block, b.append_basic_block("call")
    done = b.append_basic_block("done")
    b.cbranch(b.icmp_signed(">", count, I64(0)), head, done)
    b.position_at_end(head)
    number, waits = b.phi(I64), b.phi(I64)
    row = b.gep(calls, [b.mul(number, I64(4))], source_etype=I64)

    def field(index: int, typ: Any) -> Any:
        return b.load(b.gep(row, [I64(index)], source_etype=I64), typ=typ)

    code, arrays, wanted = field(0, kernel.as_pointer()), field(1, pointer), field(2, I64)
    needs = b.and_(b.icmp_signed("!=", field(3, I64), I64(0)), b.icmp_signed(">", parts, I64(1)))
    with b.if_then(needs):
        _wait(b, target, b.mul(b.add(waits, I64(1)), parts), arrivals, yielding)
    waited = b.add(waits, b.zext(needs, I64))
    share = b.select(b.icmp_signed("<", wanted, parts), wanted, parts)
    with b.if_then(b.icmp_signed("<", part, share)):
        b.call(code, [arrays, part, share])
    following = b.add(number, I64(1))
    number.add_incoming(I64(0), entry)
    number.add_incoming(following, b.block)
    waits.add_incoming(I64(0), entry)
    waits.add_incoming(waited, b.block)
    b.cbranch(b.icmp_signed("<", following, count), head, done)
    b.position_at_end(done)
    b.ret_void()
    return module


def _wait(b: ir.IRBuilder, target: Target, goal: Any, arrivals: Any, yielding: Any) -> None:
    """Arrive, and wait until the arrivals of all threads have reached the goal."""
    b.atomic_rmw("add", arrivals, I64(1), "acq_rel")
    before, spin = b.block, b.append_basic_block("spin")
    after = b.append_basic_block("together")
    b.branch(spin)
    b.position_at_end(spin)
    looks = b.phi(I64)
    looks.add_incoming(I64(0), before)
    if target.name == "neon":
        _intrinsic(b, "llvm.aarch64.hint", ir.Constant(ir.IntType(32), 1))
    else:
        _intrinsic(b, "llvm.x86.sse2.pause")
    more = b.add(looks, I64(1))
    impatient = b.icmp_signed("==", b.and_(more, I64(_PATIENCE - 1)), I64(0))
    with b.if_then(impatient):
        b.call(yielding, [])
    looks.add_incoming(more, b.block)
    arrived = b.load_atomic(arrivals, "acquire", 8, typ=I64)
    b.cbranch(b.icmp_signed(">=", arrived, goal), after, spin)
    b.position_at_end(after)


def _intrinsic(b: ir.IRBuilder, name: str, *arguments: Any) -> None:
    kind = ir.FunctionType(ir.VoidType(), [a.type for a in arguments])
    b.call(ir.Function(b.module, kind, name), arguments)


def give_way() -> int:
    """The address of the system's function that lets other threads run."""
    if sys.platform == "win32":
        function = ctypes.windll.kernel32.SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return int(ctypes.cast(function, ctypes.c_void_p).value or 0)
