"""Which group, layer and instance norms of a program have a kernel of their own."""

from __future__ import annotations

from rot180.core.program import Instruction, Program
from rot180.jit.emission.layout import Planes
from rot180.jit.families.bias import BiasGrad
from rot180.jit.families.group_norm import (
    GroupNorm,
    GroupNormGrad,
    GroupNormParameterGrad,
    last_axes,
)
from rot180.jit.planning.fuse import Claims
from rot180.jit.planning.norm_calls import (
    Gradient,
    NormCall,
    call_of,
    claimed,
    norm_call,
    relu_behind,
    saved,
)
from rot180.jit.planning.task import Argument, Call, Places, Task, Temporary

__all__ = ["group_norm"]


def group_norm(claims: Claims, at: int, i: Instruction) -> bool:
    """Group, layer or instance norm with the ReLU behind it, and its gradient."""
    program = claims.program
    norm = norm_call(claims, i, "group_norm", "layer_norm", "instance_norm")
    if norm is None or not _is_served(program, norm):
        return False
    return claimed(
        claims,
        norm,
        relu_behind(claims, norm),
        lambda: _forward_task(program, norm),
        lambda gradient: _backward_task(program, norm, gradient),
    )


def _is_served(program: Program, norm: NormCall) -> bool:
    """Whether the kernels do it: by the image's own cells, over all its axes or over the last one.

    Axes between images and the last ones may have a halo, and are no channels then.
    """
    scope, shape = norm.scope, program.value(norm.x).shape
    if scope.name == "layer_norm":
        own = len(shape) - _axes(norm)
        return own == 1 or (own == 2 and len(shape) == 3)
    running = (scope.input("running_mean"), scope.input("running_var"))
    return scope.name == "group_norm" or running == (None, None)


def _axes(norm: NormCall) -> int:
    """How many last axes a layer norm goes over."""
    sizes = norm.scope.setting("normalized_shape")
    return 1 if isinstance(sizes, int) else len(sizes)


def _group(program: Program, norm: NormCall) -> int:
    """Channels of one group, as the kernels see channels."""
    shape = program.value(norm.x).shape
    if norm.scope.name == "group_norm":
        return shape[1] // int(norm.scope.setting("num_groups"))
    return shape[1] if norm.scope.name == "layer_norm" and len(shape) == _axes(norm) + 1 else 1


def _weights(norm: NormCall) -> str:
    """What a weight is for."""
    if not norm.parameters:
        return ""
    return "cell" if norm.scope.name == "layer_norm" else "channel"


def _seen(norm: NormCall, planes: Planes) -> Planes:
    """Planes as the kernels see them: what a layer norm does not go over are channels."""
    if norm.scope.name == "layer_norm" and _axes(norm) <= len(planes.sizes):
        return last_axes(planes, _axes(norm))
    return planes


def _moments(norm: NormCall, x: Planes, group: int, dtype: str) -> dict[str, Temporary]:
    """Mean and rstd of every image and group."""
    return saved(norm, x.blocks * x.block * (x.channels // group), dtype)


def _forward_task(program: Program, norm: NormCall) -> Task:
    x, dtype, group = norm.x, program.value(norm.x).dtype.name, _group(program, norm)

    def lower(where: Places) -> list[Call]:
        planes, goal = (_seen(norm, where.planes[n]) for n in (x, norm.result))
        kernel = GroupNorm(
            planes, goal, group, _weights(norm), norm.relu, float(norm.scope.setting("eps")), dtype
        )
        arrays: dict[str, Argument | None] = {
            "x": x, "z": norm.result, **_moments(norm, planes, group, dtype),
            **{n: norm.scope.input(n) for n in ("weight", "bias")},
        }  # fmt: skip
        return [call_of(kernel, arrays, ("z", "mean", "rstd"))]

    title = norm.scope.name.replace("_", " ") + (" + relu" if norm.relu else "")
    return Task(title, (x, *norm.parameters), (norm.result,), lower)


def _backward_task(program: Program, norm: NormCall, made: Gradient) -> Task:
    x, dtype, group = norm.x, program.value(norm.x).dtype.name, _group(program, norm)

    def lower(where: Places) -> list[Call]:
        planes, upstream, dx = (_seen(norm, where.planes[n]) for n in (x, made.g, made.dx))
        weights, channels = _weights(norm), Planes(planes.images, planes.channels, (), planes.block)
        settings = (planes, upstream, group, weights, made.relu)
        arrays: dict[str, Argument | None] = {
            "g": made.g, "x": x, "dx": made.dx, "dweight": made.dweight, "dbias": made.dbias,
            **_moments(norm, planes, group, dtype),
            **{n: norm.scope.input(n) for n in ("weight", "bias")},
            **{n: Temporary(n, channels.size, dtype) for n in ("sums", "dots")},
        }  # fmt: skip
        calls = [call_of(GroupNormGrad(*settings, dx, dtype), arrays, ("dx", "sums", "dots"))]
        wanted = {"sums": made.dbias, "dots": made.dweight}
        if weights == "channel":
            sums = BiasGrad(channels, dtype)
            calls += [
                call_of(sums, {"g": arrays[name], "db": gradient}, ("db",))
                for name, gradient in wanted.items()
                if gradient is not None
            ]
        elif any(gradient is not None for gradient in wanted.values()):
            size = group * (planes.stack // planes.channels)
            for name in ("dweight", "dbias"):
                if arrays[name] is None:
                    arrays[name] = Temporary(name, size, dtype)
            kernel = GroupNormParameterGrad(*settings, dtype)
            calls.append(call_of(kernel, arrays, ("dweight", "dbias")))
        return calls

    title = f"gradient of {norm.scope.name.replace('_', ' ')}"
    return Task(title, (made.g, x, *norm.parameters), made.made, lower)
