"""Integers: offsets and counts in a kernel. What is known is computed now, not by the kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir

__all__ = ["I64", "Index", "Integers"]

Index = Any
"""An offset in elements: a Python int, or a 64-bit integer that the kernel computes."""

I64 = ir.IntType(64)


class Integers:
    """The words for integers, of a kernel that is being written.

    Attributes:
        builder: where instructions are written to.
        part, parts: which share of the work a call does, of how many.
    """

    builder: ir.IRBuilder
    part: Any
    parts: Any

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
