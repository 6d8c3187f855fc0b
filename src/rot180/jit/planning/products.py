"""Products: convolutions and linear layers, with what follows them and is done on the way."""

from __future__ import annotations

from dataclasses import dataclass

from rot180.core.kinds import Form, Map
from rot180.core.program import Instruction
from rot180.jit.emission.layout import Columns
from rot180.jit.families.bias import BiasGrad
from rot180.jit.families.direct import Direct
from rot180.jit.families.matvec import MatVec, MatVecInputGrad, MatVecWeightGrad
from rot180.jit.families.phases import Phase, Taps
from rot180.jit.planning.convolution import Geometry, geometry, halo, lower_conv
from rot180.jit.planning.fuse import Claims, bias_of, is_channel_sum, single_reader
from rot180.jit.planning.task import Argument, Call, Places, Task
from rot180.jit.planning.weight_gradient import linear_weight, lower_weight

__all__ = ["channel_sum", "convolution", "linear"]


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
        if form.output == "w":
            calls, task.why = lower_weight(g, values, dtype, where, tail.bias)
            return calls
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
    if form.output == "w":  # the "bias" of a weight gradient is one more result
        task = Task(title, tuple(reads), (made, *tail.reads), lower, needs)
    else:
        task = Task(title, (*reads, *tail.reads), (made,), lower, needs)
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
    """Z = x·wᵀ over (N, features), read for any operand, with bias and ReLU."""
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
        x, z = (Columns(where.planes[values[n]]) for n in ("x", "z"))
        arrays: dict[str, Argument]
        if form.output == "w":
            calls, task.why = linear_weight(x, z, values, dtype, where)
            return calls
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
            dtype,
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
    task = Task(title, (*reads, *tail.reads), (values[form.output],), lower)
    claims.take(tail.places, task)
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
