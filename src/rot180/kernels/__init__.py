"""Kernels: array in, array out. The reader `run` of the three kinds, by NumPy.

A form runs by strided windows and matrix products (`contract`), a map as a short program of ufuncs
(`pointwise`), a select by slices (`choices`), random numbers from a counter (`draw`). Beside them
stands the definition of a form as plain loops in float64 (`reference`), which all kernels are
tested against. Nothing here knows a tensor, a graph or a gradient; importing this floor is what
makes operations run.
"""

from rot180.kernels.choices import choose, give, take
from rot180.kernels.contract import contract
from rot180.kernels.draw import draw
from rot180.kernels.pointwise import evaluate, prepared
from rot180.kernels.reference import reference

__all__ = [
    "choose",
    "contract",
    "draw",
    "evaluate",
    "give",
    "prepared",
    "reference",
    "take",
]
