"""Which batch norms of a program have a kernel of their own, with what stands around them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rot180.core.kinds import Map
from rot180.core.program import Instruction, Scope
from rot180.jit.emission.layout import Planes
from rot180.jit.families.norm import BatchNorm, BatchNormGrad
from rot180.jit.families.norm_blocks import (
    FinishMoments,
    FinishSums,
    GradPlanes,
    NormPlanes,
    PlaneMoments,
    PlaneSums,
)
from rot180.jit.planning.fuse import Claims, single_reader
from rot180.jit.planning.schedule import worthwhile
from rot180.jit.planning.task import Call, Places, Task, Temporary

__all__ = ["batch_norm"]


@dataclass
class _Norm:
    """One batch norm in training.

    Attributes:
        scope, number: the call, and its place in the program.
        forward, backward: places of its instructions.
        result: the value behind the residual and the ReLU.
        residual: what is added to it.
        relu: whether a ReLU follows.
    """

    scope: Scope
    number: int
    forward: list[int]
    backward: list[int]
    result: int
    residual: int | None = None
    relu: bool = False


def batch_norm(claims: Claims, at: int, i: Instruction) -> bool:
    """Batch norm in training with residual and ReLU, and its gradient: two passes each."""
    program = claims.program
    number = next(
        (s for s in program.enclosing(i.scope) if program.scopes[s].name == "batch_norm"), None
    )
    if number is None or i.phase != "forward":
        return False
    scope = program.scopes[number]
    settings = dict(scope.settings)
    x, z = scope.input("input"), scope.outputs[0]
    if settings.get("training") is not True or not isinstance(settings.get("momentum"), float):
        return False
    if x is None or not program.knows(x) or len(program.value(x).shape) < 2:
        return False
    if (scope.input("weight") is None) != (scope.input("bias") is None):
        return False
    within = program.within(number)
    if not all(map(claims.free, within)):
        return False
    forward = [p for p in within if program.instructions[p].phase == "forward"]
    backward = [p for p in within if program.instructions[p].phase == "backward"]
    norm = _Norm(scope, number, forward, backward, z)
    new = {n: target for target, n in program.writes}
    made = [n for p in forward for n in program.instructions[p].outputs]
    inside = set(within)
    if any(n != z and n not in new and not claims.hidden(n, inside) for n in made):
        return False
    running = {new[n]: n for n in made if n in new}
    wanted = {scope.input("running_mean"), scope.input("running_var")} - {None}
    if set(running) != wanted or len(running) == 1:
        return False
    gradient = _gradient(claims, norm) if backward else None
    if backward and gradient is None:
        return False
    _forward_task(claims, norm, x, running)
    if gradient is not None:
        _backward_task(claims, norm, x, *gradient)
    return True


def _forward_task(claims: Claims, norm: _Norm, x: int, running: dict[int, int]) -> None:
    program, scope = claims.program, norm.scope
    dtype, channels = program.value(x).dtype.name, program.value(x).shape[1]
    places = [*norm.forward, *_followers(claims, norm)]
    affine = scope.input("weight") is not None

    def lower(where: Places) -> list[Call]:
        planes = where.planes[x]
        residual = None if norm.residual is None else where.planes[norm.residual]
        settings = (
            planes, where.planes[norm.result], residual, norm.relu, affine, bool(running),
            float(scope.setting("momentum")), float(scope.setting("eps")), dtype,
        )  # fmt: skip
        arrays: dict[str, int | Temporary | None] = {
            "x": x, "z": norm.result, "residual": norm.residual, **_saved(norm, channels, dtype),
            **{n: scope.input(n) for n in ("weight", "bias", "running_mean", "running_var")},
        }  # fmt: skip
        moved = ("running_mean", "running_var") if running else ()
        if not worthwhile(planes.blocks, where.parts):
            return [_call(BatchNorm(*settings), arrays, ("z", "mean", "rstd", *moved))]
        arrays |= _of_planes(planes, dtype, "means", "squares")
        return [
            _call(PlaneMoments(*settings), arrays, ("means", "squares")),
            _call(FinishMoments(*settings), arrays, ("mean", "rstd", *moved)),
            _call(NormPlanes(*settings), arrays, ("z",)),
        ]

    words = ("" if norm.residual is None else " + residual") + (" + relu" if norm.relu else "")
    reads = [
        x,
        *(n for n in (scope.input("weight"), scope.input("bias"), norm.residual) if n is not None),
    ]
    task = Task(
        f"batch norm{words}",
        tuple(reads),
        (norm.result, *running.values()),
        lower,
        same={new: target for target, new in running.items()},
    )
    claims.take(places, task)


def _call(kernel: Any, arrays: dict[str, int | Temporary | None], written: tuple[str, ...]) -> Call:
    """A call with those of the arrays that the kernel has."""
    given = {n: a for n in kernel.arrays if (a := arrays[n]) is not None}
    return Call(kernel, given, written)


def _saved(norm: _Norm, channels: int, dtype: str) -> dict[str, Temporary]:
    """What the forward pass leaves for the backward pass."""
    return {n: Temporary(n, channels, dtype, owner=norm.number) for n in ("mean", "rstd")}


def _of_planes(planes: Planes, dtype: str, *names: str) -> dict[str, Temporary]:
    """Numbers of every plane of every image."""
    size = planes.blocks * planes.channels * planes.block
    return {name: Temporary(name, size, dtype) for name in names}


def _followers(claims: Claims, norm: _Norm) -> list[int]:
    """Claim a residual sum and a ReLU behind the norm; their places."""
    places = []
    added = single_reader(claims, norm.result, "add")
    if added is not None:
        at, add = added
        rectified = single_reader(claims, add.outputs[0], "relu")
        others = [n for n in add.inputs if n != norm.result]
        shape = claims.program.value(norm.result).shape
        if (
            rectified is not None
            and len(others) == 1
            and claims.program.value(others[0]).shape == shape
        ):
            norm.residual, norm.result, norm.relu = others[0], rectified[1].outputs[0], True
            return [at, rectified[0]]
    rectified = single_reader(claims, norm.result, "relu")
    if rectified is not None:
        places.append(rectified[0])
        norm.result, norm.relu = rectified[1].outputs[0], True
    return places


def _gradient(claims: Claims, norm: _Norm) -> tuple[int, int, int | None, int | None] | None:
    """(g, dx, dweight, dbias): what the backward instructions read and what others read of them."""
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
        if program.value(n).shape == program.value(scope.inputs[0][1]).shape:
            name = "input"
        else:
            name = next(
                (word for word in ("weight", "bias") if _belongs(claims, n, scope.input(word))), ""
            )
        if not name or name in found:
            return None
        found[name] = n
    if "input" not in found:
        return None
    return outside[0], found["input"], found.get("weight"), found.get("bias")


def _belongs(claims: Claims, gradient: int, parameter: int | None) -> bool:
    """Whether a backward value is the gradient that arrives at a parameter."""
    made = claims.maker(gradient)
    cause = None if made is None else made[1].cause
    forward = None if cause is None else claims.maker(cause)
    return forward is not None and parameter in forward[1].inputs


def _backward_task(
    claims: Claims, norm: _Norm, x: int, g: int, dx: int, dweight: int | None, dbias: int | None
) -> None:
    program, scope = claims.program, norm.scope
    dtype, channels = program.value(x).dtype.name, program.value(x).shape[1]
    places, upstream, dresidual, relu = list(norm.backward), g, None, False
    masked = claims.maker(g)
    if (
        norm.relu
        and masked is not None
        and isinstance(masked[1].kind, Map)
        and masked[1].kind.name == "relu′"
    ):
        at, i = masked
        names = masked[1].kind.inputs
        wanted = {name: i.inputs[names.index(name)] for name in ("g", "x")}
        alone = claims.hidden(g, set(norm.backward))
        if claims.free(at) and wanted["x"] == norm.result and (alone or norm.residual is not None):
            places.append(at)
            upstream, relu = wanted["g"], True
            dresidual = None if alone else g
    affine = scope.input("weight") is not None

    def lower(where: Places) -> list[Call]:
        z = where.planes[norm.result] if relu and norm.residual is not None else None
        passed = None if dresidual is None else where.planes[dresidual]
        planes = where.planes[x]
        settings = (
            where.planes[upstream],
            planes,
            where.planes[dx],
            z,
            passed,
            relu,
            affine,
            dtype,
        )
        sums: dict[str, int | Temporary] = {
            name: Temporary(name, channels, dtype) if number is None else number
            for name, number in (("dweight", dweight), ("dbias", dbias))
        }
        arrays: dict[str, int | Temporary | None] = {
            "g": upstream, "x": x, "z": norm.result, "dx": dx, "dresidual": dresidual, **sums,
            **_saved(norm, channels, dtype), "weight": scope.input("weight"),
            "bias": scope.input("bias"),
        }  # fmt: skip
        if not worthwhile(planes.blocks, where.parts):
            written = ("dx", "dresidual", "dweight", "dbias")
            return [_call(BatchNormGrad(*settings), arrays, written)]
        arrays |= _of_planes(planes, dtype, "sums", "dots")
        arrays |= {n: Temporary(n, channels, dtype) for n in ("level", "slope")}
        return [
            _call(PlaneSums(*settings), arrays, ("dresidual", "sums", "dots")),
            _call(FinishSums(*settings), arrays, ("dweight", "dbias", "level", "slope")),
            _call(GradPlanes(*settings), arrays, ("dx",)),
        ]

    reads = [
        upstream,
        x,
        norm.result,
        *(n for n in (scope.input("weight"), scope.input("bias")) if n is not None),
    ]
    writes = [n for n in (dx, dresidual, dweight, dbias) if n is not None]
    claims.take(places, Task("gradient of batch norm", tuple(reads), tuple(writes), lower))
