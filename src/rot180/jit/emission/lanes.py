"""Lanes: what goes from one lane of a vector to another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

from rot180.jit.emission.floats import I32, Floats

__all__ = ["Lanes"]


class Lanes(Floats):
    """The words for moves between lanes, of a kernel that is being written."""

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

    def without(self, v: Any, first: int) -> Any:
        """The vector with 0 in its first lanes."""
        zero = ir.Constant(v.type, None)
        lanes = range(v.type.count)
        return self.shuffle(zero, v, [i if i < first else v.type.count + i for i in lanes])

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
