"""Kernel: what a family offers to the plan. A frozen descriptor that can write its own loop nest.

The descriptor holds everything the code depends on (sizes, layouts, fused tail, type), nothing
else: it is the key of the cache, the kernel's name, and what `dump` and `--why` print. Buffers are
not part of it: the same kernel serves every layer of the same shapes.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from rot180.jit.emission.target import Target

__all__ = ["ByBlocks", "Kernel", "key"]


class Kernel(Protocol):
    """A frozen, hashable dataclass with these members; its repr shows all of its fields."""

    @property
    def dtype(self) -> str:
        """The float type that is computed in."""

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the table of pointers.

        One that is named "scratch" is memory of the kernel's own, `scratch(target)` elements for
        each part, with anything in it.
        """

    def emit(self, name: str, target: Target) -> Any:
        """The module with the function `name(table, part, parts)`.

        All parts together do the work, in any order and at the same time; which cell a part
        writes, and the order of its sums, depends on `part` and `parts` only.
        """


class ByBlocks:
    """A kernel whose work units are ordered by the blocks of images of x.

    It can do one block alone, so it can stand in a segment.
    """

    x: Any

    @property
    def by_blocks(self) -> int:
        """How many blocks there are."""
        return int(self.x.blocks)


def key(kernel: Kernel, target: Target, version: str) -> str:
    """A short name for the code of a kernel on a target: the same descriptor, the same key."""
    text = f"{version}\n{target!r}\n{kernel!r}"
    return f"{type(kernel).__name__.lower()}_{hashlib.sha256(text.encode()).hexdigest()[:20]}"
