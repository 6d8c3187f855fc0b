"""Matrix products: forms with two or three factors and a summed index."""

from __future__ import annotations

import functools

from rot180.core import ArrayLike, Form, Tensor, apply, declare, define_method
from rot180.errors import ShapeError
from rot180.ops.operands import floating, operands
from rot180.ops.registry import operation
from rot180.ops.shape import reshape

__all__ = ["bilinear", "linear", "matmul"]

Shape = tuple[int, ...]


@functools.lru_cache(maxsize=4096)
def _matmul_form(a: Shape, b: Shape) -> Form:
    """z[.., i, j] = Σ_k a[.., i, k] · b[.., k, j]; batch axes of extent 1 repeat."""
    axes = max(len(a), len(b)) - 2
    loops: dict[str, int] = {}
    words: dict[str, str] = {}
    for name, shape in (("a", a), ("b", b)):
        batch = []
        for axis, size in enumerate(shape[:-2], start=axes - (len(shape) - 2)):
            loop = f"b{axis}"
            if size != 1 and loops.setdefault(loop, size) != size:
                raise ShapeError("matmul: batch axes do not broadcast", got=f"{a} and {b}")
            batch.append("0" if size == 1 else loop)
        words[name] = " ".join([*batch, *("i k" if name == "a" else "k j").split()])
    ordered = {f"b{axis}": loops.get(f"b{axis}", 1) for axis in range(axes)}
    ordered |= {"i": a[-2], "j": b[-1], "k": a[-1]}
    words["z"] = " ".join([*(f"b{axis}" for axis in range(axes)), "i", "j"])
    z = (*(ordered[f"b{axis}"] for axis in range(axes)), a[-2], b[-1])
    return declare("matmul", **words).bind(0, "z", {"a": a, "b": b, "z": z}, ordered)


@define_method("matmul")
@operation
def matmul(input: ArrayLike, other: ArrayLike) -> Tensor:
    """Law: z[.., i, j] = Σ_k x[.., i, k] · y[.., k, j], batch axes broadcast, vectors as in NumPy.

    Raises:
        ShapeError: inner sizes differ, batch axes do not broadcast, or an operand is a number.
    """
    x, y = operands(input, other)
    floating(x, "matmul")
    if x.ndim == 0 or y.ndim == 0:
        raise ShapeError("matmul: a number is no matrix; use *", got=f"{x.shape} and {y.shape}")
    a = reshape(x, (1, *x.shape)) if x.ndim == 1 else x
    b = reshape(y, (*y.shape, 1)) if y.ndim == 1 else y
    if a.shape[-1] != b.shape[-2]:
        raise ShapeError(
            "matmul: inner sizes differ",
            arithmetic=f"{a.shape[-1]} columns of {x.shape}, {b.shape[-2]} rows of {y.shape}",
            rule="columns of the first = rows of the second",
        )
    z = apply(_matmul_form(a.shape, b.shape), a, b)
    if x.ndim == 1:
        z = reshape(z, (*z.shape[:-2], z.shape[-1]))
    return reshape(z, z.shape[:-1]) if y.ndim == 1 else z


@functools.lru_cache(maxsize=4096)
def _linear_form(x: Shape, w: Shape) -> Form:
    rows = [f"n{axis}" for axis in range(len(x) - 1)]
    loops = dict(zip(rows, x, strict=False)) | {"o": w[0], "i": w[1]}
    form = declare("linear", x=" ".join([*rows, "i"]), w="o i", z=" ".join([*rows, "o"]))
    return form.bind(0, "z", {"x": x, "w": w, "z": (*x[:-1], w[0])}, loops)


@operation
def linear(input: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None) -> Tensor:
    """Law: z[.., o] = b[o] + Σ_i w[o, i] · x[.., i].

    Args:
        input: (.., in).
        weight: (out, in).
        bias: (out,).

    Raises:
        ShapeError: sizes differ; the message says which.
    """
    x, w = floating(input, "linear"), floating(weight, "linear")
    if w.ndim != 2 or x.ndim == 0 or x.shape[-1] != w.shape[1]:
        raise ShapeError(
            "linear: sizes of input and weight differ",
            arithmetic=f"input {x.shape} has {x.shape[-1] if x.ndim else 'no'} features, "
            f"weight {w.shape} reads {w.shape[-1] if w.ndim else 'none'}",
            rule="weight is (out, in); flatten images first",
        )
    z = apply(_linear_form(x.shape, w.shape), x, w)
    return z if bias is None else z + _bias(bias, w.shape[0], "linear")


def _bias(bias: ArrayLike, size: int, what: str) -> Tensor:
    b = floating(bias, what)
    if b.shape != (size,):
        raise ShapeError(f"{what}: bias", expected=f"({size},)", got=str(b.shape))
    return b


_BILINEAR = declare("bilinear", x="n i", w="o i j", y="n j", z="n o")


@operation
def bilinear(
    input1: ArrayLike, input2: ArrayLike, weight: ArrayLike, bias: ArrayLike | None = None
) -> Tensor:
    """Law: z[.., o] = b[o] + Σ_{i, j} x[.., i] · w[o, i, j] · y[.., j].

    Args:
        input1: x, (.., in1).
        input2: y, (.., in2), the other axes as in x.
        weight: (out, in1, in2).
        bias: (out,).

    Raises:
        ShapeError: sizes differ.
    """
    x, y, w = (floating(t, "bilinear") for t in (input1, input2, weight))
    if x.shape[:-1] != y.shape[:-1] or w.shape[1:] != (x.shape[-1], y.shape[-1]):
        raise ShapeError(
            "bilinear: sizes do not fit",
            expected=f"weight (out, {x.shape[-1]}, {y.shape[-1]}) and equal leading axes",
            got=f"{x.shape}, {y.shape} and weight {w.shape}",
        )
    rows = 1
    for size in x.shape[:-1]:
        rows *= size
    shapes = {
        "x": (rows, x.shape[-1]), "y": (rows, y.shape[-1]), "w": w.shape, "z": (rows, w.shape[0]),
    }  # fmt: skip
    loops = {"n": rows, "i": x.shape[-1], "j": y.shape[-1], "o": w.shape[0]}
    form = _BILINEAR.bind(0, "z", shapes, loops)
    z = apply(form, reshape(x, shapes["x"]), w, reshape(y, shapes["y"]))
    z = reshape(z, (*x.shape[:-1], w.shape[0]))
    return z if bias is None else z + _bias(bias, w.shape[0], "bilinear")
