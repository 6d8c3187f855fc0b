"""Chain rule, line by line: which cells a cell feeds, the local gradient on each edge, the sum.

δ(cell) = Σ δ(reader) · ∂reader/∂cell over all cells that read it. The local gradients are derived
from the forward formulas (`differentiate`), not from what the sweep ran; the last lines put them
together and lay the sweep's own formula and the engine's number beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rot180.errors import ArgumentError
from rot180.explain.derive import formula_of, joined
from rot180.explain.differentiate import by_cell, depends_on
from rot180.explain.formula import Formula, Ref, Term, evaluate, product, references
from rot180.explain.text import shortened, write, write_number
from rot180.explain.words import say

if TYPE_CHECKING:
    from rot180.explain.cell import Cell
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Value

__all__ = ["Line", "readers", "steps"]

_SCAN = 20_000
"""So many cells are searched for readers at most."""

_DEPTH = 12
"""So many links of the chain are written out behind the first."""

_READERS = 12
"""So many readers of one cell are written out; further ones are counted."""


@dataclass(frozen=True)
class Line:
    """One line of a derivation.

    Attributes:
        text: the equation.
        reason: why it holds, in the explanation's language.
    """

    text: str
    reason: str

    def __str__(self) -> str:
        return f"{self.text}    ({self.reason})"


def readers(
    e: Explanation, cell: Ref, limit: int | None = None
) -> list[tuple[Ref, Formula | None]]:
    """The cells of the forward pass that read a cell, each with ∂reader/∂cell.

    Args:
        e: where the cells are.
        cell: the cell that is read.
        limit: the local gradients of so many readers are derived; those of the others are None.

    Raises:
        ArgumentError: too many cells would have to be searched.
    """
    source = e.values[cell.name]
    found: list[tuple[Ref, Formula | None]] = []
    for target in e.values.values():
        if not e.delta_name(target) or target.role == "input" or not _reads(target, source):
            continue  # what nothing arrives at, hands nothing on
        for index in _may_read(e, target, source, cell):
            if limit is not None and len(found) >= limit:
                found.append((Ref(target.name, index), None))
                continue
            formula = formula_of(target, index)
            if depends_on(formula, cell):
                found.append((Ref(target.name, index), by_cell(formula, cell)))
    return found


def _reads(target: Value, source: Value) -> bool:
    """Whether the source stands in the target's formulas, looking through unnamed values."""
    stack, seen = [target], set()
    while stack:
        step = stack.pop().step
        if step is None or step.backward or id(step) in seen:
            continue
        seen.add(id(step))
        if any(v is source for v in step.reads):
            return True
        stack += [v for v in step.reads if not v.name]
    return False


def _may_read(e: Explanation, target: Value, source: Value, cell: Ref) -> list[tuple[int, ...]]:
    """Cells of the target that may read the cell: those whose δ stands in the gradient's formula.

    A cell that is only read where a local gradient is 0 would be missed by that, so small targets
    are searched whole.
    """
    if target.array.size <= _SCAN // 20:
        return [c.index for c in e[target.name]]
    delta = e.delta_name(source)
    arrived = e.delta_name(target)
    if delta and arrived:
        refs = references(e[delta].at(cell.index).formula)
        return sorted({ref.index for ref in refs if ref.name == arrived})
    if target.array.size > _SCAN:
        raise ArgumentError(
            f"explain: too many cells to search for readers of {e.title}",
            got=f"{target.array.size} cells of {target.name}",
        )
    return [c.index for c in e[target.name]]


def steps(e: Explanation, cell: Cell) -> list[Line]:
    """See `Explanation.steps`."""
    value = e.values[cell.name]
    if value.role == "upstream" or value.step is None:
        return [Line(cell.numbers, say("given", e.lang))]
    lines: list[Line] = []
    if value.of is not None and value.of.name:
        _chain(e, Ref(value.of.name, cell.index), lines, set())
    else:
        lines.append(Line(cell.equation, say("definition", e.lang)))
    lines.append(Line(shortened(cell.numbers), say("numbers", e.lang)))
    engine = write_number(cell.engine).replace("-", "−")
    lines.append(
        Line(f"{cell.label} = {engine}", say("engine" if cell.agrees else "differs", e.lang))
    )
    return lines


def _chain(e: Explanation, cell: Ref, lines: list[Line], done: set[Ref]) -> None:
    """The chain rule for one cell, after that of the cells behind it."""
    done.add(cell)
    name = e.delta_name(e.values[cell.name])
    label = e.notation.text(name, cell.index)

    def text(ref: Ref) -> str:
        return e.notation.text(ref.name, ref.index)

    found = readers(e, cell, _READERS)
    if not found:
        lines.append(Line(f"{label} = 0", say("unread", e.lang)))
        return
    shown = [(reader, local) for reader, local in found if local is not None]
    more = len(found) - len(shown)
    for reader, _ in shown:
        further = e.values[reader.name].role == "inner" and reader not in done
        if further and len(done) < _DEPTH and not more:
            _chain(e, reader, lines, done)
    for reader, _ in shown:
        _add(lines, shortened(e[reader.name].at(reader.index).equation), say("forward", e.lang))
    parts, rule = [], []
    for reader, local in shown:
        g = Ref(e.delta_name(e.values[reader.name]), reader.index)
        lines.append(
            Line(f"∂{text(reader)}/∂{text(cell)} = {write(local, text)}", say("local", e.lang))
        )
        rule.append(f"{text(g)}·∂{text(reader)}/∂{text(cell)}")
        parts.append(product((Term(1, (g,)),), local))
    together = joined(parts)
    rest = f" + … ({more})" if more else ""
    rule_text = " + ".join(rule) or "0"
    lines.append(Line(f"{label} = {rule_text}{rest}", say("chain rule", e.lang)))
    lines.append(Line(f"{label} = {write(together, text)}{rest}", say("put in", e.lang)))
    swept = e[name].at(cell.index)
    if more:
        lines.append(Line(shortened(swept.equation), say("swept", e.lang)))
    elif together != swept.formula:
        value, _ = evaluate(together, e.number)
        equal = abs(float(value) - float(swept.value)) <= swept.tolerance
        lines.append(Line(swept.equation, say("same" if equal else "not the same", e.lang)))


def _add(lines: list[Line], text: str, reason: str) -> None:
    """Add a line that is not there yet."""
    if all(line.text != text for line in lines):
        lines.append(Line(text, reason))
