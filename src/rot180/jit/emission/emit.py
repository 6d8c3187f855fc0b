"""Emission: the few words in which every kernel family writes its loop nest.

A kernel is one native function over flat arrays. An `Emitter` holds the function that is being
written: pointers by name, loops as `with` blocks, vectors of the target's width. Offsets count
elements; integers that are known are folded, so an index costs nothing when it is constant. The
words are in four files: integers, floats, moves between lanes, and here control and memory.

    k = Emitter("scale", ("x", "z"), target, np.dtype("float32"))
    with k.loop(0, n, k.lanes) as i:
        k.store(k.mul(k.load("x", i), k.splat(2.0)), "z", i)
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.emission.floats import FLOATS, I32
from rot180.jit.emission.integers import I64, Index
from rot180.jit.emission.lanes import Lanes
from rot180.jit.emission.target import Target

__all__ = ["I64", "Emitter", "Index", "Variable"]

_BYTE = ir.IntType(8)
_INTEGERS = {
    "bool": _BYTE, "int8": _BYTE, "uint8": _BYTE, "int16": ir.IntType(16), "uint16": ir.IntType(16),
    "int32": I32, "uint32": I32, "int64": I64, "uint64": I64,
}  # fmt: skip


class Variable:
    """A value that changes inside loops: kept in a register, not in memory."""

    def __init__(self, emitter: Emitter, start: Any) -> None:
        self._builder = emitter.builder
        with emitter.builder.goto_entry_block():
            self._slot = emitter.builder.alloca(start.type)
        self.set(start)

    def get(self) -> Any:
        """The value now."""
        return self._builder.load(self._slot)

    def set(self, value: Any) -> None:
        """Assign."""
        self._builder.store(value, self._slot)


class Emitter(Lanes):
    """One kernel while it is written.

    The function's signature is the same for all kernels:
    `void (ptr *arrays, i64 part, i64 parts, i64 worker)`, with one pointer for each name, in order.
    It is called once for each `part` of `parts`, by threads that are numbered by `worker`; memory
    that is nobody else's, such as scratch, goes by worker.

    Attributes:
        name: the function's name.
        lanes: numbers in one vector of the kernel's float type.
        part, parts: which share of the work this call does, of how many.
        worker: which thread does it.
    """

    def __init__(
        self, name: str, arrays: Sequence[str], target: Target, dtype: np.dtype[Any]
    ) -> None:
        self.name, self.target, self.dtype = name, target, dtype
        self.lanes = target.lanes(dtype)
        self.float = FLOATS[dtype.name]
        self.module = ir.Module(name)
        pointer = ir.PointerType()
        inner = ir.Function(
            self.module,
            ir.FunctionType(ir.VoidType(), [*(pointer for _ in arrays), I64, I64, I64]),
            f"{name}_body",
        )
        inner.linkage = "internal"
        inner.attributes.add("noinline")
        for argument in inner.args[:-3]:
            argument.add_attribute("noalias")
        self.part, self.parts, self.worker = inner.args[-3:]
        self._pointers = dict(zip(arrays, inner.args, strict=False))
        self.builder = ir.IRBuilder(inner.append_basic_block("entry"))
        self._write_entry(inner, len(arrays))

    def _write_entry(self, inner: Any, count: int) -> None:
        """The visible function: takes the pointers out of their table and rules aliasing out."""
        outer = ir.Function(
            self.module,
            ir.FunctionType(ir.VoidType(), [ir.PointerType(), I64, I64, I64]),
            self.name,
        )
        builder = ir.IRBuilder(outer.append_basic_block("entry"))
        table, part, parts, worker = outer.args
        loaded = [
            builder.load(
                builder.gep(table, [ir.Constant(I64, i)], source_etype=ir.PointerType()),
                typ=ir.PointerType(),
            )
            for i in range(count)
        ]
        builder.call(inner, [*loaded, part, parts, worker])
        builder.ret_void()

    def finish(self) -> ir.Module:
        """The module with the finished function."""
        self.builder.ret_void()
        return self.module

    @contextlib.contextmanager
    def loop(self, start: Index, stop: Index, step: int = 1) -> Iterator[Any]:
        """`for i in range(start, stop, step)`; a loop of one round is no loop."""
        if isinstance(start, int) and isinstance(stop, int) and start < stop <= start + step:
            yield start
            return
        b = self.builder
        before, head = b.block, b.append_basic_block("loop")
        after = b.append_basic_block("after")
        first = self.index(start)
        b.cbranch(b.icmp_signed("<", first, self.index(stop)), head, after)
        b.position_at_end(head)
        i = b.phi(I64)
        i.add_incoming(first, before)
        yield i
        following = b.add(i, self.index(step), flags=["nsw"])
        i.add_incoming(following, b.block)
        b.cbranch(b.icmp_signed("<", following, self.index(stop)), head, after)
        b.position_at_end(after)

    @contextlib.contextmanager
    def when(self, a: Index, relation: str, b: Index) -> Iterator[None]:
        """A block that runs where the comparison holds (always, where it is known to)."""
        if isinstance(a, int) and isinstance(b, int):
            raise ValueError("compare known integers in Python")
        with self.builder.if_then(self.builder.icmp_signed(relation, self.index(a), self.index(b))):
            yield

    @contextlib.contextmanager
    def all_of(self, conditions: Sequence[tuple[Index, str, Index]]) -> Iterator[None]:
        """A block that runs where every comparison (a, relation, b) holds; without any, always."""
        with contextlib.ExitStack() as stack:
            for a, relation, b in conditions:
                if isinstance(a, int) and isinstance(b, int):
                    raise ValueError("compare known integers in Python")
                stack.enter_context(self.when(a, relation, b))
            yield

    @contextlib.contextmanager
    def all_below(self, bounds: Sequence[tuple[Index, int]]) -> Iterator[None]:
        """A block that runs where every index is below its bound; without bounds, always."""
        with contextlib.ExitStack() as stack:
            for value, bound in bounds:
                stack.enter_context(self.when(value, "<", bound))
            yield

    def variable(self, start: Any) -> Variable:
        """A value that changes inside loops."""
        return Variable(self, start)

    def pointer(self, array: str | Any, offset: Index = 0, element: Any = None) -> Any:
        """The address of an element."""
        base = self._pointers[array] if isinstance(array, str) else array
        if isinstance(offset, int) and offset == 0:
            return base
        return self.builder.gep(
            base, [self.index(offset)], inbounds=True, source_etype=element or self.float
        )

    def load(self, array: str | Any, offset: Index = 0, lanes: int | None = None) -> Any:
        """A vector of `lanes` numbers (one: a scalar), at any alignment of a number."""
        typ = self.vector(self.lanes if lanes is None else lanes)
        return self.builder.load(self.pointer(array, offset), align=self.dtype.itemsize, typ=typ)

    def store(
        self, value: Any, array: str | Any, offset: Index = 0, live: int | None = None
    ) -> None:
        """Write a vector or a scalar; of a vector the first `live` lanes, in powers of two."""
        lanes = getattr(value.type, "count", 1)
        live = lanes if live is None else live
        start = 0
        while start < live:
            count = min(lanes, 1 << ((live - start).bit_length() - 1))
            part = value if count == lanes else self.lanes_of(value, start, count)
            place = self.pointer(array, self.at(offset, start))
            self.builder.store(part, place, align=self.dtype.itemsize)
            start += count

    def stream(self, value: Any, array: str | Any, offset: Index = 0) -> None:
        """Write a vector past the caches, to a place at a multiple of its size: it is read late.

        Only whole cache lines gain by it. The threads' next meeting makes it visible to the others.
        """
        size = getattr(value.type, "count", 1) * self.dtype.itemsize
        made = self.builder.store(value, self.pointer(array, offset), align=size)
        made.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))

    def prefetch(self, array: str | Any, offset: Index = 0) -> None:
        """Ask for a cache line that is read soon; it may lie outside of the array."""
        full = "llvm.prefetch.p0"
        function = self.module.globals.get(full) or ir.Function(
            self.module, ir.FunctionType(ir.VoidType(), [ir.PointerType(), I32, I32, I32]), full
        )
        read, near, data = I32(0), I32(3), I32(1)
        self.builder.call(function, [self.pointer(array, offset), read, near, data])

    def load_as(self, dtype: str, array: str | Any, offset: Index = 0, lanes: int = 1) -> Any:
        """Numbers of another type than the kernel's: integers and floats, `lanes` of them."""
        element = _INTEGERS.get(dtype) or FLOATS[dtype]
        typ = element if lanes == 1 else ir.VectorType(element, lanes)
        pointer = self.pointer(array, offset, element)
        return self.builder.load(pointer, align=np.dtype(dtype).itemsize, typ=typ)

    def store_as(self, dtype: str, value: Any, array: str | Any, offset: Index = 0) -> None:
        """Write numbers of another type than the kernel's."""
        element = _INTEGERS.get(dtype) or FLOATS[dtype]
        pointer = self.pointer(array, offset, element)
        self.builder.store(value, pointer, align=np.dtype(dtype).itemsize)

    def broadcast(self, array: str | Any, offset: Index = 0) -> Any:
        """One number of memory in every lane."""
        return self.splat(self.load(array, offset, 1))

    def gather(
        self, array: str | Any, offset: Index, step: int, lanes: int, live: int | None = None
    ) -> Any:
        """`lanes` numbers that stand `step` elements apart; the first `live` of them count."""
        if lanes == 1 or step == 1:
            return self.load(array, offset, lanes)
        v = ir.Constant(self.vector(lanes), ir.Undefined)
        for lane in range(lanes if live is None else live):
            one = self.load(array, self.at(offset, lane * step), 1)
            v = self.builder.insert_element(v, one, ir.Constant(I32, lane))
        return v

    def scatter(
        self, value: Any, array: str | Any, offset: Index, step: int, live: int | None = None
    ) -> None:
        """Write the (first `live`) lanes of a vector `step` elements apart."""
        if step == 1 or not isinstance(value.type, ir.VectorType):
            self.store(value, array, offset, live)
            return
        for lane in range(value.type.count if live is None else live):
            self.store(self.lane(value, lane), array, self.at(offset, lane * step))

    def strided(self, array: str | Any, offset: Index, start: int, step: int, lanes: int) -> Any:
        """`lanes` numbers from offset + start on, one in `step`, picked out of whole vectors.

        Neighbours (start 0, 1, ...) share what is read, which is up to step − 1 elements more.
        """
        if lanes == 1 or step == 1 or step > 4:
            return self.gather(array, self.at(offset, start), step, lanes)
        skip = start % step
        found = [
            self.load(array, self.at(offset, start - skip, i * lanes), lanes) for i in range(step)
        ]
        if step > 2:
            last = found[-1]
            found = [self.shuffle(a, b, range(2 * lanes)) for a, b in (found[:2], [found[2], last])]
        return self.shuffle(found[0], found[1], range(skip, step * lanes, step))
