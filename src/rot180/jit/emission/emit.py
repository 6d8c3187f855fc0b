"""Emission: the few words in which every kernel family writes its loop nest.

A kernel is one native function over flat arrays. An `Emitter` holds the function that is being
written: pointers by name, loops as `with` blocks, vectors of the target's width. Offsets count
elements; integers that are known are folded, so an index costs nothing when it is constant.

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

from rot180.jit.emission.target import Target

__all__ = ["Emitter", "Variable"]

Index = Any
"""An offset in elements: a Python int, or a 64-bit integer that the kernel computes."""

I64, I32, I8 = ir.IntType(64), ir.IntType(32), ir.IntType(8)
_FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}
_INTEGERS = {
    "bool": I8, "int8": I8, "uint8": I8, "int16": ir.IntType(16), "uint16": ir.IntType(16),
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


class Emitter:
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
        self.float = _FLOATS[dtype.name]
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

    # Integers

    def index(self, value: Index) -> Any:
        """A 64-bit integer of the kernel."""
        return ir.Constant(I64, value) if isinstance(value, int) else value

    def at(self, *terms: Index | tuple[Index, Index]) -> Index:
        """A sum of terms, each an index or a product (index, index)."""
        known, total = 0, None
        for term in terms:
            a, b = term if isinstance(term, tuple) else (term, 1)
            if isinstance(a, int) and isinstance(b, int):
                known += a * b
                continue
            if isinstance(a, int):
                a, b = b, a
            if isinstance(b, int):
                if b == 0:
                    continue
                product = a if b == 1 else self.builder.mul(a, self.index(b), flags=["nsw"])
            else:
                product = self.builder.mul(a, b, flags=["nsw"])
            total = product if total is None else self.builder.add(total, product, flags=["nsw"])
        if total is None:
            return known
        return total if known == 0 else self.builder.add(total, self.index(known), flags=["nsw"])

    def negative(self, a: Index) -> Index:
        """−a."""
        return -a if isinstance(a, int) else self.builder.neg(a)

    def minimum(self, a: Index, b: Index) -> Index:
        """The smaller of two integers."""
        a, b = self.index(a), self.index(b)
        return self.builder.select(self.builder.icmp_signed("<", a, b), a, b)

    def maximum(self, a: Index, b: Index) -> Index:
        """The larger of two integers."""
        a, b = self.index(a), self.index(b)
        return self.builder.select(self.builder.icmp_signed(">", a, b), a, b)

    def ceiling(self, a: Index, b: int) -> Index:
        """A / b rounded up, for b > 0 and any sign of a."""
        if isinstance(a, int):
            return -(-a // b)
        if b == 1:
            return a
        lift = 1 << 30  # the dividend made positive
        quotient = self.builder.udiv(self.at(a, lift * b + b - 1), self.index(b))
        return self.builder.sub(quotient, self.index(lift))

    def divmod(self, a: Index, b: int) -> tuple[Index, Index]:
        """Quotient and remainder of a ≥ 0."""
        if isinstance(a, int):
            return divmod(a, b)
        if b == 1:
            return a, 0
        quotient = self.builder.udiv(a, self.index(b))
        return quotient, self.builder.sub(a, self.builder.mul(quotient, self.index(b)))

    def unravel(self, place: Index, extents: Sequence[int]) -> list[Index]:
        """The indices of a place in row-major order."""
        found: list[Index] = []
        for extent in reversed(extents[1:]):
            place, index = self.divmod(place, extent)
            found.insert(0, index)
        return [place, *found] if extents else []

    def share(self, units: int) -> tuple[Index, Index]:
        """The range of work units that this part does."""
        b = self.builder
        first = b.udiv(b.mul(self.part, self.index(units)), self.parts)
        after = b.udiv(b.mul(b.add(self.part, self.index(1)), self.index(units)), self.parts)
        return first, after

    # Control

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

    # Memory

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
        element = _INTEGERS.get(dtype) or _FLOATS[dtype]
        typ = element if lanes == 1 else ir.VectorType(element, lanes)
        pointer = self.pointer(array, offset, element)
        return self.builder.load(pointer, align=np.dtype(dtype).itemsize, typ=typ)

    def store_as(self, dtype: str, value: Any, array: str | Any, offset: Index = 0) -> None:
        """Write numbers of another type than the kernel's."""
        element = _INTEGERS.get(dtype) or _FLOATS[dtype]
        pointer = self.pointer(array, offset, element)
        self.builder.store(value, pointer, align=np.dtype(dtype).itemsize)

    # Floats

    def vector(self, lanes: int) -> Any:
        """The type of so many floats."""
        return self.float if lanes == 1 else ir.VectorType(self.float, lanes)

    def constant(self, value: float, lanes: int | None = None) -> Any:
        """The same number in every lane."""
        lanes = self.lanes if lanes is None else lanes
        return ir.Constant(self.vector(lanes), value if lanes == 1 else [value] * lanes)

    def whole(self, value: Index, lanes: int, bits: int = 0) -> Any:
        """The same integer in every lane; as wide as the kernel's floats without `bits`."""
        typ = ir.IntType(bits or 8 * self.dtype.itemsize)
        if isinstance(value, int):
            if lanes == 1:
                return ir.Constant(typ, value)
            return ir.Constant(ir.VectorType(typ, lanes), [value] * lanes)
        narrow = value if value.type == typ else self.builder.trunc(value, typ)
        return self.splat(narrow, lanes)

    def whole_number(self, value: Any, dtype: str) -> Any:
        """An integer of memory as a 64-bit integer of the kernel."""
        if value.type == I64:
            return value
        unsigned = np.dtype(dtype).kind in "ub"
        return self.builder.zext(value, I64) if unsigned else self.builder.sext(value, I64)

    def narrow(self, value: Any, bits: int) -> Any:
        """Integers with the upper bits dropped."""
        lanes = getattr(value.type, "count", 1)
        typ = ir.IntType(bits)
        return self.builder.trunc(value, typ if lanes == 1 else ir.VectorType(typ, lanes))

    def select(self, where: Any, yes: Any, no: Any) -> Any:
        """`yes` in the lanes where the condition holds, else `no`."""
        return self.builder.select(where, yes, no)

    def splat(self, scalar: Any, lanes: int | None = None) -> Any:
        """A scalar of the kernel in every lane."""
        lanes = self.lanes if lanes is None else lanes
        if lanes == 1:
            return scalar
        b = self.builder
        typ = ir.VectorType(scalar.type, lanes)
        first = b.insert_element(ir.Constant(typ, ir.Undefined), scalar, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return b.shuffle_vector(first, ir.Constant(typ, ir.Undefined), zeros)

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

    def without(self, v: Any, first: int) -> Any:
        """The vector with 0 in its first lanes."""
        zero = ir.Constant(v.type, None)
        lanes = range(v.type.count)
        return self.shuffle(zero, v, [i if i < first else v.type.count + i for i in lanes])

    def scatter(
        self, value: Any, array: str | Any, offset: Index, step: int, live: int | None = None
    ) -> None:
        """Write the (first `live`) lanes of a vector `step` elements apart."""
        if step == 1 or not isinstance(value.type, ir.VectorType):
            self.store(value, array, offset, live)
            return
        for lane in range(value.type.count if live is None else live):
            self.store(self.lane(value, lane), array, self.at(offset, lane * step))

    def relu(self, v: Any) -> Any:
        """The positive part; NaN stays."""
        zero = self.constant(0.0, getattr(v.type, "count", 1))
        return self.builder.select(self.builder.fcmp_ordered("<", v, zero), zero, v)

    def masked(self, v: Any, result: Any) -> Any:
        """V where the result of a ReLU is positive, 0 elsewhere: the gradient of that ReLU."""
        zero = ir.Constant(v.type, None)
        return self.builder.select(self.builder.fcmp_ordered(">", result, zero), v, zero)

    def intrinsic(self, name: str, *values: Any) -> Any:
        """Call an LLVM intrinsic that is overloaded on the type of its first argument."""
        typ = values[0].type
        word = {"float": "f32", "double": "f64"}
        element = typ.element if isinstance(typ, ir.VectorType) else typ
        suffix = word.get(str(element), str(element))
        if isinstance(typ, ir.VectorType):
            suffix = f"v{typ.count}{suffix}"
        full = f"llvm.{name}.{suffix}"
        known = self.module.globals.get(full)
        if known is None:
            result = element if name.startswith("vector.reduce") else typ
            known = ir.Function(
                self.module, ir.FunctionType(result, [v.type for v in values]), full
            )
        return self.builder.call(known, values)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """A · b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def add(self, a: Any, b: Any) -> Any:
        """A + b."""
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        """A − b."""
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        """A · b."""
        return self.builder.fmul(a, b)

    def div(self, a: Any, b: Any) -> Any:
        """A / b."""
        return self.builder.fdiv(a, b)

    def number(self, value: Index) -> Any:
        """An integer as a float of the kernel."""
        if isinstance(value, int):
            return self.constant(float(value), 1)
        return self.builder.sitofp(value, self.float)

    def numbers(self, values: Sequence[float]) -> Any:
        """A vector of known numbers."""
        return ir.Constant(self.vector(len(values)), list(map(float, values)))

    def joined(self, scalars: Sequence[Any]) -> Any:
        """A vector of scalars."""
        v = ir.Constant(ir.VectorType(scalars[0].type, len(scalars)), ir.Undefined)
        for lane, one in enumerate(scalars):
            v = self.builder.insert_element(v, one, ir.Constant(I32, lane))
        return v

    def lane(self, v: Any, lane: int) -> Any:
        """One number of a vector."""
        return self.builder.extract_element(v, ir.Constant(I32, lane))

    def lanes_of(self, v: Any, start: int, count: int) -> Any:
        """Neighbouring lanes of a vector; one alone is a scalar."""
        return (
            self.lane(v, start) if count == 1 else self.shuffle(v, v, range(start, start + count))
        )

    def shuffle(self, a: Any, b: Any, lanes: Sequence[int]) -> Any:
        """Lanes picked out of two vectors, counted through both."""
        mask = ir.Constant(ir.VectorType(I32, len(lanes)), list(lanes))
        return self.builder.shuffle_vector(a, b, mask)

    def picked(self, vectors: Sequence[Any], lanes: Sequence[int]) -> Any:
        """Lanes picked out of several vectors (a power of two of them), counted through all."""
        if len(vectors) <= 2:
            return self.shuffle(vectors[0], vectors[-1], lanes)
        half, middle = len(vectors) // 2, len(vectors) // 2 * vectors[0].type.count
        low = [place for place in lanes if place < middle]
        high = [place - middle for place in lanes if place >= middle]
        if not low or not high:
            return self.picked(vectors[half:] if high else vectors[:half], low or high)
        size = max(len(low), len(high))
        a, b = (
            self.picked(some, [*places, *places[:1] * (size - len(places))])
            for some, places in ((vectors[:half], low), (vectors[half:], high))
        )
        numbers = {False: iter(range(size)), True: iter(range(size, 2 * size))}
        return self.shuffle(a, b, [next(numbers[place >= middle]) for place in lanes])

    def combed(self, vectors: Sequence[Any]) -> list[Any]:
        """Records that lie one behind the other, of as many numbers as there are vectors, which is
        odd: the first numbers of all records, the second ones, and so on.

        The numbers of one vector to be stand in different lanes: they are blended, then moved.
        """
        lanes, step = getattr(vectors[0].type, "count", 1), len(vectors)
        if lanes == 1:
            return list(vectors)
        found = []
        for number in range(step):
            places = [record * step + number for record in range(lanes)]
            source = {place % lanes: place // lanes for place in places}
            blend = vectors[0]
            for i, v in enumerate(vectors[1:], start=1):
                side = [lane + lanes * (source[lane] == i) for lane in range(lanes)]
                blend = self.shuffle(blend, v, side)
            found.append(self.shuffle(blend, blend, [place % lanes for place in places]))
        return found

    def woven(self, numbers: Sequence[Any]) -> list[Any]:
        """What `combed` undoes: records one behind the other, of one number out of each vector."""
        lanes, step = getattr(numbers[0].type, "count", 1), len(numbers)
        if lanes == 1:
            return list(numbers)
        moved = []
        for number, v in enumerate(numbers):
            record = {(r * step + number) % lanes: r for r in range(lanes)}
            moved.append(self.shuffle(v, v, [record[lane] for lane in range(lanes)]))
        found = []
        for i in range(step):
            blend = moved[0]
            for number, v in enumerate(moved[1:], start=1):
                mine = [(i * lanes + lane) % step == number for lane in range(lanes)]
                side = [lane + lanes * own for lane, own in enumerate(mine)]
                blend = self.shuffle(blend, v, side)
            found.append(blend)
        return found

    def totals(self, vectors: Sequence[Any]) -> Any:
        """The vector of the sums over the lanes of each vector in order, zeros behind them.

        Two vectors become one, which holds half as many partial sums of each, until one is left
        or the sums are complete.
        """
        spare = (1 << (len(vectors) - 1).bit_length()) - len(vectors)
        vectors = [*vectors, *(ir.Constant(vectors[0].type, None) for _ in range(spare))]
        if not isinstance(vectors[0].type, ir.VectorType):
            vectors = [self.splat(v, 2) for v in vectors]
            vectors = [self.without(v, 1) for v in vectors]
        found, lanes = list(vectors), vectors[0].type.count
        partial = lanes
        while partial > 1:
            even, odd = [*range(0, 2 * lanes, 2)], [*range(1, 2 * lanes, 2)]
            if len(found) == 1:
                even, odd = even[: partial // 2 * len(vectors)], odd[: partial // 2 * len(vectors)]
                found = [
                    self.add(
                        self.shuffle(found[0], found[0], even),
                        self.shuffle(found[0], found[0], odd),
                    )
                ]
            else:
                found = [
                    self.add(self.shuffle(x, y, even), self.shuffle(x, y, odd))
                    for x, y in zip(found[::2], found[1::2], strict=True)
                ]
            partial //= 2
        while len(found) > 1:
            both = range(2 * found[0].type.count)
            found = [self.shuffle(x, y, both) for x, y in zip(found[::2], found[1::2], strict=True)]
        return found[0]

    def zipped(self, a: Any, b: Any) -> Any:
        """a₀ b₀ a₁ b₁ ...: one vector of twice the lanes."""
        if not isinstance(a.type, ir.VectorType):
            return self.shuffle(self.splat(a, 2), self.splat(b, 2), (0, 2))
        n = a.type.count
        return self.shuffle(a, b, [i + n * side for i in range(n) for side in (0, 1)])

    def halves(self, v: Any) -> tuple[Any, Any]:
        """The lower and the upper lanes."""
        n = v.type.count // 2
        if n == 1:
            return self.lane(v, 0), self.lane(v, 1)
        return self.shuffle(v, v, range(n)), self.shuffle(v, v, range(n, 2 * n))

    def transpose(self, rows: Sequence[Any]) -> list[Any]:
        """The columns of a matrix that is given as rows; both sizes are powers of two.

        One step zips each row of the first half with its row of the second: row numbers lose their
        upper bit, lane numbers get it as their lowest. As many steps as rows have bits move all.
        """
        found, lanes = list(rows), getattr(rows[0].type, "count", 1)
        for _ in range(len(rows).bit_length() - 1):
            half = len(found) // 2
            pairs = list(zip(found[:half], found[half:], strict=True))
            if lanes < len(rows):
                found, lanes = [self.zipped(a, b) for a, b in pairs], 2 * lanes
                continue
            low = [i + lanes * side for i in range(lanes // 2) for side in (0, 1)]
            high = [i + lanes // 2 for i in low]
            found = [self.shuffle(a, b, side) for a, b in pairs for side in (low, high)]
        while lanes > len(rows):
            found, lanes = [half for v in found for half in self.halves(v)], lanes // 2
        return found

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

    def total(self, v: Any) -> Any:
        """The sum of all lanes, by halving: the same order on every target of the same width."""
        b = self.builder
        while isinstance(v.type, ir.VectorType):
            half = v.type.count // 2
            undefined = ir.Constant(v.type, ir.Undefined)
            parts = [
                b.shuffle_vector(
                    v, undefined, ir.Constant(ir.VectorType(I32, half), [*range(s, s + half)])
                )
                for s in (0, half)
            ]
            if half == 1:
                parts = [b.extract_element(p, ir.Constant(I32, 0)) for p in parts]
            v = self.add(*parts)
        return v
