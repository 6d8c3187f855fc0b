"""Law: how a step moves one parameter, stated once, as scalar expressions.

A law is a list of assignments in order. The names `p` and `g` are the parameter and its gradient,
the names of `states` live from step to step, a name that is assigned and is none of these lives to
the end of the step; all others are settings. A part that reads settings only is one number: the
host computes it once a step, in double precision. So one statement serves the step in place and the
step that is written down for a compiled program.

>>> law = Law((("p", variable("p") - variable("g") * (variable("lr") / variable("step"))),))
>>> print(law.moves[0].kind)
p(p, g, (lr / step)) = (p - (g * (lr / step)))
>>> law.numbers({"lr": 0.5, "step": 2.0})
{'(lr / step)': 0.25}
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rot180.core import Expression, Map, Update, prepare
from rot180.core.expression import constant, in_order, variable, variables

__all__ = ["ZERO", "Law", "Move", "decayed"]

ZERO = constant(0.0)
"""Where most states start."""

_WORDS: dict[str, Any] = {"__builtins__": {}, "sqrt": math.sqrt, "negative": operator.neg}
"""What the text of an expression calls; all else in it is Python's own."""


@dataclass(frozen=True)
class Move:
    """One assignment.

    Attributes:
        target: the name that receives the result.
        kind: the map that makes it; its inputs are names, and the texts of numbers.
    """

    target: str
    kind: Map


@dataclass(frozen=True)
class Law:
    """How one parameter moves.

    Attributes:
        assignments: pairs (name, expression), carried out in order.
        states: pairs (name, expression of settings that it starts from).
    """

    assignments: tuple[tuple[str, Expression], ...]
    states: tuple[tuple[str, Expression], ...] = ()

    @functools.cached_property
    def _cells(self) -> frozenset[str]:
        """Names that stand for arrays."""
        named = [name for name, _ in (*self.assignments, *self.states)]
        return frozenset(("p", "g", *named))

    @functools.cached_property
    def _split(self) -> tuple[tuple[Move, ...], tuple[tuple[str, Expression], ...]]:
        moves, hosts = [], dict[str, Expression]()
        for target, e in self.assignments:
            body = _without_settings(e, self._cells, hosts)
            moves.append(Move(target, Map(target, tuple(variables(body)), body)))
        return tuple(moves), tuple(hosts.items())

    @property
    def moves(self) -> tuple[Move, ...]:
        """The assignments as maps."""
        return self._split[0]

    @functools.cached_property
    def state_names(self) -> tuple[str, ...]:
        """The names of the states."""
        return tuple(name for name, _ in self.states)

    @functools.cached_property
    def state_set(self) -> frozenset[str]:
        """The same as a set."""
        return frozenset(self.state_names)

    @functools.cached_property
    def update(self) -> tuple[Callable[[list[Any]], None], int]:
        """The moves in place, and how many temporary arrays they need.

        The function takes the numbers, g, p, the states and the temporary arrays.
        """
        lasting = (*self.number_names, "g", "p", *self.state_names)
        brief = [m.target for m in self.moves if m.target not in lasting]
        cells = (*lasting, *dict.fromkeys(brief))
        moves = tuple((move.target, move.kind) for move in self.moves)
        run, scratch = prepare(Update(cells, moves))
        return run, len(cells) - len(lasting) + scratch

    @functools.cached_property
    def counts(self) -> bool:
        """Whether the number of steps matters."""
        return any("step" in variables(e) for _, e in self._split[1])

    @property
    def number_names(self) -> tuple[str, ...]:
        """The names of the numbers, in order."""
        return tuple(name for name, _ in self._split[1])

    @functools.cached_property
    def _formula(self) -> Any:
        """All numbers of a step: what an expression prints is Python."""
        text = ", ".join(f"{name!r}: {e}" for name, e in self._split[1])
        return compile(f"{{{text}}}", "law", "eval")

    def numbers(self, settings: Mapping[str, float]) -> dict[str, float]:
        """The numbers of one step, by the texts under which the maps read them."""
        found: dict[str, float] = eval(self._formula, _WORDS, settings)
        return found

    def start(self, name: str, settings: Mapping[str, float]) -> float:
        """Where the cells of a state start."""
        return float(eval(str(dict(self.states)[name]), _WORDS, settings))


def _without_settings(
    e: Expression, cells: frozenset[str], hosts: dict[str, Expression]
) -> Expression:
    """The expression with every largest part that reads settings only as one variable."""
    free = {n: cells.isdisjoint(variables(n)) for n in in_order(e)}
    made: dict[Expression, Expression] = {}
    for node in in_order(e):
        args = []
        for arg in node.args:
            if free[arg] and not free[node] and variables(arg):
                hosts[str(arg)] = arg
                args.append(variable(str(arg)))
            else:
                args.append(made[arg])
        made[node] = Expression(node.op, tuple(args), node.value) if node.args else node
    return made[e]


def decayed(weight_decay: bool) -> tuple[Expression, tuple[tuple[str, Expression], ...]]:
    """The gradient with weight decay, and the assignments that make it."""
    p, g = variable("p"), variable("g")
    if not weight_decay:
        return g, ()
    return variable("d"), (("d", g + variable("weight_decay") * p),)
