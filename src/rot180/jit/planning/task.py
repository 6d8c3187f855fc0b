"""Task: one piece of a step between the traced program and the kernels.

A task says which values it reads and makes, and what it needs of their layouts; when every layout
is known it is lowered to calls of kernels. Fusion makes tasks that stand for many instructions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rot180.jit.emission.kernel import Kernel
from rot180.jit.emission.layout import Layout, Planes
from rot180.jit.emission.target import Target

__all__ = ["Argument", "Call", "Halo", "Places", "Task", "Temporary"]

Halo = tuple[tuple[int, ...], tuple[int, ...]]
"""Widths of zeros before and after, on every spatial axis."""


@dataclass(frozen=True)
class Temporary:
    """Memory that lives from the first to the last call of one task that names it.

    Attributes:
        name: unique within the task.
        size: elements; a kernel's "scratch" gets so many for each part.
        dtype: their type.
        each: whether every part has memory of its own.
        owner: what several tasks call their own: then it lives from the first to the last of them.
    """

    name: str
    size: int
    dtype: str
    each: bool = False
    owner: object = None


Argument = int | Temporary | tuple[str, str]
"""What stands in for an array: the number of a value, memory of a task, or an array outside."""


@dataclass(frozen=True)
class Call:
    """One kernel, and what stands in for each of its arrays.

    Attributes:
        kernel: the descriptor.
        arrays: for each name the number of a value, a temporary, or what is outside.
        writes: which of the names are written.
        small: whether one part does it better than several.
    """

    kernel: Kernel
    arrays: Mapping[str, Argument]
    writes: tuple[str, ...]
    small: bool = False


@dataclass(frozen=True)
class Places:
    """What a task is told when it is lowered.

    Attributes:
        target: what to emit for.
        parts: how many threads there will be.
        planes: the layout of every value that stands in planes.
        layouts: the layout of every value.
        precision: "fast" or "direct".
    """

    target: Target
    parts: int
    planes: Mapping[int, Planes]
    layouts: Mapping[int, Layout]
    dtypes: Mapping[int, np.dtype[Any]]
    precision: str = "fast"

    def planes_of(self, *numbers: int) -> list[Planes]:
        """The planes of those of the values that stand in planes."""
        return [self.planes[n] for n in numbers if n in self.planes]


@dataclass
class Task:
    """See the module.

    Attributes:
        title: what it is, for listings.
        reads, writes: numbers of the values.
        lower: makes the calls.
        halos: zeros that must stand around values it reads.
        why: the choice that was made, and its estimate, for `--why`.
        same: values that are another name for the memory of an earlier one: views, and new values
            that are written over the old ones.
        like: values that must be laid out as another one is, its halo included.
    """

    title: str
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    lower: Callable[[Places], list[Call]]
    halos: dict[int, Halo] = field(default_factory=dict)
    same: dict[int, int] = field(default_factory=dict)
    like: dict[int, int] = field(default_factory=dict)
    why: str = ""
