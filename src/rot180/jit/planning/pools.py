"""Pools: which of them have a kernel of their own, with the ReLU before a max pool."""

from __future__ import annotations

import math

from rot180.core.kinds import Form, Give, Select, Windows
from rot180.core.program import Instruction
from rot180.jit.families.mean_pool import GlobalMean, GlobalMeanGrad, MeanPool, MeanPoolGrad
from rot180.jit.families.pool import MaxPool, MaxPoolGrad
from rot180.jit.planning.fuse import Claims, is_pool, single_reader
from rot180.jit.planning.task import Call, Places, Task
from rot180.window import Window

__all__ = ["global_mean", "max_pool", "mean_pool"]


def mean_pool(claims: Claims, at: int, i: Instruction) -> bool:
    """A mean pool, and its gradient; over the whole plane, one number for each channel."""
    if not isinstance(i.kind, Form) or i.kind.name != "avg_pool" or i.kind.output == "d":
        return False
    form, program = i.kind, claims.program
    values = dict(zip((o.name for o in form.inputs), i.inputs, strict=True))
    values[form.output] = i.outputs[0]
    shapes = {o.name: o.shape for o in form.operands}
    axes = next(o for o in form.operands if o.name == "x").axes[2:]
    kernel, stride, padding = [], [], []
    for number, (axis, size, count) in enumerate(
        zip(axes, shapes["x"][2:], shapes["z"][2:], strict=True)
    ):
        taps, step = form.extents[f"r{number}"], dict(axis.terms).get(f"p{number}", 1)
        kernel.append(taps)
        stride.append(step)
        padding.append((-axis.constant, (count - 1) * step + taps + axis.constant - size))
    window = Window.of(tuple(kernel), tuple(stride), tuple(padding))
    dtype = program.value(i.inputs[0]).dtype.name
    forward = form.output == "z"

    def lower(where: Places) -> list[Call]:
        x, z = (where.planes[values[name]] for name in ("x", "z"))
        if forward:
            arrays = {"x": values["x"], "d": values["d"], "z": values["z"]}
            return [Call(MeanPool(window, x, z, dtype), arrays, ("z",))]
        arrays = {"g": values["z"], "d": values["d"], "dx": values["x"]}
        return [Call(MeanPoolGrad(window, x, z, dtype), arrays, ("dx",))]

    title = f"mean pool {'×'.join(map(str, kernel))}"
    title = title if forward else f"gradient of {title}"
    claims.take([at], Task(title, i.inputs, i.outputs, lower))
    return True


def max_pool(claims: Claims, at: int, i: Instruction) -> bool:
    """A max pool with the ReLU before it, and the gradient through both.

    pool(relu(v)) = relu(pool(v)), and the winner of a window without positive cells gets no
    gradient; so the result of the ReLU, and its gradient, need not exist.
    """
    if not is_pool(i.kind):
        return False
    assert isinstance(i.kind, Select)
    assert isinstance(i.kind.choice, Windows)
    program, window = claims.program, i.kind.choice.window
    dtype = program.value(i.inputs[0]).dtype.name
    values, record = i.outputs
    source, places, relu = i.inputs[0], [at], False
    back = claims.only_reader(record)
    gives = None if back is None else program.instructions[back]
    if gives is not None and not isinstance(gives.kind, Give):
        return False
    rectifier = claims.maker(source)
    gradient = None if gives is None else gives.outputs[0]
    if rectifier is not None and rectifier[1].kind.name == "relu" and claims.free(rectifier[0]):
        masks = None if gradient is None else claims.only_reader(gradient)
        readers = {at, *(() if masks is None else (masks,))}
        masked = None if masks is None else program.instructions[masks]
        if (
            gradient is None or (masked is not None and masked.kind.name == "relu′")
        ) and claims.hidden(source, readers):
            relu = True
            places.append(rectifier[0])
            source = rectifier[1].inputs[0]

    def lower(where: Places) -> list[Call]:
        kernel = MaxPool(
            window, where.planes[source], where.planes[values], relu, gives is not None, dtype
        )
        arrays = {"x": source, "z": values, "winner": record}
        return [Call(kernel, arrays, ("z", "winner"))]

    title = f"max pool {'×'.join(map(str, window.kernel))}" + (" of relu" if relu else "")
    claims.take(places, Task(title, (source,), (values, record), lower, like={record: values}))
    if gives is None or back is None:
        return True
    taken, made = [back], gives.outputs[0]
    if relu:
        masks = claims.only_reader(made)
        assert masks is not None
        taken.append(masks)
        made = program.instructions[masks].outputs[0]
    upstream = gives.inputs[0]

    def lower_gradient(where: Places) -> list[Call]:
        kernel = MaxPoolGrad(
            window, where.planes[made], where.planes[record], where.planes[upstream], dtype
        )
        return [Call(kernel, {"g": upstream, "winner": record, "dx": made}, ("dx",))]

    title = "gradient of " + title
    claims.take(taken, Task(title, (upstream, record), (made,), lower_gradient))
    return True


def global_mean(claims: Claims, at: int, i: Instruction) -> bool:
    """The mean over all spatial axes, and its gradient."""
    if not isinstance(i.kind, Form) or i.kind.name != "sum" or len(i.kind.inputs) != 1:
        return False
    program, (given,), made = claims.program, i.kind.inputs, i.kind.result
    small, large = (made, given) if len(made.shape) == 2 else (given, made)
    if len(small.shape) != 2 or len(large.shape) < 3 or small.axes != large.axes[:2]:
        return False
    share = 1.0 / math.prod(large.shape[2:])
    dtype = program.value(i.inputs[0]).dtype.name
    if small is made:
        scaled = single_reader(claims, i.outputs[0], "mul")
        if scaled is None or not _scales(claims, scaled[1], i.outputs[0], share):
            return False
        x, z = i.inputs[0], scaled[1].outputs[0]

        def lower(where: Places) -> list[Call]:
            return [Call(GlobalMean(where.planes[x], dtype), {"x": x, "z": z}, ("z",))]

        claims.take([at, scaled[0]], Task("global mean", (x,), (z,), lower))
        return True
    before = claims.maker(i.inputs[0])
    if before is None or not claims.free(before[0]) or claims.only_reader(i.inputs[0]) != at:
        return False
    if before[1].kind.name != "mul′":
        return False
    g = next((n for n in before[1].inputs if program.value(n).shape == small.shape), None)
    if g is None or not _scales(claims, before[1], g, share):
        return False
    dx = i.outputs[0]

    def lower_gradient(where: Places) -> list[Call]:
        return [Call(GlobalMeanGrad(where.planes[dx], dtype), {"g": g, "dx": dx}, ("dx",))]

    claims.take([before[0], at], Task("gradient of global mean", (g,), (dx,), lower_gradient))
    return True


def _scales(claims: Claims, i: Instruction, value: int, factor: float) -> bool:
    """Whether a product is that of a value and this constant."""
    others = [n for n in i.inputs if n != value]
    if len(others) != 1 or claims.program.value(others[0]).role != "constant":
        return False
    constant = claims.program.constants[others[0]]
    return constant.size == 1 and bool(constant == constant.dtype.type(factor))
