"""The driver: one native call runs a whole step, each thread entering it once.

A step is a table of calls, executed in order by every thread:

    for each row:      {function, arrays, step, parts, barrier, span, gate, mask, begun, ended}
        if barrier: wait until every thread has come here
        if gate: leave, unless the number there is finite
        if span == 1: if worker < parts: function(arrays, worker, parts, worker)
        else: for part in this worker's share of parts:
                  for each of the next `span` rows: function(arrays + part · step, part, ...)

The second form is a segment: `parts` blocks of images go through `span` kernels one block after the
other, while what the one wrote is still in the cache of the thread that reads it in the next. Each
part has pointers of its own (`step` bytes apart), since some memory belongs to a thread.

How threads wait for one another is in `waiting`. Worker 0 notes the processor's clock around every
row, so a step can be asked where its time went.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.emission.target import Target
from rot180.jit.waiting import I64, POINTER, SYSTEM, enter, meet

__all__ = ["CALL", "NAME", "driver_module"]

NAME = "rot180_drive"
CALL = np.dtype(
    [
        ("function", "<u8"), ("arrays", "<u8"), ("step", "<i8"), ("parts", "<i8"),
        ("barrier", "<i8"), ("span", "<i8"), ("gate", "<u8"), ("mask", "<u8"), ("begun", "<u8"),
        ("ended", "<u8"),
    ]
)  # fmt: skip
"""One row of the table of calls. `gate` is the address of the word that holds a number's exponent
(0: no gate) and `mask` its bits, which are all set in what is not finite."""

KERNEL = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, I64])


def driver_module(target: Target, name: str = NAME) -> ir.Module:
    """The function `drive(calls, count, worker, workers, meeting, system)`."""
    module = ir.Module(name)
    kind = ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, I64, POINTER, SYSTEM.as_pointer()])
    function = ir.Function(module, kind, name)
    calls, count, worker, workers, meeting, system = function.args
    b = ir.IRBuilder(function.append_basic_block("entry"))
    with b.if_then(b.icmp_signed("==", worker, I64(0))):
        enter(b, meeting)
    clock = ir.Function(module, ir.FunctionType(I64, []), "llvm.readcyclecounter")
    waits = b.alloca(I64)
    b.store(I64(0), waits)

    def note(row: Any, field: str) -> None:
        with b.if_then(b.icmp_signed("==", worker, I64(0))):
            b.store(b.call(clock, []), _place(b, row, field))

    with _loop(b, I64(0), count) as (number, follow):
        row = b.gep(calls, [b.mul(number, I64(CALL.itemsize // 8))], source_etype=I64)
        parts, span = _field(b, row, "parts"), _field(b, row, "span")
        together = b.icmp_signed(">", workers, I64(1))
        with b.if_then(b.and_(b.icmp_signed("!=", _field(b, row, "barrier"), I64(0)), together)):
            b.store(b.add(b.load(waits, typ=I64), I64(1)), waits)
            meet(b, target, b.mul(b.load(waits, typ=I64), workers), meeting, system)
        gate = _field(b, row, "gate")
        with b.if_then(b.icmp_signed("!=", gate, I64(0)), likely=False):
            word = b.zext(b.load(b.inttoptr(gate, POINTER), typ=ir.IntType(32)), I64)
            mask = _field(b, row, "mask")
            with b.if_then(b.icmp_signed("==", b.and_(word, mask), mask), likely=False):
                b.ret_void()
        note(row, "begun")
        with b.if_else(b.icmp_signed("==", span, I64(1))) as (single, segment):
            with single:
                share = b.select(b.icmp_signed("<", parts, workers), parts, workers)
                with b.if_then(b.icmp_signed("<", worker, share)):
                    _call(b, row, worker, share, worker)
            with segment:
                first = b.sdiv(b.mul(worker, parts), workers)
                after = b.sdiv(b.mul(b.add(worker, I64(1)), parts), workers)
                with _loop(b, first, after) as (part, next_part):
                    with _loop(b, I64(0), span) as (inner, next_row):
                        offset = b.mul(inner, I64(CALL.itemsize // 8))
                        one = b.gep(row, [offset], source_etype=I64)
                        _call(b, one, part, parts, worker)
                        next_row(I64(1))
                    next_part(I64(1))
        note(row, "ended")
        follow(span)
    b.ret_void()
    return module


def _place(b: ir.IRBuilder, row: Any, field: str) -> Any:
    assert CALL.names is not None
    return b.gep(row, [I64(CALL.names.index(field))], source_etype=I64)


def _field(b: ir.IRBuilder, row: Any, field: str, typ: Any = I64) -> Any:
    return b.load(_place(b, row, field), typ=typ)


def _call(b: ir.IRBuilder, row: Any, part: Any, parts: Any, worker: Any) -> None:
    code = _field(b, row, "function", KERNEL.as_pointer())
    start = b.mul(part, _field(b, row, "step"))
    arrays = b.gep(_field(b, row, "arrays", POINTER), [start], source_etype=ir.IntType(8))
    b.call(code, [arrays, part, parts, worker])


@contextlib.contextmanager
def _loop(b: ir.IRBuilder, first: Any, after: Any) -> Iterator[tuple[Any, Callable[[Any], None]]]:
    """A loop from first to after; the body calls what it is given with the step, at its end."""
    with b.if_then(b.icmp_signed("<", first, after)):
        entry, head = b.block, b.append_basic_block("head")
        done = b.append_basic_block("done")
        b.branch(head)
        b.position_at_end(head)
        at = b.phi(I64)
        at.add_incoming(first, entry)

        def follow(step: Any) -> None:
            following = b.add(at, step)
            at.add_incoming(following, b.block)
            b.cbranch(b.icmp_signed("<", following, after), head, done)
            b.position_at_end(done)

        yield at, follow
