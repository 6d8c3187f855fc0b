"""Calls of norms: what kernels for batch, group and layer norm ask of a program alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rot180.core.kinds import Map
from rot180.core.program import Instruction, Scope
from rot180.jit.planning.fuse import Claims, single_reader
from rot180.jit.planning.task import Argument, Call, Task, Temporary

__all__ = ["Gradient", "NormCall", "call_of", "claimed", "norm_call", "relu_behind", "saved"]


@dataclass
class NormCall:
    """One call of a norm.

    Attributes:
        scope, number: the call, and its place in the program.
        forward, backward: places of its instructions.
        x: what is normalised.
        result: the value behind the residual and the ReLU.
        residual: what is added to it.
        relu: whether a ReLU follows.
    """

    scope: Scope
    number: int
    forward: list[int]
    backward: list[int]
    x: int
    result: int
    residual: int | None = None
    relu: bool = False

    @property
    def parameters(self) -> tuple[int, ...]:
        """Weight and bias, if there are any."""
        found = (self.scope.input("weight"), self.scope.input("bias"))
        return tuple(n for n in found if n is not None)


@dataclass(frozen=True)
class Gradient:
    """What the backward instructions of a norm read, and what others read of them.

    Attributes:
        places: the instructions, that of a ReLU behind the norm included.
        g: the upstream gradient, behind that ReLU if there is one.
        dx, dweight, dbias: the gradients.
        relu: whether the gradient of the ReLU is made on the way.
        dresidual: what goes on to the residual: the gradient in front of the ReLU.
    """

    places: list[int]
    g: int
    dx: int
    dweight: int | None
    dbias: int | None
    relu: bool
    dresidual: int | None

    @property
    def made(self) -> tuple[int, ...]:
        """All gradients that somebody reads."""
        found = (self.dx, self.dresidual, self.dweight, self.dbias)
        return tuple(n for n in found if n is not None)


def norm_call(claims: Claims, i: Instruction, *names: str) -> NormCall | None:
    """The call of one of these operations that an instruction is part of.

    None where others see what is inside, or one of weight and bias is there without the other.
    """
    program = claims.program
    around = program.enclosing(i.scope)
    number = next((s for s in around if program.scopes[s].name in names), None)
    if number is None or i.phase != "forward":
        return None
    scope = program.scopes[number]
    x, z = scope.input("input"), scope.outputs[0]
    if x is None or not program.knows(x) or len(program.value(x).shape) < 2:
        return None
    if (scope.input("weight") is None) != (scope.input("bias") is None):
        return None
    within = program.within(number)
    if not all(map(claims.free, within)):
        return None
    forward = [p for p in within if program.instructions[p].phase == "forward"]
    backward = [p for p in within if program.instructions[p].phase == "backward"]
    new = {n for _, n in program.writes}
    made = [n for p in forward for n in program.instructions[p].outputs]
    if any(n != z and n not in new and not claims.hidden(n, set(within)) for n in made):
        return None
    return NormCall(scope, number, forward, backward, x, z)


def claimed(
    claims: Claims, norm: NormCall, behind: list[int], forward: Callable[[], Task],
    backward: Callable[[Gradient], Task],
) -> bool:  # fmt: skip
    """Claim a norm with its gradient, if kernels make that.

    Args:
        claims: of the program.
        norm: the norm, which knows what stands behind it.
        behind: the places of that.
        forward: makes its task.
        backward: makes that of its gradient.
    """
    gradient = _gradient_of(claims, norm) if norm.backward else None
    if norm.backward and gradient is None:
        return False
    claims.take([*norm.forward, *behind], forward())
    if gradient is not None:
        claims.take(gradient.places, backward(gradient))
    return True


def relu_behind(claims: Claims, norm: NormCall) -> list[int]:
    """Take a ReLU behind the norm along; its place."""
    rectified = single_reader(claims, norm.result, "relu")
    if rectified is None:
        return []
    norm.result, norm.relu = rectified[1].outputs[0], True
    return [rectified[0]]


def _gradient_of(claims: Claims, norm: NormCall) -> Gradient | None:
    """The gradient of a norm that knows what stands behind it, None if kernels do not make it."""
    program, scope = claims.program, norm.scope
    inside = set(norm.forward) | set(norm.backward)
    known = {n for p in norm.forward for n in program.instructions[p].outputs}
    known |= {n for _, n in scope.inputs}
    own = {n for p in norm.backward for n in program.instructions[p].outputs}
    read = {n for p in norm.backward for n in program.instructions[p].inputs}
    outside = [n for n in read - known - own if program.value(n).role != "constant"]
    if len(outside) != 1:
        return None
    found: dict[str, int] = {}
    for n in sorted(own):
        if claims.hidden(n, inside):
            continue
        if program.value(n).shape == program.value(norm.x).shape:
            name = "input"
        else:
            words = (word for word in ("weight", "bias") if _belongs(claims, n, scope.input(word)))
            name = next(words, "")
        if not name or name in found:
            return None
        found[name] = n
    if "input" not in found:
        return None
    g, places, relu, dresidual = outside[0], list(norm.backward), False, None
    at, masked = claims.maker(g) or (-1, None)
    if norm.relu and masked is not None and isinstance(masked.kind, Map):
        alone = claims.hidden(g, set(norm.backward))
        wanted = dict(zip(masked.kind.inputs, masked.inputs, strict=True))
        if (
            masked.kind.name == "relu′"
            and claims.free(at)
            and wanted["x"] == norm.result
            and (alone or norm.residual is not None)
        ):
            places.append(at)
            dresidual = None if alone else g
            g, relu = wanted["g"], True
    weights = found.get("weight"), found.get("bias")
    return Gradient(places, g, found["input"], *weights, relu, dresidual)


def _belongs(claims: Claims, gradient: int, parameter: int | None) -> bool:
    """Whether a backward value is the gradient that arrives at a parameter."""
    made = claims.maker(gradient)
    cause = None if made is None else made[1].cause
    forward = None if cause is None else claims.maker(cause)
    return forward is not None and parameter in forward[1].inputs


def call_of(kernel: Any, arrays: Mapping[str, Argument | None], written: tuple[str, ...]) -> Call:
    """A call with those of the arrays that the kernel has."""
    given = {n: a for n in kernel.arrays if (a := arrays[n]) is not None}
    return Call(kernel, given, tuple(n for n in written if n in given))


def saved(norm: NormCall, size: int, dtype: str) -> dict[str, Temporary]:
    """What the forward pass leaves for the backward pass."""
    return {n: Temporary(n, size, dtype, owner=norm.number) for n in ("mean", "rstd")}
