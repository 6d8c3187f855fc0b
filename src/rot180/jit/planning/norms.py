"""Which batch norms of a program have a kernel of their own, with what stands around them."""

from __future__ import annotations

from rot180.core.program import Instruction, Program
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
from rot180.jit.planning.norm_calls import (
    Gradient,
    NormCall,
    call_of,
    claimed,
    norm_call,
    relu_behind,
    saved,
)
from rot180.jit.planning.schedule import worthwhile
from rot180.jit.planning.task import Argument, Call, Places, Task, Temporary

__all__ = ["batch_norm"]


def batch_norm(claims: Claims, at: int, i: Instruction) -> bool:
    """Batch norm in training with residual and ReLU, and its gradient: two passes each."""
    program = claims.program
    norm = norm_call(claims, i, "batch_norm")
    if norm is None:
        return False
    scope, settings = norm.scope, dict(norm.scope.settings)
    if settings.get("training") is not True or not isinstance(settings.get("momentum"), float):
        return False
    new = {n: target for target, n in program.writes}
    made = [n for p in norm.forward for n in program.instructions[p].outputs]
    running = {new[n]: n for n in made if n in new}
    wanted = {scope.input("running_mean"), scope.input("running_var")} - {None}
    if set(running) != wanted or len(running) == 1:
        return False
    return claimed(
        claims,
        norm,
        _residual_behind(claims, norm) or relu_behind(claims, norm),
        lambda: _forward_task(program, norm, running),
        lambda gradient: _backward_task(program, norm, gradient),
    )


def _forward_task(program: Program, norm: NormCall, running: dict[int, int]) -> Task:
    scope, x = norm.scope, norm.x
    dtype, channels = program.value(x).dtype.name, program.value(x).shape[1]
    affine = scope.input("weight") is not None

    def lower(where: Places) -> list[Call]:
        planes = where.planes[x]
        residual = None if norm.residual is None else where.planes[norm.residual]
        settings = (
            planes, where.planes[norm.result], residual, norm.relu, affine, bool(running),
            float(scope.setting("momentum")), float(scope.setting("eps")), dtype,
        )  # fmt: skip
        arrays: dict[str, Argument | None] = {
            "x": x, "z": norm.result, "residual": norm.residual, **saved(norm, channels, dtype),
            **{n: scope.input(n) for n in ("weight", "bias", "running_mean", "running_var")},
        }  # fmt: skip
        moved = ("running_mean", "running_var") if running else ()
        if not worthwhile(planes.blocks, where.parts):
            return [call_of(BatchNorm(*settings), arrays, ("z", "mean", "rstd", *moved))]
        arrays |= _of_planes(planes, dtype, "means", "squares")
        return [
            call_of(PlaneMoments(*settings), arrays, ("means", "squares")),
            call_of(FinishMoments(*settings), arrays, ("mean", "rstd", *moved)),
            call_of(NormPlanes(*settings), arrays, ("z",)),
        ]

    words = ("" if norm.residual is None else " + residual") + (" + relu" if norm.relu else "")
    reads = (x, *norm.parameters, *(() if norm.residual is None else (norm.residual,)))
    same = {new: target for target, new in running.items()}
    return Task(f"batch norm{words}", reads, (norm.result, *running.values()), lower, same=same)


def _of_planes(planes: Planes, dtype: str, *names: str) -> dict[str, Temporary]:
    """Numbers of every plane of every image."""
    size = planes.blocks * planes.channels * planes.block
    return {name: Temporary(name, size, dtype) for name in names}


def _residual_behind(claims: Claims, norm: NormCall) -> list[int]:
    """Take a residual sum with a ReLU behind the norm along; their places."""
    at, add = single_reader(claims, norm.result, "add") or (-1, None)
    if add is None:
        return []
    rectified = single_reader(claims, add.outputs[0], "relu")
    others = [n for n in add.inputs if n != norm.result]
    shape = claims.program.value(norm.result).shape
    if rectified is None or len(others) != 1 or claims.program.value(others[0]).shape != shape:
        return []
    norm.residual, norm.result, norm.relu = others[0], rectified[1].outputs[0], True
    return [at, rectified[0]]


def _backward_task(program: Program, norm: NormCall, made: Gradient) -> Task:
    scope, x = norm.scope, norm.x
    dtype, channels = program.value(x).dtype.name, program.value(x).shape[1]
    affine = scope.input("weight") is not None

    def lower(where: Places) -> list[Call]:
        z = where.planes[norm.result] if made.relu and norm.residual is not None else None
        passed = None if made.dresidual is None else where.planes[made.dresidual]
        planes = where.planes[x]
        settings = (
            where.planes[made.g],
            planes,
            where.planes[made.dx],
            z,
            passed,
            made.relu,
            affine,
            dtype,
        )
        sums: dict[str, int | Temporary] = {
            name: Temporary(name, channels, dtype) if number is None else number
            for name, number in (("dweight", made.dweight), ("dbias", made.dbias))
        }
        arrays: dict[str, Argument | None] = {
            "g": made.g, "x": x, "z": norm.result, "dx": made.dx, "dresidual": made.dresidual,
            **sums, **saved(norm, channels, dtype),
            **{n: scope.input(n) for n in ("weight", "bias")},
        }  # fmt: skip
        if not worthwhile(planes.blocks, where.parts):
            written = ("dx", "dresidual", "dweight", "dbias")
            return [call_of(BatchNormGrad(*settings), arrays, written)]
        arrays |= _of_planes(planes, dtype, "sums", "dots")
        arrays |= {n: Temporary(n, channels, dtype) for n in ("level", "slope")}
        return [
            call_of(PlaneSums(*settings), arrays, ("dresidual", "sums", "dots")),
            call_of(FinishSums(*settings), arrays, ("dweight", "dbias", "level", "slope")),
            call_of(GradPlanes(*settings), arrays, ("dx",)),
        ]

    reads = (made.g, x, norm.result, *norm.parameters)
    return Task("gradient of batch norm", reads, made.made, lower)
