"""Windows: integers only. Sizes, remainders, taps, paddings, adjoint windows and names.

Everything a windowed operation does is one relation between an output p, a tap r and a cell h:

    h = S·p + D·r − A          (stride S, dilation D, padding A before)

Nothing here computes on arrays (no NumPy); who computes asks a `Window` for the integers.
"""

from __future__ import annotations

from rot180.window.axis import Axis, InputGradient, WeightGradient
from rot180.window.padding import PADDING_WORDS, resolve_padding
from rot180.window.pooling import pool_divisors, pool_window
from rot180.window.window import Window

__all__ = [
    "PADDING_WORDS",
    "Axis",
    "InputGradient",
    "WeightGradient",
    "Window",
    "pool_divisors",
    "pool_window",
    "resolve_padding",
]
