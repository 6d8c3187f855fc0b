"""Arrays as panels of cells, captions, and equations that wrap; what all figures are made of."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rot180.errors import ArgumentError
from rot180.explain.figures.canvas import Look, Sheet
from rot180.explain.figures.colours import DARK, LIGHT, array_colour, tap_colours
from rot180.explain.figures.words import say
from rot180.explain.formula import Formula, Ref, Term, references
from rot180.explain.text import write, write_number
from rot180.explain.views import Network

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = [
    "Index",
    "caption",
    "check_size",
    "equation",
    "kernel_taps",
    "label",
    "lights",
    "named",
    "panel",
    "plain",
    "short",
    "window_words",
]

Index = tuple[int, ...]

_MARK = "\ue000"  # stands around a cell's letters until they are set

CELLS = 2_500
"""So many cells are drawn at most."""


def check_size(e: Explanation, cells: int) -> None:
    """Raise an ArgumentError where there is more than a figure can hold."""
    if cells > CELLS:
        raise ArgumentError(
            f"explain: {e.title} is too large to draw",
            arithmetic=f"{cells} cells, more than {CELLS}",
            rule="explain a smaller window",
        )


def short(value: float) -> str:
    """A number that fits into a cell.

    >>> short(-2.0), short(0.123456), short(1e-7)
    ('−2', '0.123', '1e−07')
    """
    if value != value or math.isinf(value) or value == int(value):
        return write_number(value).replace("-", "−").replace("inf", "∞")
    return f"{value:.3g}".replace("-", "−")


def label(e: Explanation, ref: Ref) -> str:
    """A cell in mathematical letters."""
    return f"${e.notation.latex(ref.name, ref.index)}$"


def named(e: Explanation, name: str) -> str:
    """An array in mathematical letters."""
    written = e.notation.whole if name == "δ" else name
    head, _, rest = written.partition("_")
    head = {"δ": r"\delta"}.get(head, head if len(head) == 1 else rf"\mathrm{{{head}}}")
    return f"${head}_{{{rest}}}$" if rest else f"${head}$"


def kernel_taps(e: Explanation, dark: bool = False) -> dict[Ref, str]:
    """The colour of every cell of a kernel and of its gradient."""
    found: dict[Ref, str] = {}
    window = e.window
    names = [name for name in ("w", "δ_w") if name in e.values]
    if window is None:
        return found
    colours = tap_colours(math.prod(window.kernel), dark)
    axes = len(window.axes)
    for name in names:
        shape = e.values[name].shape
        if shape[-axes:] == window.kernel:
            for index in np.ndindex(shape):
                tap = int(np.ravel_multi_index(index[-axes:], window.kernel))
                found[Ref(name, index)] = colours[tap]
    return found


def lights(e: Explanation, cell: Cell, dark: bool = False) -> dict[Ref, str]:
    """The sources of a cell with a colour for each: its tap's, or that of its term."""
    taps = _edge_taps(e, cell)
    count = math.prod(e.window.kernel) if e.window is not None else 1
    count = max([count, *(tap + 1 for tap in taps.values())])
    colours = tap_colours(count, dark) if taps and count > 1 else tap_colours(9, dark)
    found: dict[Ref, str] = {}
    for i, term in enumerate(cell.terms):
        refs = _refs(term)
        tap = next((taps[key] for key in taps if all(r in refs for r in key)), None)
        if taps and count > 1:
            colour = "" if tap is None else colours[tap]
        else:
            colour = colours[i % len(colours)]
        for ref in refs:
            if colour:
                found.setdefault(ref, colour)
    return found


def _edge_taps(e: Explanation, cell: Cell) -> dict[tuple[Ref, ...], int]:
    try:
        edges = Network(e, cell.name).edges
    except ArgumentError:
        return {}
    return {
        (edge.source,) if edge.weight is None else (edge.source, edge.weight): edge.tap
        for edge in edges
        if edge.target == cell.ref
    }


def _refs(term: Term) -> list[Ref]:
    return list(references((term,)))


def plain(
    e: Explanation,
    name: str,
    lit: Mapping[Ref, str],
    chosen: Ref | None = None,
    *,
    symbols: bool = False,
    strips: Mapping[Ref, str] | None = None,
    among: Sequence[Ref] = (),
    dark: bool = False,
) -> Callable[[Index], Look]:
    """How the cells of an array look: lit where they are sources, framed where they are chosen."""
    own = array_colour(name, e.values[name].role, dark)
    soft = (DARK if dark else LIGHT).among

    def look(index: Index) -> Look:
        ref = Ref(name, index)
        text = label(e, ref) if symbols else short(e.number(ref))
        face = lit.get(ref, soft if ref in among else "")
        here = ref == chosen
        edge = own if here or not face else "none"
        strip = (strips or {}).get(ref, "") if not face else ""
        return Look(text, face, edge, 3.0 if here else 1.0, "cell", strip, here)

    return look


def caption(
    sheet: Sheet, e: Explanation, x: float, y: float, name: str, note: str = "", role: str = ""
) -> float:
    """The name of an array in its colour, and what it is; returns the width."""
    ink = array_colour(name, role or e.values[name].role, sheet.dark)
    wide = sheet.text(x, y, named(e, name), 19, ink, align="left", vertical="baseline")
    if not note:
        return wide
    return wide + 0.3 + sheet.text(x + wide + 0.3, y, note, 10.5, sheet.paper.soft, align="left",
                                   vertical="baseline")  # fmt: skip


def panel(
    sheet: Sheet, x: float, y: float, shape: Index, look: Callable[[Index], Look],
    size: float = 1.0, lead: int = 0, base: int = 0, columns: int = 4,
) -> tuple[float, float]:  # fmt: skip
    """An array from its upper left corner, plane beside plane; returns width and height."""
    rows, cols = (1, 1, *shape)[-2:]
    outer = shape[:-2]
    left, top, wide = x, y, 0.0
    planes = list(np.ndindex(outer))
    for number, plane in enumerate(planes):
        if number and number % columns == 0:
            left, top = x, top + rows * size + 0.4
        if plane[lead:]:
            text = "[" + ", ".join(str(i + base) for i in plane[lead:]) + "]"
            sheet.text(left, top + 0.32, text, 9.5, sheet.paper.soft, align="left",
                       vertical="baseline")  # fmt: skip
            start = top + 0.45
        else:
            start = top
        for i in range(rows):
            for j in range(cols):
                index = (*plane, *((i, j) if len(shape) > 1 else (j,) if shape else ()))
                sheet.cell(left + j * size, start + i * size, look(index), size)
        left += cols * size + 0.5
        wide = max(wide, left - 0.5 - x)
        if number == len(planes) - 1 or (number + 1) % columns == 0:
            top = start
    return wide, top + rows * size - y


def equation(
    sheet: Sheet, e: Explanation, x: float, y: float, cell: Cell, lit: Mapping[Ref, str],
    width: float, limit: int = 40,
) -> float:  # fmt: skip
    """The equation of a cell, with symbols and with numbers, in lines; returns its lower edge."""
    own = array_colour(cell.name, e.values[cell.name].role, sheet.dark)
    rows = [(False, cell.terms), (True, cell.terms)]
    for numbers, terms in rows:
        left = x + sheet.text(x, y, label(e, cell.ref), 17, own, align="left", vertical="baseline")
        left += 0.25
        pieces = [("=", "")]
        if cell.candidates and limit:
            among = ", ".join(
                _written(e, (Term(1, (ref,)),), numbers) for ref in cell.candidates[:limit]
            )
            pieces = [(f"= max({among}) =", "")]
        for i, term in enumerate(terms[:limit]):
            text = _written(e, (term,), numbers)
            minus = text.startswith("−")
            sign = ("− " if minus else "+ ") if i or minus else ""
            colour = next((lit[r] for r in _refs(term) if r in lit), "")
            pieces.append((sign + text.removeprefix("−"), colour))
        if not terms:
            pieces.append(("0", ""))
        if len(terms) > limit:
            pieces.append(("+ …", ""))
        if numbers:
            pieces.append(("= " + short(float(cell.value)), "bold"))
        for text, colour in pieces:
            shown = text if numbers else _mathematical(text)
            size = 13.0 if numbers else 15.0
            wide = sheet.width(shown, size)
            if left + wide > x + width and left > x + 2:
                left, y = x + 0.8, y + 0.85
            sheet.text(left, y, shown, size, align="left", vertical="baseline",
                       bold=colour == "bold")  # fmt: skip
            if colour.startswith("#"):
                sheet.bar(left, y + 0.2, wide, 0.1, colour)
            left += wide + 0.3
        y += 1.0
    return y


def _written(e: Explanation, formula: Formula, numbers: bool) -> str:
    if numbers:

        def number(ref: Ref) -> str:
            text = short(e.number(ref))
            return f"({text})" if text.startswith("−") else text

        return write(formula, number)
    return write(formula, lambda ref: f"{_MARK}{e.notation.latex(ref.name, ref.index)}{_MARK}")


def _mathematical(text: str) -> str:
    """Cells become mathematical letters, signs between them stay as they are."""
    parts = text.split(_MARK)
    return "".join(f"${part}$" if i % 2 else part for i, part in enumerate(parts))


def window_words(e: Explanation) -> str:
    """The window in words, such as "kernel 3×3, stride 2, padding 1"; "" where there is none."""
    window = e.window
    if window is None:
        return ""
    pairs = list(zip(window.before, window.after, strict=True))
    sides = [str(a) if a == b else f"{a}+{b}" for a, b in pairs]
    said = [f"{say('kernel', e.lang)} {'×'.join(map(str, window.kernel))}"]
    for key, values, usual in (
        ("stride", list(map(str, window.stride)), "1"),
        ("padded", sides, "0"),
        ("dilated", list(map(str, window.dilation)), "1"),
        ("groups", [str(window.groups)], "1"),
    ):
        if set(values) != {usual}:
            one = values[0] if len(set(values)) == 1 else "×".join(values)
            said.append(f"{say(key, e.lang)} {one}")
    extra = e.options.get("output_padding")
    if extra not in (None, 0):
        said.append(f"{say('output padding', e.lang)} {extra}")
    return (", " if e.lang == "en" else "，").join(said)
