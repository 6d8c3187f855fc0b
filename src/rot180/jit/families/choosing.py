"""The words in which selects are written: cells shared by the parts, values, and who wins."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rot180.jit.emission.access import Access
from rot180.jit.emission.emit import I64, Emitter, Index, Variable
from rot180.jit.emission.layout import Layout
from rot180.jit.emission.scalars import load, store

__all__ = ["Cell", "Writer"]

Cell = list[Index]


class Writer:
    """A select while it is written.

    Attributes:
        k: the kernel.
        layouts, dtypes: of every array.
        largest: whether the largest cell wins.
        lanes: cells that are done at once.
    """

    def __init__(
        self,
        k: Emitter,
        layouts: Mapping[str, Layout],
        dtypes: Mapping[str, str],
        largest: bool = True,
    ) -> None:
        self.k, self.layouts, self.dtypes, self.largest = k, layouts, dtypes, largest
        self.lanes = 1

    def in_blocks(self, axis: int = -1) -> None:
        """Let lanes be images, where all arrays are in the same blocks and `axis` is another."""
        blocks = {layout.block for layout in self.layouts.values()}
        if len(blocks) == 1 and axis != 0:
            (self.lanes,) = blocks

    def place(self, name: str, cell: Sequence[Index]) -> Index:
        """The offset of a cell; the first index counts blocks where lanes are images."""
        layout, terms = self.layouts[name], list[Any]()
        for axis, (i, stride) in enumerate(zip(cell, layout.strides, strict=True)):
            if axis == 0 and layout.block > 1 and self.lanes == 1:
                i, lane = self.k.divmod(i, layout.block)
                terms.append(lane)
            terms.append((i, stride))
        return self.k.at(layout.origin, *terms)

    def load(self, name: str, cell: Sequence[Index]) -> Any:
        """What stands in a cell: a float or an integer, for all lanes."""
        a = Access(name, self.dtypes[name], ())
        v = load(self.k, a, self.place(name, cell), 1, self.lanes)
        return self.k.builder.zext(v, I64) if str(v.type) == "i1" else v

    def store(self, v: Any, name: str, cell: Sequence[Index]) -> None:
        """Write a cell."""
        a = Access(name, self.dtypes[name], ())
        store(self.k, v, a, self.place(name, cell), 1)

    def zero(self) -> Any:
        """0 of the values' type."""
        if self.dtypes["z"].startswith("float"):
            return self.k.constant(0.0, self.lanes)
        return self.k.whole(0, self.lanes, 64)

    def plus(self, a: Any, b: Any) -> Any:
        """The sum of two values."""
        whole = not self.dtypes["z"].startswith("float")
        return self.k.builder.add(a, b) if whole else self.k.add(a, b)

    @contextlib.contextmanager
    def cells(self, shape: Sequence[int]) -> Iterator[Cell]:
        """The cells of a shape, shared by the parts; its first axis in blocks if lanes are."""
        sizes = [-(-shape[0] // self.lanes), *shape[1:]] if shape else []
        count = math.prod(sizes)
        first, after = self.k.share(count)
        with self.k.loop(first, after) as unit:
            yield self.k.unravel(unit, [max(1, size) for size in sizes])

    @contextlib.contextmanager
    def every(self, shape: Sequence[int]) -> Iterator[Cell]:
        """All cells of a shape in row-major order, for each part."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.k.loop(0, size)) for size in shape]

    def better(self, v: Any, best: Any) -> Any:
        """Whether v wins against the best so far: it is larger (smaller), or the first NaN."""
        relation, b = ">" if self.largest else "<", self.k.builder
        if not self.dtypes["x"].startswith("float"):
            return b.icmp_signed(relation, v, best)
        first_nan = b.and_(b.fcmp_unordered("uno", v, v), b.fcmp_ordered("ord", best, best))
        return b.or_(b.fcmp_ordered(relation, v, best), first_nan)

    def same(self, v: Any, best: Any) -> Any:
        """Whether v is as good as the best: equal, or both NaN."""
        b = self.k.builder
        if not self.dtypes["x"].startswith("float"):
            return b.icmp_signed("==", v, best)
        nan = b.and_(b.fcmp_unordered("uno", v, v), b.fcmp_unordered("uno", best, best))
        return b.or_(b.fcmp_ordered("==", v, best), nan)

    def take(self, condition: Any, pairs: Sequence[tuple[Variable, Any]]) -> None:
        """Assign where the condition holds."""
        for variable, value in pairs:
            variable.set(self.k.select(condition, value, variable.get()))
