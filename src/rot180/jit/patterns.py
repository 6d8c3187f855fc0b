"""Patterns: what fuses with what, and which family serves it.

Each function takes a free instruction and returns whether it claimed it; `PATTERNS` lists them in
the order in which they are asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rot180.core.kinds import Form, Give, Map, Select, Windows
from rot180.core.program import Instruction
from rot180.jit.convolution import Geometry, geometry, halo, lower_conv
from rot180.jit.direct import Direct, Phase, Taps
from rot180.jit.direct_weight import DirectWeight
from rot180.jit.bias import BiasGrad
from rot180.jit.fuse import Claims, bias_of, is_channel_sum, is_pool, single_reader
from rot180.jit.generic import generic_calls
from rot180.jit.layout import Columns
from rot180.jit.losses import cross_entropy
from rot180.jit.matvec import MatVec, MatVecInputGrad, MatVecWeightGrad
from rot180.jit.mean_pool import GlobalMean, GlobalMeanGrad, MeanPool, MeanPoolGrad
from rot180.jit.moves import update
from rot180.jit.norms import batch_norm
from rot180.jit.pool import MaxPool, MaxPoolGrad
from rot180.jit.task import Call, Places, Task, Temporary
from rot180.window import Window

__all__ = ["PATTERNS", "PLAIN"]


def convolution(claims: Claims, at: int, i: Instruction) -> bool:
    """A convolution form read for any operand, with the bias and the ReLU that follow it."""
    if not isinstance(i.kind, Form):
        return False
    g = geometry(i.kind)
    if g is None:
        return False
    form, dtype = i.kind, claims.program.value(i.inputs[0]).dtype.name
    values = dict(zip((o.name for o in form.inputs), i.inputs, strict=True))
    values[form.output] = i.outputs[0]
    tail = _Tail([at], values[form.output])
    if form.output != "w":
        tail = _tail(claims, at, values[form.output], form.output == "x", sums=True)
        values[form.output] = tail.result
    else:
        tail = _bias_gradient(claims, at, values)
    needs = {values[name]: zeros for name, zeros in halo(g, form.output).items()}
    made = values[form.output]
    reads = [n for name, n in values.items() if name != form.output]

    def lower(where: Places) -> list[Call]:
        calls, task.why = lower_conv(
            g,
            form.output,
            values,
            dtype,
            where,
            bias=tail.bias,
            relu=tail.relu,
            mask=tail.mask,
            plus=tail.plus,
        )
        return calls

    title = f"conv {form.output} {_window(g)}{tail}"
    writes = (made,)
    if form.output == "w" and tail.bias is not None:
        writes, reads_more = (made, tail.bias), ()
    else:
        reads_more = tail.reads
    task = Task(title, (*reads, *reads_more), writes, lower, needs)
    claims.take(tail.places, task)
    return True


def _bias_gradient(claims: Claims, at: int, values: dict[str, int]) -> _Tail:
    """The gradient of a bias, which a weight gradient sums on its way over the same g."""
    program = claims.program
    for place in program.readers[values["z"]]:
        i = program.instructions[place]
        if claims.free(place) and is_channel_sum(i.kind):
            return _Tail([at, place], values["w"], bias=i.outputs[0])
    return _Tail([at], values["w"])


@dataclass
class _Tail:
    """What follows a linear operation and is done before its result is written.

    Attributes:
        places: the instructions.
        result: the value that is written.
        bias: a vector laid along the channels.
        relu: whether there is a ReLU.
        mask: the result of an earlier ReLU, whose gradient this is.
        plus: another value that is added: a residual, or the gradient of another path.
    """

    places: list[int]
    result: int
    bias: int | None = None
    relu: bool = False
    mask: int | None = None
    plus: int | None = None

    @property
    def reads(self) -> tuple[int, ...]:
        """The values that the tail reads."""
        return tuple(n for n in (self.bias, self.plus, self.mask) if n is not None)

    def __str__(self) -> str:
        words = [
            ("bias", self.bias is not None),
            ("relu", self.relu),
            ("mask", self.mask is not None),
        ]
        words.insert(1, ("sum", self.plus is not None))
        return "".join(f" + {word}" for word, there in words if there)


def _tail(claims: Claims, at: int, result: int, masks: bool, sums: bool = False) -> _Tail:
    """The bias and the ReLU (or the gradient of one) behind a linear operation."""
    tail = _Tail([at], result)
    biased = bias_of(claims, result)
    if biased is not None:
        more, tail.result, tail.bias = biased
        tail.places += more
    added = single_reader(claims, tail.result, "add") if sums else None
    if added is not None:
        others = [n for n in added[1].inputs if n != tail.result]
        shape = claims.program.value(tail.result).shape
        if len(others) == 1 and claims.program.value(others[0]).shape == shape:
            tail.places.append(added[0])
            tail.result, tail.plus = added[1].outputs[0], others[0]
    rectified = single_reader(claims, tail.result, "relu")
    masked = single_reader(claims, tail.result, "relu′") if masks else None
    if rectified is not None:
        tail.places.append(rectified[0])
        tail.result, tail.relu = rectified[1].outputs[0], True
    elif masked is not None:
        place, i = masked
        assert isinstance(i.kind, Map)
        g, x = (i.inputs[i.kind.inputs.index(name)] for name in ("g", "x"))
        if g == tail.result and x != g:
            tail.places.append(place)
            tail.result, tail.mask = i.outputs[0], x
    return tail


def _window(g: Geometry) -> str:
    kernel = "×".join(map(str, g.kernel))
    words = [f"{g.groups * g.channels}→{g.groups * g.filters} {kernel}"]
    words += [f"stride {g.stride}"] if set(g.stride) != {1} else []
    words += [f"dilation {g.dilation}"] if set(g.dilation) != {1} else []
    words += [f"groups {g.groups}"] if g.groups != 1 else []
    return " ".join(words)


def linear(claims: Claims, at: int, i: Instruction) -> bool:
    """z = x·wᵀ over (N, features), read for any operand, with bias and ReLU."""
    if not isinstance(i.kind, Form) or i.kind.name != "linear":
        return False
    form = i.kind
    shapes = {o.name: o.shape for o in form.operands}
    if len(shapes["x"]) != 2:
        return False
    dtype = claims.program.value(i.inputs[0]).dtype.name
    values = dict(zip((o.name for o in form.inputs), i.inputs, strict=True))
    values[form.output] = i.outputs[0]
    tail = _Tail([at], values[form.output])
    if form.output != "w":
        tail = _tail(claims, at, values[form.output], form.output == "x")
        values[form.output] = tail.result
    outputs, inputs = shapes["w"]
    names = [name for name in values if name != form.output]

    def lower(where: Places) -> list[Call]:
        given = where.planes[values["x" if form.output != "x" else "z"]]
        if given.block == 1:
            return _matrix_vector(form.output, values, given.images, outputs, inputs, dtype, tail)
        x, z = (
            Columns(where.planes[values[n]]) if values[n] in where.planes else None
            for n in ("x", "z")
        )
        if form.output == "w":
            kernel = DirectWeight(x, z, 1, (1,), (1,), (1,), (0,), False, dtype)  # type: ignore[arg-type]
            sums = Temporary("sums", kernel.sums(where.target), dtype)
            arrays = {"x": values["x"], "g": values["z"], "dw": values["w"], "sums": sums}
            return [Call(kernel, arrays, ("dw", "sums"))]
        source, goal = (x, z) if form.output == "z" else (z, x)
        steps = (inputs, 1, 0) if form.output == "z" else (1, inputs, 0)
        phase = Phase((Taps(1),), (0,), (1,), (given.blocks,))
        mask = None if tail.mask is None else Columns(where.planes[tail.mask])
        direct = Direct(
            source,
            goal,
            1,
            steps,
            (1,),
            (phase,),
            tail.bias is not None,
            tail.relu,
            mask,
            None,
            dtype,  # type: ignore[arg-type]
        )
        arrays = {
            "x": values["x" if form.output == "z" else "z"],
            "w": values["w"],
            "z": values[form.output],
        }
        arrays |= {} if tail.bias is None else {"bias": tail.bias}
        arrays |= {} if tail.mask is None else {"mask": tail.mask}
        return [Call(direct, arrays, ("z",))]

    reads = [values[name] for name in names]
    title = f"linear {form.output} {inputs}→{outputs}{tail}"
    claims.take(tail.places, Task(title, (*reads, *tail.reads), (values[form.output],), lower))
    return True


def _matrix_vector(
    output: str, values: dict[str, int], images: int, outputs: int, inputs: int, dtype: str,
    tail: _Tail,
) -> list[Call]:  # fmt: skip
    """A linear layer on few images: lanes are neighbouring features."""
    x, w, z = (values[name] for name in ("x", "w", "z"))
    if output == "w":
        gradient = MatVecWeightGrad(images, inputs, outputs, False, dtype)
        return [Call(gradient, {"g": z, "x": x, "dw": w}, ("dw",))]
    if output == "x":
        back = MatVecInputGrad(images, inputs, outputs, tail.mask is not None, dtype)
        arrays = {"g": z, "w": w, "dx": x} | ({} if tail.mask is None else {"x": tail.mask})
        return [Call(back, arrays, ("dx",))]
    product = MatVec(images, inputs, outputs, tail.bias is not None, tail.relu, dtype)
    arrays = {"x": x, "w": w, "z": z} | ({} if tail.bias is None else {"bias": tail.bias})
    return [Call(product, arrays, ("z",))]


def channel_sum(claims: Claims, at: int, i: Instruction) -> bool:
    """The gradient of a bias: the sum over everything but axis 1."""
    if not is_channel_sum(i.kind):
        return False
    dtype = claims.program.value(i.inputs[0]).dtype.name

    def lower(where: Places) -> list[Call]:
        kernel = BiasGrad(where.planes[i.inputs[0]], dtype)
        return [Call(kernel, {"g": i.inputs[0], "db": i.outputs[0]}, ("db",))]

    claims.take([at], Task("bias gradient", i.inputs, i.outputs, lower))
    return True


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
    assert isinstance(i.kind, Select) and isinstance(i.kind.choice, Windows)
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


def reshaped(claims: Claims, at: int, i: Instruction) -> bool:
    """A reshape that keeps the images apart and finds its cells in order: the same memory."""
    if not isinstance(i.kind, Form) or i.kind.name != "reshape":
        return False
    program = claims.program
    old, new = i.inputs[0], i.outputs[0]
    a, b = program.value(old).shape, program.value(new).shape

    def lower(where: Places) -> list[Call]:
        in_planes = old in where.planes, new in where.planes
        if in_planes == (False, False):
            return []
        if in_planes == (True, True) and a[0] == b[0]:
            if not any(any((*where.planes[n].before, *where.planes[n].after)) for n in (old, new)):
                return []
        del task.same[new]
        return generic_calls(i, where)

    task = Task("reshape", (old,), (new,), lower, same={new: old})
    claims.take([at], task)
    return True


def generic(claims: Claims, at: int, i: Instruction) -> bool:
    """Whatever is left: the generic loop nest of its kind."""
    claims.take(
        [at],
        Task(
            f"{i.kind.name} (generic)", i.inputs, i.outputs, lambda where: generic_calls(i, where)
        ),
    )
    return True


PATTERNS: tuple[Callable[[Claims, int, Instruction], bool], ...] = (
    update, cross_entropy, batch_norm, global_mean, max_pool, mean_pool, convolution, linear,
    channel_sum, reshaped, generic,
)  # fmt: skip
PLAIN = (update, reshaped, generic)
"""Those that ask for no planes."""
