"""What every optimiser shares: parameter groups, lazily made state, the step and the state dict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from rot180.core import Tensor
from rot180.errors import ArgumentError, DTypeError, ShapeError
from rot180.optim.law import Law

__all__ = ["Array", "Group", "Optimizer", "Parameters", "State", "at_least", "below_one"]

Array: TypeAlias = npt.NDArray[Any]
Group: TypeAlias = dict[str, Any]
State: TypeAlias = dict[str, Any]
Parameters: TypeAlias = Iterable[Tensor] | Iterable[Mapping[str, Any]]


def at_least(name: str, value: float, least: float = 0.0) -> None:
    """Refuse a setting below `least` (or not a number)."""
    if not (value >= least and math.isfinite(value)):
        raise ArgumentError(f"{name} is out of range", expected=f">= {least:g}", got=f"{value!r}")


def below_one(name: str, value: float) -> None:
    """Refuse a decay rate outside 0 <= value < 1."""
    if not 0.0 <= value < 1.0:
        raise ArgumentError(f"{name} is out of range", expected="0 <= value < 1", got=f"{value!r}")


class Optimizer:
    """Parameters in groups, each with its own settings; a step changes them in place.

    A subclass says what its settings may be (`_check`) and by which law a parameter moves (`law`).
    Parameters without a gradient are skipped. Nothing is allocated per step: the state of a
    parameter is made at its first step, and scratch memory is kept and shared.

    Attributes:
        param_groups: one dict per group: `params` and the settings, which may be changed any time.
        state: parameter to its state (momentum, moments, ...), empty before its first step.
    """

    def __init__(self, params: Parameters, defaults: Group) -> None:
        self.defaults = defaults
        self.param_groups: list[Group] = []
        self.state: dict[Tensor, State] = {}
        self._scratch_memory: dict[tuple[int, np.dtype[Any]], Array] = {}
        self._scratch_views: dict[tuple[Any, ...], list[Array]] = {}
        if isinstance(params, Tensor | Mapping):
            raise ArgumentError(
                f"{type(self).__name__}: bad params",
                expected="an iterable of parameters or of groups",
                got=type(params).__name__,
                rule="put a single one into a list",
            )
        entries = list(params)
        if not entries:
            raise ArgumentError(
                f"{type(self).__name__}: no parameters",
                rule="pass model.parameters(), and only after the layers are made",
            )
        groups = entries if isinstance(entries[0], Mapping) else [{"params": entries}]
        for group in groups:
            self.add_param_group(group)

    def add_param_group(self, group: Any) -> None:
        """Take in more parameters.

        Args:
            group: a dict with `params` (a parameter or an iterable of them) and, for every setting
                that differs from the optimiser's own, its value.

        Raises:
            ArgumentError: an unknown or bad setting, something that is no leaf tensor, or a
                parameter that the optimiser already has.
        """
        name = type(self).__name__
        if not isinstance(group, Mapping) or "params" not in group:
            raise ArgumentError(f"{name}: a group is a dict with the key 'params'", got=repr(group))
        given = group["params"]
        params = [given] if isinstance(given, Tensor) else list(given)
        known = {id(other) for present in self.param_groups for other in present["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise ArgumentError(
                    f"{name}: a parameter must be a tensor", got=type(parameter).__name__
                )
            if not parameter.is_leaf:
                raise ArgumentError(
                    f"{name}: a parameter must be a leaf",
                    got=f"the result of an operation, shape {parameter.shape}",
                    rule="optimise what was made by hand, or detach() it",
                )
            if id(parameter) in known:
                raise ArgumentError(
                    f"{name}: a parameter of shape {parameter.shape} appears twice",
                    rule="one step moves each parameter once",
                )
            known.add(id(parameter))
        settings = {
            key: value.item() if isinstance(value, np.generic) else value
            for key, value in {**self.defaults, **group}.items()
            if key != "params"
        }
        unknown = sorted(settings.keys() - self.defaults.keys() - {"initial_lr"})
        if unknown:
            raise ArgumentError(
                f"{name}: unknown setting {unknown[0]!r}", expected=", ".join(self.defaults)
            )
        self._check(settings)
        self.param_groups.append({"params": params, **settings})

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient once."""
        with np.errstate(all="ignore"):
            for group in self.param_groups:
                law, settings = self.law(group), self.settings(group)
                # Parameters that have made as many steps share their numbers.
                known: dict[tuple[int, bool], list[float]] = {}
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        self._move(parameter, parameter.grad.data, law, settings, known)

    def law(self, group: Group) -> Law:
        """The law by which a group's parameters move, as its settings stand now."""
        raise NotImplementedError(f"{type(self).__name__} states no law")

    def settings(self, group: Group) -> dict[str, float]:
        """The settings under the names that laws use: numbers, and (b, b') as b1 and b2."""
        found: dict[str, float] = {}
        for key, value in group.items():
            if isinstance(value, tuple):
                found.update((f"{key[:-1]}{i}", float(v)) for i, v in enumerate(value, start=1))
            elif key != "params":
                found[key] = float(value)
        return found

    def count(self, parameter: Tensor, law: Law) -> tuple[int, bool]:
        """Count a step of a parameter.

        Returns:
            The settings `step` (from 1) and `first` (whether a state is still to be started).
        """
        state = self.state.get(parameter)
        if state is None:
            state = self.state[parameter] = {}
        first = not state.keys() >= law.state_set
        if law.counts:
            state["step"] = state.get("step", 0) + 1
        return state.get("step", 0), first

    def started(self, parameter: Tensor, law: Law, settings: Mapping[str, float]) -> State:
        """The state of a parameter, started where the law reads what is not there yet."""
        state = self.state.setdefault(parameter, {})
        for name, _ in law.states:
            if name not in state:
                like = parameter.data
                state[name] = np.full(like.shape, law.start(name, settings), like.dtype)
        return state

    def _move(
        self,
        parameter: Tensor,
        gradient: Array,
        law: Law,
        settings: Mapping[str, float],
        known: dict[tuple[int, bool], list[float]],
    ) -> None:
        """Carry out a law in place; the gradient is somebody else's and is only read."""
        counted = self.count(parameter, law)
        numbers = known.get(counted)
        if numbers is None:
            step, first = counted
            given = {**settings, "step": step, "first": first}
            numbers = known[counted] = list(law.numbers(given).values())
        value = parameter.writable()
        state = self.started(parameter, law, settings) if counted[1] else self.state[parameter]
        update, temporary = law.update
        states = [state[name] for name in law.state_names]
        update([*numbers, gradient, value, *states, *self._scratch(value, temporary)])

    def _check(self, group: Group) -> None:
        raise NotImplementedError

    def _scratch(self, like: Array, count: int) -> list[Array]:
        """Arrays of the shape and type of `like`, good until the next step of a parameter."""
        key = (like.shape, like.dtype, count)
        found = self._scratch_views.get(key)
        if found is None:
            found = self._scratch_views[key] = [self._memory(like, slot) for slot in range(count)]
        return found

    def _memory(self, like: Array, slot: int) -> Array:
        key = (slot, like.dtype)
        memory = self._scratch_memory.get(key)
        if memory is None or memory.size < like.size:
            memory = self._scratch_memory[key] = np.empty(like.size, like.dtype)
        return memory[: like.size].reshape(like.shape)

    def state_dict(self) -> dict[str, Any]:
        """Everything a step depends on besides parameters and gradients, under flat names.

        Returns:
            `"<parameter number>.<name>"` for the state (copied arrays, and step counts) and
            `"groups.<group number>.<setting>"` for the settings (plain JSON-able values; `params`
            is a list of parameter numbers).
        """
        flat: dict[str, Any] = {}
        number = 0
        for position, group in enumerate(self.param_groups):
            numbers = range(number, number + len(group["params"]))
            flat[f"groups.{position}.params"] = list(numbers)
            for key, value in group.items():
                if key != "params":
                    plain = list(value) if isinstance(value, tuple) else value
                    flat[f"groups.{position}.{key}"] = plain
            for number, parameter in zip(numbers, group["params"], strict=True):
                for key, value in self.state.get(parameter, {}).items():
                    kept = value.copy() if isinstance(value, np.ndarray) else value
                    flat[f"{number}.{key}"] = kept
            number = numbers.stop
        return flat

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue, bit for bit, where `state_dict` was taken.

        Args:
            state_dict: as returned by an optimiser of the same kind over as many parameters of
                the same shapes, in the same order and groups.

        Raises:
            ArgumentError: other groups, or an unknown or missing name.
            ShapeError: an array that does not belong to its parameter.
            DTypeError: an array of another floating point type than its parameter.
        """
        name = f"{type(self).__name__}.load_state_dict"
        parameters = [p for group in self.param_groups for p in group["params"]]
        settings: list[Group] = [{} for _ in self.param_groups]
        states: list[State] = [{} for _ in parameters]
        for flat, value in state_dict.items():
            first, _, rest = flat.partition(".")
            into: dict[str, Any]
            if first == "groups":
                first, _, rest = rest.partition(".")
                into = _pick(settings, first, flat, name)
                known = rest in {*self.defaults, "params", "initial_lr"}
                into[rest] = tuple(value) if isinstance(value, list) else value
            else:
                into = _pick(states, first, flat, name)
                known = bool(rest)
                into[rest] = value
            if not known:
                raise ArgumentError(f"{name}: unknown name {flat!r}")
        start = 0
        for position, group in enumerate(self.param_groups):
            stop = start + len(group["params"])
            loaded = settings[position].pop("params", None)
            if loaded != tuple(range(start, stop)):
                raise ArgumentError(
                    f"{name}: group {position} holds other parameters",
                    expected=f"{stop - start} parameters from number {start}",
                    got=repr(loaded),
                )
            missing = sorted(self.defaults.keys() - settings[position].keys())
            if missing:
                raise ArgumentError(f"{name}: group {position} lacks {missing[0]!r}")
            self._check(settings[position])
            start = stop
        for number, (parameter, state) in enumerate(zip(parameters, states, strict=True)):
            for key, value in state.items():
                if isinstance(value, Tensor | np.ndarray):
                    state[key] = _own_copy(value, parameter, f"{name}: {number}.{key}")
        # Everything fits: only now is anything changed.
        for group, loaded_settings in zip(self.param_groups, settings, strict=True):
            params = group["params"]
            group.clear()
            group.update(params=params, **loaded_settings)
        self.state = {p: state for p, state in zip(parameters, states, strict=True) if state}

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            words = ", ".join(f"{key}={value!r}" for key, value in group.items() if key != "params")
            lines.append(f"{len(group['params'])} parameters, {words}")
        return f"{type(self).__name__}({'; '.join(lines)})"


def _pick(entries: list[dict[str, Any]], number: str, flat: str, name: str) -> dict[str, Any]:
    if not number.isascii() or not number.isdigit() or int(number) >= len(entries):
        raise ArgumentError(
            f"{name}: {flat!r} belongs to nothing here", expected=f"a number below {len(entries)}"
        )
    return entries[int(number)]


def _own_copy(value: Tensor | Array, parameter: Tensor, where: str) -> Array:
    array = np.array(value)
    if array.shape != parameter.shape:
        raise ShapeError(where, expected=str(parameter.shape), got=str(array.shape))
    if array.dtype != parameter.dtype:
        raise DTypeError(where, expected=str(parameter.dtype), got=str(array.dtype))
    return array
