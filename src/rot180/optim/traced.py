"""A step of an optimiser, written down in a trace: the same laws, as maps of phase "update"."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from rot180.core import Tensor, Tracer, apply

if TYPE_CHECKING:
    from rot180.optim.law import Law
    from rot180.optim.optimizer import Array, Group, Optimizer

__all__ = ["traced_step"]


def traced_step(
    optimizer: Optimizer, tracer: Tracer, gradients: Mapping[Tensor, Tensor], names: Sequence[str]
) -> None:
    """Write down how an optimiser moves the parameters that have a gradient.

    Numbers such as the learning rate are scalars, computed anew at every step, which also counts
    the steps. Parameters of a group that have made as many steps share them.

    Args:
        optimizer: whose laws to follow.
        tracer: the running trace, which holds all the parameters, in its phase "update".
        gradients: parameter to gradient.
        names: what each parameter of the optimiser is called, in order.
    """
    called = iter(names)
    for group in optimizer.param_groups:
        law = optimizer.law(group)
        together: dict[object, list[tuple[Tensor, str]]] = {}
        for parameter in group["params"]:
            name = next(called)
            if parameter in gradients:
                steps = optimizer.state.get(parameter, {}).get("step", 0)
                together.setdefault((steps, parameter.dtype), []).append((parameter, name))
        for members in together.values():
            _traced_members(optimizer, tracer, gradients, group, law, members)
    tracer.guard(lambda: _laws(optimizer))


def _laws(optimizer: Optimizer) -> object:
    """What shapes the update: which law moves which parameters."""
    return [(optimizer.law(g), list(map(id, g["params"]))) for g in optimizer.param_groups]


def _traced_members(
    optimizer: Optimizer,
    tracer: Tracer,
    gradients: Mapping[Tensor, Tensor],
    group: Group,
    law: Law,
    members: Sequence[tuple[Tensor, str]],
) -> None:
    """Parameters of one group, data type and number of steps."""
    parameters = [parameter for parameter, _ in members]
    clock = _Clock(optimizer, group, law, parameters)
    tracer.guard(clock.together)
    numbers = {
        name: tracer.scalar(name, parameters[0].dtype, clock.reader(name))
        for name in law.number_names
    }
    for parameter, name in members:
        cells = {**numbers, "g": gradients[parameter], "p": parameter}
        for state, _ in law.states:
            source = _state_source(optimizer, group, law, parameter, state)
            cells[state] = tracer.state(f"{name}.{state}", parameter.shape, parameter.dtype, source)
        given = {"p": parameter, "g": gradients[parameter], **cells}
        with tracer.scope(type(optimizer).__name__, given) as finish:
            made: dict[str, Tensor] = {}
            for move in law.moves:
                inputs = [(cells | made)[read] for read in move.kind.inputs]
                made[move.target] = apply(move.kind, *inputs)
            finish(tuple(made.values()))
        for target in ("p", *(state for state, _ in law.states)):
            if target in made:
                tracer.assign(cells[target], made[target])


def _state_source(
    optimizer: Optimizer, group: Group, law: Law, parameter: Tensor, name: str
) -> Callable[[], Array]:
    def source() -> Array:
        try:
            known: Array = optimizer.state[parameter][name]
        except KeyError:
            known = optimizer.started(parameter, law, optimizer.settings(group))[name]
        return known

    return source


class _Clock:
    """The numbers of a step for parameters that step together: the first one read counts it."""

    def __init__(
        self, optimizer: Optimizer, group: Group, law: Law, parameters: Sequence[Tensor]
    ) -> None:
        self._optimizer, self._group, self._law = optimizer, group, law
        self._parameters = parameters
        self._numbers: dict[str, float] = {}

    def together(self) -> bool:
        """Whether all have made as many steps, where that matters."""
        if not self._law.counts:
            return True
        found = {self._optimizer.state.get(p, {}).get("step", 0) for p in self._parameters}
        return len(found) == 1

    def reader(self, name: str) -> Callable[[], float]:
        """The source of one number."""
        first = name == self._law.number_names[0]

        def source() -> float:
            if first:
                self._advance()
            return self._numbers[name]

        return source

    def _advance(self) -> None:
        counting = self._parameters if self._law.counts else self._parameters[:1]
        counted = [self._optimizer.count(p, self._law) for p in counting]
        step, first = counted[0]
        settings = self._optimizer.settings(self._group)
        self._numbers = self._law.numbers({**settings, "step": step, "first": first})
