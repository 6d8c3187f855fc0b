"""The colours of explanations, written down once: for figures, animations and the page.

An array has a colour by its letter: x blue, w orange, z green, every δ purple, a bias brown. A
tap, which is one cell of a kernel, has one colour wherever it appears. Both sets are Okabe and
Ito's and Paul Tol's, which colour-blind people tell apart; and no picture tells by colour alone
what its labels do not tell as well.
"""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["ARRAYS", "DARK", "LIGHT", "Paper", "array_colour", "ink_on", "mixed", "tap_colours"]


class Paper(NamedTuple):
    """What everything is drawn on.

    Attributes:
        paper: the background.
        cell: the inside of a cell.
        ink: letters.
        soft: captions, and what stands back.
        line: thin lines.
        zero: the inside of a cell that is no cell: padding, dilation, remainder.
        among: the inside of a cell that was not chosen.
    """

    paper: str
    cell: str
    ink: str
    soft: str
    line: str
    zero: str
    among: str


LIGHT = Paper("#ffffff", "#ffffff", "#1f2328", "#59636e", "#c4ccd4", "#eef1f4", "#dfe5ec")
DARK = Paper("#0d1117", "#161b22", "#e6edf3", "#9aa4af", "#3d444d", "#0b0f14", "#30363d")

ARRAYS = {
    "x": ("#0072b2", "#56b4e9"),
    "w": ("#b35900", "#f0a35e"),
    "z": ("#00795a", "#3fc79a"),
    "δ": ("#9b3b80", "#e08cc6"),
    "b": ("#6b5b1e", "#d6c264"),
    "": ("#59636e", "#9aa4af"),
}
"""The colour of an array by its letter, on light and on dark paper; "" is any other array."""

_TAPS = (
    "#88ccee", "#cc6677", "#ddcc77", "#44aa99", "#aa4499", "#999933", "#332288", "#117733",
    "#882255",
)  # fmt: skip
_MANY = (
    "#fde725", "#a0da39", "#4ac16d", "#1fa187", "#277f8e", "#365c8d", "#46327e", "#440154",
)  # fmt: skip


def array_colour(name: str, role: str = "", dark: bool = False) -> str:
    """The colour of an array.

    >>> array_colour("x"), array_colour("δ_x") == array_colour("δ"), array_colour("conv1.weight")
    ('#0072b2', True, '#b35900')
    """
    letter = "z" if role == "output" else name.rpartition(".")[2][:1]
    if letter == "z" and role == "input":
        letter = ""
    return ARRAYS.get("δ" if name.startswith("δ") else letter, ARRAYS[""])[dark]


def tap_colours(count: int, dark: bool = False) -> list[str]:
    """One colour for each cell of a kernel; up to nine are told apart, more are a scale.

    Args:
        count: how many cells the kernel has.
        dark: for dark paper, on which the darkest ones would vanish.

    >>> tap_colours(4)
    ['#88ccee', '#cc6677', '#ddcc77', '#44aa99']
    >>> len(set(tap_colours(25)))
    25
    """
    if count <= len(_TAPS):
        found = list(_TAPS[:count])
    else:
        last = len(_MANY) - 1
        places = [i * last / (count - 1) for i in range(count)]
        found = [mixed(_MANY[int(p)], _MANY[min(int(p) + 1, last)], p - int(p)) for p in places]
    if not dark:
        return found
    return [mixed(c, "#ffffff", max(0.0, 0.42 - 2 * _luminance(c))) for c in found]


def mixed(one: str, other: str, share: float) -> str:
    """The colour between two, such as ("#000000", "#ffffff", 0.5).

    >>> mixed("#000000", "#ffffff", 0.5)
    '#808080'
    """
    pairs = zip(_rgb(one), _rgb(other), strict=True)
    return "#" + "".join(f"{int(a * (1 - share) + b * share + 0.5):02x}" for a, b in pairs)


def ink_on(colour: str) -> str:
    """Black or white letters, whichever is read better on a colour; at least 4.5 to 1.

    >>> ink_on("#88ccee"), ink_on("#332288")
    ('#000000', '#ffffff')
    """
    return "#000000" if _luminance(colour) > 0.18 else "#ffffff"


def _luminance(colour: str) -> float:
    red, green, blue = (math.pow(c / 255, 2.2) for c in _rgb(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _rgb(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
