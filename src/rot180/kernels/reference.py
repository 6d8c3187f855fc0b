"""A form by its definition: plain loops in float64. Slow, obvious, and the judge of all kernels."""

from __future__ import annotations

import itertools
import math

import numpy as np

from rot180.core import Array, Form

__all__ = ["reference"]


def reference(form: Form, *arrays: Array) -> Array:
    """Σ over all loops of the product of the factors, added into the output's cell, in float64.

    Terms with a cell out of range count as 0, also where that cell is the output's.
    """
    out = np.zeros(form.result.shape, np.float64)
    factors = list(zip(form.inputs, arrays, strict=True))
    names = [loop for loop, _ in form.loops]
    for values in itertools.product(*(range(extent) for _, extent in form.loops)):
        point = dict(zip(names, values, strict=True))
        target = form.result.cell(point)
        cells = [operand.cell(point) for operand, _ in factors]
        if target is None or None in cells:
            continue
        out[target] += math.prod(float(a[c]) for (_, a), c in zip(factors, cells, strict=True))
    return out
