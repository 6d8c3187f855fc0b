"""Fusion: from a traced program to tasks, each of one or many instructions.

Every pattern looks at one instruction and says which others it takes along: a bias and a ReLU into
the convolution before them, a ReLU into the pool behind it, softmax and cross-entropy with their
gradient into one pass, the move of all parameters into one. What no pattern takes becomes a task of
its own with the generic loop nest of its kind, so nothing lacks a lowering.
"""

from __future__ import annotations

from dataclasses import replace

from rot180.core.expression import Expression, substitute, variable
from rot180.core.kinds import Form, Map, Select, Windows
from rot180.core.program import Instruction, Program
from rot180.jit.planning.task import Task

__all__ = [
    "Claims",
    "bias_of",
    "is_along",
    "is_channel_sum",
    "is_pool",
    "name_of",
    "ordered",
    "over",
    "repeats",
    "simplified",
    "single_reader",
]


def simplified(program: Program) -> Program:
    """The program with the gradient of each ReLU told by its result instead of its argument.

    The result is positive where the argument is, so the argument need not be kept.
    """
    result = {i.inputs[0]: i.outputs[0] for i in program.instructions if _is_map(i, "relu")}
    changed = []
    for i in program.instructions:
        if _is_map(i, "relu′") and isinstance(i.kind, Map):
            at = i.kind.inputs.index("x")
            inputs = list(i.inputs)
            inputs[at] = result.get(inputs[at], inputs[at])
            i = replace(i, inputs=tuple(inputs))
        changed.append(i)
    return replace(program, instructions=tuple(changed)).live()


def _is_map(i: Instruction, name: str) -> bool:
    return isinstance(i.kind, Map) and i.kind.name == name


class Claims:
    """Which instructions have a task already.

    Attributes:
        program: what is being fused.
        tasks: pairs (place of its last instruction, task), so far.
    """

    def __init__(self, program: Program) -> None:
        self.program = program
        self.tasks: list[tuple[int, Task]] = []
        self._taken: set[int] = set()
        outside = [n for _, n in (*program.outputs, *program.writes)]
        self._outside = frozenset(outside)

    def free(self, at: int) -> bool:
        """Whether an instruction has no task yet."""
        return at not in self._taken

    def take(self, places: list[int], task: Task) -> None:
        """Claim instructions for a task."""
        assert not self._taken.intersection(places)
        self._taken.update(places)
        self.tasks.append((max(places), task))

    def only_reader(self, number: int) -> int | None:
        """The place of the only, free, instruction that reads a value, None if there is none."""
        places = self.program.readers[number]
        if len(places) != 1 or number in self._outside or not self.free(places[0]):
            return None
        return places[0]

    def hidden(self, number: int, places: set[int]) -> bool:
        """Whether nothing outside of these places reads a value."""
        return number not in self._outside and places.issuperset(self.program.readers[number])

    def maker(self, number: int) -> tuple[int, Instruction] | None:
        """The instruction that makes a value, None for what is given."""
        at = self.program.makers.get(number)
        return None if at is None else (at, self.program.instructions[at])


def ordered(program: Program, tasks: list[tuple[int, Task]]) -> list[Task]:
    """The tasks in an order in which everything is made before it is read, as in the program."""
    waiting = sorted(tasks, key=lambda pair: pair[0])
    made = {v.number for v in program.values if v.role != "computed"}
    found: list[Task] = []
    while waiting:
        for position, (_, task) in enumerate(waiting):
            if made.issuperset(task.reads):
                made.update(task.writes)
                found.append(task)
                del waiting[position]
                break
        else:
            raise AssertionError("fusion made tasks that wait for each other")
    return found


def single_reader(claims: Claims, number: int, name: str) -> tuple[int, Instruction] | None:
    """The only reader of a value, if it is a map of this name."""
    at = claims.only_reader(number)
    if at is None or not _is_map(claims.program.instructions[at], name):
        return None
    return at, claims.program.instructions[at]


def name_of(number: int) -> str:
    """What a value is called in an expression."""
    return f"%{number}"


def over(kind: Map, inputs: tuple[int, ...]) -> Expression:
    """The body of a map over the names of values."""
    body = kind.body
    for word, number in zip(kind.inputs, inputs, strict=True):
        body = substitute(body, variable(word), variable(name_of(number)))
    return body


def bias_of(claims: Claims, number: int) -> tuple[list[int], int, int] | None:
    """(places, sum, bias) where the only reader of a value adds a vector laid along axis 1."""
    found = single_reader(claims, number, "add")
    if found is None:
        return None
    at, add = found
    if add.inputs[0] == add.inputs[1]:
        return None
    other = next(n for n in add.inputs if n != number)
    made = claims.maker(other)
    if made is None or claims.only_reader(other) != at or not is_along(made[1].kind):
        return None
    return [made[0], at], add.outputs[0], made[1].inputs[0]


def repeats(kind: object) -> tuple[int | None, ...] | None:
    """For each axis of what a form repeats the axis of its result, None where it has one cell.

    None for another form.
    """
    if not isinstance(kind, Form) or (kind.name, kind.output) != ("expand", "y"):
        return None
    loops = [axis.terms[0][0] if axis.terms else "" for axis in kind.result.axes]
    (x,) = kind.inputs
    return tuple(loops.index(axis.terms[0][0]) if axis.terms else None for axis in x.axes)


def is_along(kind: object) -> bool:
    """Whether a form lays a vector along axis 1 of a shape, repeated on all others."""
    return repeats(kind) == (1,)


def is_channel_sum(kind: object) -> bool:
    """Whether a form sums over everything but axis 1: the gradient of a bias."""
    if not isinstance(kind, Form) or kind.name != "expand" or kind.output != "x":
        return False
    (y,), x = kind.inputs, kind.result
    return len(x.axes) == 1 and len(y.axes) >= 2 and x.axes[0] == y.axes[1]


def is_pool(kind: object) -> bool:
    """Whether a select is a max pool whose first winner gets the gradient."""
    return (
        isinstance(kind, Select)
        and isinstance(kind.choice, Windows)
        and kind.choice.ties == "first"
        and kind.largest
    )
