"""An explanation as text and Markdown: every named array and its equations, bounded in length."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from rot180.explain.text import shortened
from rot180.explain.words import say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation

__all__ = ["as_latex", "as_markdown", "as_text", "heading", "shown_cells"]

LIMIT = 64
"""So many equations of one array are printed; of larger arrays the first ones."""

PRODUCTS = 4000
"""So many products of one array are printed, but one equation in any case."""


def as_text(e: Explanation) -> str:
    """All equations, array by array; of an array of more than 64 cells the first ones."""
    lines = [heading(e)]
    for name, value in e.values.items():
        role = say(value.role, e.lang)
        size = "×".join(map(str, value.shown)) or "1"
        lines.append(f"\n{name}  ({role}, {size})")
        if value.step is not None:
            cells = e.sample(name)
            lines += [f"  {shortened(cell.equation)}" for cell in cells]
            if len(cells) < value.array.size:
                lines.append("  " + say("more", e.lang, count=value.array.size - len(cells)))
    return "\n".join(lines)


def heading(e: Explanation) -> str:
    """The operation and its window in one line."""
    window = f"  {e.window.name}" if e.window is not None else ""
    return f"{e.title}{window}"


def shown_cells(e: Explanation, name: str) -> Iterator[Cell]:
    """The first cells of an array, so many as fit on paper."""
    products = 0
    for cell in itertools.islice(iter(e[name]), LIMIT):
        if products > PRODUCTS:
            return
        products += len(cell.terms)
        yield cell


def as_markdown(e: Explanation) -> str:
    """The same as Markdown, formulas in LaTeX between dollars, numbers beside them."""
    lines = [f"# {heading(e)}", ""]
    for name, value in e.values.items():
        size = "×".join(map(str, value.shown)) or "1"
        lines += [f"## {name}: {say(value.role, e.lang)}, {size}", ""]
        if value.step is None:
            numbers = e[name].numbers
            lines += ["```", str(numbers), "```", ""]
            continue
        cells = e.sample(name)
        for cell in cells:
            lines += [f"$$ {cell.latex} $$", "", f"`{cell.numbers}`", ""]
        rest = value.array.size - len(cells)
        if rest:
            lines += [say("more", e.lang, count=rest), ""]
    return "\n".join(lines).rstrip()


def as_latex(e: Explanation) -> str:
    """A document that LaTeX sets as it is: one block of aligned equations for each array."""
    lines = [
        r"\documentclass{article}",
        r"\usepackage{amsmath}",
        *([r"\usepackage{ctex}"] if e.lang == "zh" else []),
        r"\allowdisplaybreaks",
        r"\begin{document}",
        rf"\section*{{{heading(e)}}}".replace("_", r"\_"),
    ]
    for name, value in e.values.items():
        if value.step is None:
            continue
        size = r"\times ".join(map(str, value.shown)) or "1"
        lines.append(rf"\subsection*{{{say(value.role, e.lang)}, ${size}$}}")
        cells = e.sample(name)
        rows = [cell.latex.replace(" = ", " &= ", 1) for cell in cells]
        lines += [r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}"]
        rest = value.array.size - len(cells)
        if rest:
            lines.append(say("more", e.lang, count=rest))
    return "\n".join([*lines, r"\end{document}"])
