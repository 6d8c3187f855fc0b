"""Tracer: the same Python code, run once on symbols, is written down as a program.

Inside `with Tracer() as tracer:` the tensors that it was told of hold symbols instead of arrays,
and every operation that meets one is written down instead of run; an operation on arrays alone
still runs, and its result becomes a constant. At the end every tensor holds its array again.

>>> import rot180.ops
>>> from rot180.core.tensor import tensor
>>> w = tensor([2.0, 3.0])
>>> with Tracer() as tracer:
...     x = tracer.input("x", (2,), "float32")
...     tracer.hold(w, "parameter", "w")
...     program = tracer.program(y=x * w)
>>> print(program)
%0 float32[2] input x
%1 float32[2] parameter w
forward:
  %2 float32[2] = mul: (%0 * %1) ; mul.0
output y %2
>>> program.step(x=np.array([10.0, 100.0], np.float32))["y"]
array([ 20., 300.], dtype=float32)
"""

from __future__ import annotations

import contextlib
import inspect
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.core.kinds import Array, Kind, Select, run
from rot180.core.lines import users_line
from rot180.core.modes import state
from rot180.core.program import Check, Guard, Instruction, Program, Scope, Value
from rot180.core.results import Spec, results
from rot180.core.symbol import Symbol, as_symbol
from rot180.core.tensor import Tensor
from rot180.errors import TraceError

__all__ = ["Tracer"]

_one_at_a_time = threading.RLock()
"""A traced tensor holds a symbol for every thread, so two traces must not share one."""


class Tracer:
    """Writes operations down; see the module.

    Attributes:
        phase: "forward" or "update": what operations outside a backward sweep belong to.
    """

    def __init__(self) -> None:
        self.phase = "forward"
        self._trace = object()
        self._values: list[Value] = []
        self._instructions: list[Instruction] = []
        self._scopes: list[Scope] = []
        self._calls: dict[str, int] = {}
        self._inside: int | None = None
        self._held: dict[Tensor, Array] = {}
        self._places: dict[Tensor, int] = {}
        self._writes: dict[int, int] = {}
        self._constants: dict[int, Array] = {}
        self._number_of_array: dict[int, int] = {}
        self._sources: dict[int, Callable[[], Array]] = {}
        self._checks: list[Check] = []
        self._guards: list[Guard] = []
        # Of every recorded node, by its sequence: its scope and the value it made.
        self._nodes: dict[int, tuple[int | None, int]] = {}
        self._sums: list[int | None] = []

    def __enter__(self) -> Tracer:
        if state.tracer is not None:
            raise TraceError("tracing: a trace is running in this thread already")
        if state.anomaly:
            raise TraceError(
                "tracing: detect_anomaly looks at every value",
                rule="run the step without compiling to look for NaN",
            )
        _one_at_a_time.acquire()
        state.tracer = self
        return self

    def __exit__(self, *_: object) -> None:
        for tensor, array in self._held.items():
            tensor.data = array
        state.tracer = None
        _one_at_a_time.release()

    # What is given

    def input(self, name: str, shape: Sequence[int], dtype: npt.DTypeLike) -> Tensor:
        """An argument of the program."""
        return Tensor(self._new(Spec(tuple(shape), np.dtype(dtype)), "input", name))  # type: ignore[arg-type]

    def hold(
        self, tensor: Tensor, role: str, name: str, source: Callable[[], Array] | None = None
    ) -> None:
        """Put a symbol into a tensor until the trace ends.

        Args:
            tensor: one that lives on: a parameter or a buffer.
            role: "parameter" or "buffer".
            name: what it is called.
            source: gives its array at a step; the tensor's own by default.
        """
        if tensor in self._held:
            return
        array = tensor.data
        symbol = self._new(Spec(array.shape, array.dtype), role, name)
        self._sources[symbol.number] = tensor.writable if source is None else source
        self._held[tensor], self._places[tensor] = array, symbol.number
        tensor.data = symbol  # type: ignore[assignment]

    def scalar(self, name: str, dtype: npt.DTypeLike, source: Callable[[], Any]) -> Tensor:
        """A number that the host gives anew at every step."""
        return self._fed(Spec((), np.dtype(dtype)), "scalar", name, source)

    def state(
        self, name: str, shape: tuple[int, ...], dtype: npt.DTypeLike, source: Callable[[], Array]
    ) -> Tensor:
        """An array that lives from step to step, such as a momentum."""
        made = self._fed(Spec(shape, np.dtype(dtype)), "state", name, source)
        self._places[made] = self.number(made)
        return made

    def _fed(self, spec: Spec, role: str, name: str, source: Callable[[], Any]) -> Tensor:
        symbol = self._new(spec, role, name)
        self._sources[symbol.number] = source
        return Tensor(symbol)  # type: ignore[arg-type]

    def guard(self, now: Callable[[], object]) -> None:
        """Note something that shapes the program; it is stale when this changes."""
        self._guards.append(Guard(now, now()))

    def _new(self, spec: Spec, role: str, name: str = "") -> Symbol:
        self._values.append(Value(len(self._values), spec, role, name))
        return Symbol(len(self._values) - 1, spec.shape, spec.dtype, self._trace)

    # Operations

    def run(self, kind: Kind, *inputs: Tensor) -> Any:
        """Write an operation down (a symbol results), or run it where no input is a symbol.

        In a backward sweep an operation whose result is larger than what it reads is written down
        anyway: a number repeated over an array is known best as that.
        """
        for t in inputs:
            self._refuse_stranger(t)
        if not any(as_symbol(t.data) is not None for t in inputs):
            specs = [Spec(t.shape, t.dtype) for t in inputs]
            made = results(kind, *specs)
            small = max((t.size for t in inputs), default=0)
            if state.cause is None or all(np.prod(spec.shape) <= small for spec in made):
                return run(kind, *(t.data for t in inputs))
        numbers = tuple(self.number(t) for t in inputs)
        made = results(kind, *(self._values[n].spec for n in numbers))
        symbols = tuple(self._new(spec, "computed") for spec in made)
        outputs = tuple(symbol.number for symbol in symbols)
        scope, cause, phase = self._inside, None, self.phase
        if state.cause is not None:
            phase = "backward"
            scope, cause = self._nodes.get(state.cause.sequence, (None, None))
            if self._sums:
                scope, cause = self._sums[-1], None
        self._instructions.append(Instruction(kind, numbers, outputs, phase, scope, cause))
        return symbols if isinstance(kind, Select) else symbols[0]

    def number(self, t: Tensor) -> int:
        """The value that a tensor stands for; its array becomes a constant."""
        symbol = as_symbol(t.data)
        if symbol is not None:
            return self._own(symbol)
        known = self._number_of_array.get(id(t.data))
        if known is None:
            known = self._new(Spec(t.shape, t.dtype), "constant").number
            # The constant keeps the array alive, so that its id stays its own.
            self._constants[known] = t.data
            self._number_of_array[id(t.data)] = known
        return known

    def _own(self, symbol: Symbol) -> int:
        if symbol.trace is not self._trace:
            line = users_line()
            rule = "keep nothing of a forward pass for the next one"
            raise TraceError(
                "tracing: a value of another trace",
                got=str(symbol),
                rule=f"{rule}; used at {line}" if line else rule,
            )
        return symbol.number

    def _refuse_stranger(self, t: Tensor) -> None:
        if t.requires_grad and t.is_leaf and as_symbol(t.data) is None:
            line = users_line()
            rule = "assign it to an attribute of the module as a Parameter, or detach() it"
            raise TraceError(
                f"tracing: a tensor of shape {t.shape} requires a gradient and is no parameter of "
                "the model, the loss or the optimiser",
                rule=f"{rule}; used at {line}" if line else rule,
            )

    def made(self, sequence: int, data: Any) -> None:
        """Remember the scope and the value of a node of the graph, for its backward sweep."""
        number = data.number if isinstance(data, Symbol) else None
        if number is not None:
            self._nodes[sequence] = (self._inside, number)

    def assign(self, target: Tensor, value: Tensor) -> None:
        """Write at the end of the step; code that follows in the trace reads the new value."""
        place = self._places.get(target)
        if place is None:
            raise TraceError(
                "tracing: a write into a tensor that is no parameter and no buffer",
                got=f"shape {target.shape}",
                rule="register_buffer() what lives from step to step",
            )
        number = self.number(value)
        spec, wanted = self._values[number].spec, self._values[place].spec
        if spec != wanted:
            raise TraceError(
                f"tracing: write to {self._values[place].name}", expected=str(wanted), got=str(spec)
            )
        self._writes[place] = number
        target.data = Symbol(number, *spec, self._trace)  # type: ignore[assignment]

    def look(self, test: Callable[..., None], tensors: Sequence[Tensor], essential: bool) -> None:
        """Test values before every step; see `core.look`."""
        symbols = [symbol for t in tensors if (symbol := as_symbol(t.data)) is not None]
        if not symbols:
            test(*(t.data for t in tensors))
            return
        numbers = tuple(self.number(t) for t in tensors)
        if self._known_before(numbers):
            self._checks.append(Check(test, numbers))
        elif essential:
            symbols[0].refuse("a test", "compute them outside and pass them in")

    def _known_before(self, numbers: Sequence[int]) -> bool:
        """Whether values depend on inputs and constants only."""
        makers = {n: i for i in self._instructions for n in i.outputs}
        stack, seen = list(numbers), set[int]()
        while stack:
            number = stack.pop()
            if number in seen:
                continue
            seen.add(number)
            role = self._values[number].role
            if role == "computed":
                stack.extend(makers[number].inputs)
            elif role not in ("input", "constant"):
                return False
        return True

    # Scopes

    def call(
        self,
        name: str,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        options: dict[str, Any],
    ) -> Any:
        """Call a public operation in a scope of its own (in a sweep: in that of the node)."""
        if state.cause is not None:
            return function(*args, **options)
        bound = inspect.signature(function).bind(*args, **options)
        bound.apply_defaults()
        with self.scope(name, bound.arguments) as finish:
            result = function(*args, **options)
            finish(result)
        return result

    @contextlib.contextmanager
    def scope(self, name: str, arguments: dict[str, Any]) -> Iterator[Callable[[Any], None]]:
        """What is written down inside belongs to a scope; call what this gives with the result."""
        count = self._calls.get(name, 0)
        self._calls[name] = count + 1
        inputs: list[tuple[str, int]] = []
        settings: list[tuple[str, Any]] = []
        for word, given in arguments.items():
            found = list(self._tensors(word, given))
            inputs.extend(found)
            if not found:
                settings.append((word, given))
        place, outside = len(self._scopes), self._inside
        self._scopes.append(Scope(name, count, tuple(inputs), tuple(settings), (), outside))
        self._inside = place

        def finish(result: Any) -> None:
            outputs = tuple(number for _, number in self._tensors("", result))
            self._scopes[place] = replace(self._scopes[place], outputs=outputs)

        try:
            yield finish
        finally:
            self._inside = outside

    def _tensors(self, word: str, given: Any) -> Iterator[tuple[str, int]]:
        """Tensors of an argument or result, by name; the members of a sequence one by one."""
        if isinstance(given, Tensor):
            yield word, self.number(given)
        elif isinstance(given, tuple | list):
            for i, member in enumerate(given):
                if isinstance(member, Tensor):
                    yield f"{word}[{i}]", self.number(member)

    def _around(self, scope: int | None) -> list[int]:
        """A scope and all around it, the innermost first."""
        chain = []
        while scope is not None:
            chain.append(scope)
            scope = self._scopes[scope].parent
        return chain

    def call_of(self, sequence: int) -> object:
        """The outermost scope of a node; what is new every time for a node in none."""
        chain = self._around(self._nodes.get(sequence, (None, None))[0])
        return chain[-1] if chain else object()

    @contextlib.contextmanager
    def adding(self, sequences: Sequence[int]) -> Iterator[None]:
        """Gradients that the rules of these nodes made are added: the scope around all of them."""
        chains = [self._around(self._nodes.get(s, (None, None))[0]) for s in sequences]
        first = chains[0] if chains else []
        self._sums.append(next((s for s in first if all(s in c for c in chains)), None))
        try:
            yield
        finally:
            self._sums.pop()

    # The result

    def program(self, **outputs: Tensor) -> Program:
        """What was written down: live, folded and checked.

        Args:
            **outputs: the values that a step returns, by name.
        """
        numbers = tuple((name, self.number(t)) for name, t in outputs.items())
        traced = Program(
            tuple(self._values),
            tuple(self._instructions),
            tuple(self._scopes),
            numbers,
            tuple(self._writes.items()),
            dict(self._constants),
            dict(self._sources),
            tuple(self._checks),
            tuple(self._guards),
        )
        return traced.check().live().folded().check()
