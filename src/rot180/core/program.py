"""Program: a traced computation as a flat list of forms, maps and selects.

Values have numbers; an instruction makes new ones from earlier ones, and none is ever changed.
What changes (parameters, buffers, the state of an optimiser) is told apart in `writes`: after the
last instruction, and so after every read, the new value goes to the place of the old one.

    program.step(x=images, y=labels)     # once over: feed, run, write; the reference reader
    print(program)                       # one line for every instruction
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rot180.core.expression import constant, substitute, variable
from rot180.core.kinds import Array, Kind, Map, run
from rot180.core.listing import instruction_line, listing
from rot180.core.results import Spec, results
from rot180.errors import Rot180Error, ShapeError, TraceError

__all__ = ["Check", "Guard", "Instruction", "Program", "Scope", "Value"]

ROLES = ("input", "parameter", "buffer", "state", "scalar", "constant", "computed")
WRITTEN = ("parameter", "buffer", "state")
PHASES = ("forward", "backward", "update")


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a program.

    Attributes:
        number: its name in the program.
        spec: shape and data type.
        role: "input", "parameter", "buffer", "state", "scalar" (all fed at every step),
            "constant" (known), or "computed".
        name: what it is called outside, "" for most.
    """

    number: int
    spec: Spec
    role: str
    name: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of every axis."""
        return self.spec.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Data type."""
        return self.spec.dtype


@dataclass(frozen=True, slots=True)
class Instruction:
    """One operation.

    Attributes:
        kind: the form, map, select, ... that it runs.
        inputs: numbers of the values it reads, in the kind's order.
        outputs: numbers of the values it makes: one, or values and record of a select.
        phase: "forward", "backward" or "update".
        scope: place in `Program.scopes` of the call that it belongs to, the innermost.
        cause: in the backward sweep, the value whose gradient rule it is part of.
    """

    kind: Kind
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    phase: str = "forward"
    scope: int | None = None
    cause: int | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """One call of a public operation, or the move of one parameter.

    Its instructions, forward and backward, can be replaced together by one kernel that is held
    equal to them.

    Attributes:
        name: the operation.
        call: how many calls of this name came before.
        inputs: pairs (argument, value), in order; the members of a list as "argument[0]", ...
        settings: pairs (argument, what was given or is the default), for everything else.
        outputs: the values it returned.
        parent: place of the scope around it, None for a call of the user's.
    """

    name: str
    call: int
    inputs: tuple[tuple[str, int], ...] = ()
    settings: tuple[tuple[str, Any], ...] = ()
    outputs: tuple[int, ...] = ()
    parent: int | None = None

    def setting(self, name: str) -> Any:
        """One setting by its argument's name."""
        return dict(self.settings)[name]

    def input(self, name: str) -> int | None:
        """One input's number by its argument's name, None where it was left out."""
        return dict(self.inputs).get(name)


@dataclass(frozen=True, slots=True)
class Check:
    """A test of values on the host before a step: raises what the eager operation raises.

    Attributes:
        test: called with the arrays.
        values: numbers of the values to test; they depend on inputs and constants only.
    """

    test: Callable[..., None]
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """Something outside that shaped the program; it is stale when this has changed.

    Attributes:
        now: tells how it is now.
        was: how it was while tracing.
    """

    now: Callable[[], object]
    was: object


@dataclass(frozen=True, eq=False)
class Program:
    """A traced computation.

    Attributes:
        values: every value, by ascending number.
        instructions: in an order in which they can run.
        scopes: the calls that the instructions belong to.
        outputs: pairs (name, value).
        writes: pairs (value of role parameter, buffer or state; the value that replaces it).
        constants: the array of every constant.
        sources: for every parameter, buffer, state and scalar, a function that gives its array at
            this moment. Arrays of the first three are the places to write into. A step asks each
            once, scalars first, by ascending number: a source may count steps or draw numbers.
        checks: tests of the inputs before a step.
        guards: what makes it stale.
    """

    values: tuple[Value, ...]
    instructions: tuple[Instruction, ...]
    scopes: tuple[Scope, ...]
    outputs: tuple[tuple[str, int], ...]
    writes: tuple[tuple[int, int], ...]
    constants: Mapping[int, Array]
    sources: Mapping[int, Callable[[], Array]]
    checks: tuple[Check, ...] = ()
    guards: tuple[Guard, ...] = ()

    # Looking things up

    @functools.cached_property
    def _by_number(self) -> dict[int, Value]:
        return {value.number: value for value in self.values}

    def knows(self, number: int) -> bool:
        """Whether there is a value of this number."""
        return number in self._by_number

    def value(self, number: int) -> Value:
        """A value by its number."""
        return self._by_number[number]

    @functools.cached_property
    def makers(self) -> dict[int, int]:
        """For every computed value the place of the instruction that makes it."""
        return {n: at for at, made in enumerate(self.instructions) for n in made.outputs}

    @functools.cached_property
    def readers(self) -> dict[int, tuple[int, ...]]:
        """For every value the places of the instructions that read it, in order."""
        found: dict[int, list[int]] = {value.number: [] for value in self.values}
        for at, instruction in enumerate(self.instructions):
            for number in dict.fromkeys(instruction.inputs):
                found.setdefault(number, []).append(at)
        return {number: tuple(places) for number, places in found.items()}

    def of_role(self, *roles: str) -> tuple[Value, ...]:
        """The values of these roles."""
        return tuple(value for value in self.values if value.role in roles)

    def enclosing(self, scope: int | None) -> tuple[int, ...]:
        """The scope and all around it, the innermost first."""
        found: list[int] = []
        while scope is not None:
            found.append(scope)
            scope = self.scopes[scope].parent
        return tuple(found)

    def within(self, scope: int) -> tuple[int, ...]:
        """Places of all instructions of a scope and of those inside it."""
        return tuple(
            at for at, i in enumerate(self.instructions) if scope in self.enclosing(i.scope)
        )

    def path(self, scope: int) -> str:
        """A scope in words, the outermost first."""
        around = reversed(self.enclosing(scope))
        return "/".join(f"{self.scopes[s].name}.{self.scopes[s].call}" for s in around)

    def __str__(self) -> str:
        return listing(self)

    # Running: the reference reader

    def stale(self) -> bool:
        """Whether something that shaped the program has changed since it was traced."""
        return any(guard.now() != guard.was for guard in self.guards)

    def feeds(self, **inputs: Any) -> dict[int, Array]:
        """What a step starts from: checked inputs, and what every source gives now.

        Args:
            **inputs: an array for each input, by name.

        Raises:
            ShapeError: an input of another shape or data type than the program was traced for.
            Rot180Error: what a check found, in the words of the eager operation.
        """
        fed = dict(self.constants)
        for value in self._arguments:
            array = np.asarray(inputs[value.name])
            if array.shape != value.shape or array.dtype != value.dtype:
                raise ShapeError(
                    f"program: input {value.name}",
                    expected=str(value.spec),
                    got=str(Spec(array.shape, array.dtype)),
                )
            fed[value.number] = array
        for check, computed in self._tests:
            known = self._computed(check.values, fed) if computed else fed
            check.test(*(known[number] for number in check.values))
        for number, dtype, source in self._scalars:
            fed[number] = np.asarray(source(), dtype)
        numbers, sources = self._living
        fed.update(zip(numbers, [source() for source in sources], strict=True))
        return fed

    @functools.cached_property
    def _arguments(self) -> tuple[Value, ...]:
        return self.of_role("input")

    @functools.cached_property
    def _tests(self) -> tuple[tuple[Check, bool], ...]:
        """Every check, and whether it tests values that are computed."""
        return tuple(
            (check, any(number in self.makers for number in check.values)) for check in self.checks
        )

    @functools.cached_property
    def _scalars(self) -> tuple[tuple[int, np.dtype[Any], Callable[[], Any]], ...]:
        """(number, data type, source) of the numbers that are asked for at every step, in order."""
        return tuple((v.number, v.dtype, self.sources[v.number]) for v in self.of_role("scalar"))

    @functools.cached_property
    def _living(self) -> tuple[tuple[int, ...], tuple[Callable[[], Array], ...]]:
        """Numbers and sources of the arrays that live from step to step, in order."""
        numbers = tuple(value.number for value in self.of_role(*WRITTEN))
        return numbers, tuple(self.sources[number] for number in numbers)

    def run(self, feeds: Mapping[int, Array]) -> tuple[dict[str, Array], dict[int, Array]]:
        """Run every instruction by `core.run`.

        Args:
            feeds: an array for every value that is not computed.

        Returns:
            The outputs by name, and the new array of every value that is written.
        """
        wanted = [number for _, number in (*self.outputs, *self.writes)]
        known = self._computed(wanted, feeds)
        outputs = {name: known[number] for name, number in self.outputs}
        return outputs, {target: known[number] for target, number in self.writes}

    def step(self, **inputs: Any) -> dict[str, Array]:
        """Feed, run and write once; returns the outputs."""
        fed = self.feeds(**inputs)
        outputs, written = self.run(fed)
        # A new value may be a view of an old one: all are complete before any is replaced.
        copies = {target: np.array(new) for target, new in written.items()}
        for target, new in copies.items():
            fed[target][...] = new
        return outputs

    def _computed(self, wanted: Iterable[int], feeds: Mapping[int, Array]) -> dict[int, Array]:
        """The wanted values, by the instructions that they need."""
        known = dict(feeds)
        keep = set(wanted)
        needed = self._needed(keep)
        last = {n: at for at in needed for n in self.instructions[at].inputs}
        for at in needed:
            instruction = self.instructions[at]
            with np.errstate(all="ignore"):
                made = run(instruction.kind, *(known[number] for number in instruction.inputs))
            pair = made if isinstance(made, tuple) else (made,)
            known.update(zip(instruction.outputs, pair, strict=True))
            for number in (*instruction.inputs, *instruction.outputs):
                if last.get(number, at) <= at and number not in keep:
                    known.pop(number, None)
        return known

    def _needed(self, wanted: set[int]) -> list[int]:
        """Places of the instructions that the wanted values need, in order."""
        places: list[int] = []
        alive = set(wanted)
        for at in range(len(self.instructions) - 1, -1, -1):
            instruction = self.instructions[at]
            if alive.intersection(instruction.outputs):
                places.append(at)
                alive.update(instruction.inputs)
        return places[::-1]

    # Making it smaller

    def live(self) -> Program:
        """Without instructions and values that no output, write or check needs; order is kept.

        Inputs stay, and so do scalars, whose sources count.
        """
        wanted = {number for _, number in (*self.outputs, *self.writes)}
        wanted |= {number for check in self.checks for number in check.values}
        kept = tuple(self.instructions[at] for at in self._needed(wanted))
        read = {number for i in kept for number in (*i.inputs, *i.outputs)}
        read |= wanted | {target for target, _ in self.writes}
        values = tuple(
            value
            for value in self.values
            if value.number in read or value.role in ("input", "scalar")
        )
        left = {value.number for value in values}
        return replace(
            self,
            values=values,
            instructions=kept,
            constants={n: array for n, array in self.constants.items() if n in left},
            sources={n: source for n, source in self.sources.items() if n in left},
        )

    def folded(self) -> Program:
        """With numbers put into the maps that read them, and every value computed once.

        An instruction that repeats an earlier one is dropped.
        """
        same: dict[int, int] = {}
        first: dict[object, Instruction] = {}
        for number, array in self.constants.items():
            key = (array.shape, array.dtype, array.tobytes())
            same[number] = first.setdefault(key, Instruction(None, (), (number,))).outputs[0]  # type: ignore[arg-type]
        kept = []
        for instruction in self.instructions:
            i = self._with_numbers(instruction)
            i = replace(i, inputs=tuple(same.get(number, number) for number in i.inputs))
            known = first.setdefault((i.kind, i.inputs), i)
            if known is i:
                kept.append(i)
            same.update(zip(i.outputs, known.outputs, strict=True))

        def now(number: int) -> int:
            return same.get(number, number)

        scopes = tuple(
            replace(
                scope,
                inputs=tuple((name, now(number)) for name, number in scope.inputs),
                outputs=tuple(map(now, scope.outputs)),
            )
            for scope in self.scopes
        )
        return replace(
            self,
            instructions=tuple(
                replace(i, cause=None if i.cause is None else now(i.cause)) for i in kept
            ),
            scopes=scopes,
            outputs=tuple((name, now(number)) for name, number in self.outputs),
            writes=tuple((target, now(number)) for target, number in self.writes),
            checks=tuple(
                replace(check, values=tuple(map(now, check.values))) for check in self.checks
            ),
        ).live()

    def _with_numbers(self, instruction: Instruction) -> Instruction:
        """A map with its constant inputs of one cell in its body, where it results in the same."""
        kind = instruction.kind
        if not isinstance(kind, Map):
            return instruction
        body, read = kind.body, []
        for name, number in zip(kind.inputs, instruction.inputs, strict=True):
            array = self.constants.get(number)
            if array is None or array.ndim or array.dtype.kind not in "fi":
                read.append((name, number))
            else:
                body = substitute(body, variable(name), constant(array.item()))
        smaller = replace(kind, inputs=tuple(name for name, _ in read), body=body)
        specs = [self.value(number).spec for _, number in read]
        if not read or results(smaller, *specs) != (self.value(instruction.outputs[0]).spec,):
            return instruction
        return replace(instruction, kind=smaller, inputs=tuple(number for _, number in read))

    # Legality

    def check(self) -> Program:
        """Hold the program to its laws, and return it.

        Every value is made once and before it is read, by an instruction that makes this shape and
        type (`core.results`); only parameters, buffers and states are written, each once and by a
        value like it; outputs exist; what is fed has a source.

        Raises:
            TraceError: a law is broken; names the instruction.
        """
        known = {value.number for value in self.values if value.role != "computed"}
        if len(self._by_number) != len(self.values):
            raise TraceError("program: two values of one number")
        for value in self.values:
            self._check_given(value)
        for instruction in self.instructions:
            try:
                self._check_instruction(instruction, known)
            except Rot180Error as error:
                line = instruction_line(self, instruction)
                raise TraceError(f"program: {error}", rule=f"instruction: {line}") from None
            known.update(instruction.outputs)
        read = {n for i in self.instructions for n in i.outputs}
        for value in self.values:
            if value.role == "computed" and value.number not in read:
                raise TraceError(f"program: no instruction makes %{value.number}")
        for name, number in self.outputs:
            if number not in known:
                raise TraceError(f"program: output {name} %{number} is not made")
        for check in self.checks:
            if not known.issuperset(check.values):
                raise TraceError("program: a check of values that are not made")
        self._check_writes(known)
        return self

    def _check_given(self, value: Value) -> None:
        if value.role not in ROLES:
            raise TraceError(f"program: %{value.number} has no role", got=value.role)
        if value.role == "constant":
            array = self.constants.get(value.number)
            if array is None or Spec(array.shape, array.dtype) != value.spec:
                raise TraceError(f"program: constant %{value.number} is not its array")
        if value.role in (*WRITTEN, "scalar") and value.number not in self.sources:
            raise TraceError(f"program: {value.role} %{value.number} has no source")

    def _check_instruction(self, instruction: Instruction, known: set[int]) -> None:
        for number in instruction.inputs:
            if number not in known:
                raise TraceError(f"%{number} is read before it is made")
        for number in instruction.outputs:
            if number in known or not self.knows(number):
                raise TraceError(f"%{number} is made twice, or is no value")
        if instruction.phase not in PHASES:
            raise TraceError("no such phase", got=instruction.phase)
        if instruction.scope is not None and not 0 <= instruction.scope < len(self.scopes):
            raise TraceError("no such scope", got=str(instruction.scope))
        made = results(instruction.kind, *(self.value(n).spec for n in instruction.inputs))
        declared = tuple(self.value(n).spec for n in instruction.outputs)
        if made != declared:
            raise ShapeError(
                "results",
                expected=", ".join(map(str, made)),
                got=", ".join(map(str, declared)) or "none",
            )

    def _check_writes(self, known: set[int]) -> None:
        targets = [target for target, _ in self.writes]
        if len(set(targets)) != len(targets):
            raise TraceError("program: a value is written twice")
        for target, new in self.writes:
            if target not in known or new not in known:
                raise TraceError(f"program: write of %{new} to %{target}, which are not both made")
            place, value = self.value(target), self.value(new)
            if place.role not in WRITTEN:
                raise TraceError(
                    f"program: write to %{target}",
                    expected=" or ".join(WRITTEN),
                    got=place.role,
                )
            if place.spec != value.spec:
                raise TraceError(
                    f"program: write to %{target} {place.name}",
                    expected=str(place.spec),
                    got=str(value.spec),
                )
