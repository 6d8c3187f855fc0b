"""The plan: what a step does, in which order, where everything lies. It can be printed.

    program → tasks (fusion) → layouts → calls of kernels → barriers → one arena

Nothing is compiled here: a plan is integers and descriptors, made in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rot180.core.program import Program
from rot180.jit.emission.target import Target
from rot180.jit.planning.schedule import Name
from rot180.jit.planning.task import Call, Task

__all__ = ["Buffer", "Name", "Plan", "Row"]


@dataclass(frozen=True)
class Buffer:
    """Where the array of one name lies.

    Attributes:
        dtype: type of its elements.
        size: elements.
        offset: bytes from the start of the arena; None: outside (inputs, parameters, outputs).
        each: bytes from one thread's own to the next thread's, each of which holds a single block
            of images; 0: it is whole, and there for all.
    """

    dtype: str
    size: int
    offset: int | None
    each: int = 0

    @property
    def bytes(self) -> int:
        """Its size in bytes."""
        return self.size * np.dtype(self.dtype).itemsize

    def spans(self, parts: int) -> list[tuple[int, int]]:
        """Where it begins and ends in the arena, each thread's own if there are several."""
        start = self.offset or 0
        copies = range(parts if self.each else 1)
        return [(start + i * self.each, start + i * self.each + self.bytes) for i in copies]

    def address(self, part: int, parts: int, blocks: int) -> int:
        """The offset to which a block's place in the whole value is added, for one block.

        Whose block it is says the driver: each worker takes as many in a row.
        """
        if not self.each:
            return self.offset or 0
        owner = next(w for w in range(parts) if part < (w + 1) * blocks // parts)
        return (self.offset or 0) + owner * self.each - part * self.bytes


@dataclass(frozen=True)
class Row:
    """One row of the table of calls.

    Attributes:
        call: the kernel.
        arrays: the buffer of each of the kernel's arrays, in order.
        parts: how many threads take part at most; in a segment the number of blocks.
        barrier: whether all threads meet before it.
        span: rows of the segment that begins here, 1 for a call of its own, 0 inside a segment.
        title: the task it is part of.
    """

    call: Call
    arrays: tuple[Name, ...]
    parts: int
    barrier: bool
    span: int
    title: str


@dataclass(frozen=True)
class Plan:
    """See the module.

    Attributes:
        program: what is computed, after simplification.
        target, parts: what for, and for how many threads.
        tasks: in order.
        rows: the table of calls, in order.
        buffers: by name.
        size: bytes of the arena.
        least: bytes that live at once at the fullest moment: no arena can be smaller.
        outputs: for every output of the program its buffer.
    """

    program: Program
    target: Target
    parts: int
    tasks: tuple[Task, ...]
    rows: tuple[Row, ...]
    buffers: dict[Name, Buffer]
    size: int
    least: int
    outputs: dict[str, Name]

    def __str__(self) -> str:
        lines = [f"{len(self.rows)} calls, {self.parts} threads, {self.target.name}"]
        lines += [
            f"  {task.title}" + (f"  [{task.why}]" if task.why else "") for task in self.tasks
        ]
        lines.append(
            f"arena {self.size / 2**20:.2f} MiB, at least {self.least / 2**20:.2f} MiB live at once"
        )
        return "\n".join(lines)

    def memory(self) -> str:
        """The memory plan: every buffer of the arena with its place and its life."""
        life: dict[Name, tuple[int, int]] = {}
        for at, row in enumerate(self.rows):
            for name in row.arrays:
                life[name] = (life.get(name, (at, at))[0], at)
        rows = []
        for name, buffer in self.buffers.items():
            if buffer.offset is not None and name in life:
                first, last = life[name]
                label = f"%{name}" if isinstance(name, int) else f"{name[0]} of {name[1]}"
                label += "" if not buffer.each else f", a block for each of {self.parts} threads"
                text = f"{buffer.offset:>12} {buffer.bytes:>12}  calls {first}–{last}  {label}"
                rows.append((buffer.offset, text))
        return "\n".join(["      offset        bytes", *(text for _, text in sorted(rows))])
