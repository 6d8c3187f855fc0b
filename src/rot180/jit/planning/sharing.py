"""Sharing: how many threads a step is worth. Waking a second one, and meeting it, takes time."""

from __future__ import annotations

import math

from rot180.core.kinds import Form, Sum
from rot180.core.program import Program
from rot180.jit.emission.target import Target
from rot180.jit.planning.layouts import block_of, float_of, images_of

__all__ = ["threads_for"]

SMALL, SMALL_OF_FEW = 16_000_000, 128_000_000
"""Products of a step below which a second thread costs more than it saves: of whole blocks of
images, and of a few images, where the threads meet after every layer.
"""


def threads_for(program: Program, target: Target, most: int) -> int:
    """One thread for a small step, all of them for another.

    Args:
        program: what is planned.
        target: whose vectors make the blocks of images.
        most: how many there may be.
    """
    alone = block_of(images_of(program), target.lanes(float_of(program))) == 1
    return 1 if _products(program) < (SMALL_OF_FEW if alone else SMALL) else most


def _products(program: Program) -> int:
    """Multiplications of all forms of a program."""
    total = 0
    for i in program.instructions:
        forms = i.kind.forms if isinstance(i.kind, Sum) else (i.kind,)
        total += sum(math.prod(e for _, e in f.loops) for f in forms if isinstance(f, Form))
    return total
