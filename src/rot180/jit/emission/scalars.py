"""Scalars: an expression on vectors of truths, integers and floats.

A value is one of three kinds, known by its type: a truth (one bit a lane), an integer (64 bits) or
a float of the kernel. Integers become floats where they meet one, truths become what they meet.
Subexpressions that are shared, also by several expressions, are computed once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llvmlite import ir

from rot180.core.expression import Expression, in_order
from rot180.jit.emission.access import Access, Phase
from rot180.jit.emission.emit import I64, Emitter, Index
from rot180.jit.emission.functions import FUNCTIONS

__all__ = ["as_float", "as_integer", "converted", "evaluate", "load", "loaded", "store"]

Value = Any

_RELATIONS = {"greater": ">", "less": "<", "greater_equal": ">=", "less_equal": "<=",
              "equal": "==", "not_equal": "!="}  # fmt: skip
_ON_INTEGERS = ("add", "subtract", "multiply", "negative", "absolute", "sign", "maximum", "minimum")


def _lanes(v: Value) -> int:
    return int(getattr(v.type, "count", 1))


def _element(v: Value) -> Any:
    return getattr(v.type, "element", v.type)


def _typed(element: Any, lanes: int) -> Any:
    return element if lanes == 1 else ir.VectorType(element, lanes)


def _number(element: Any, lanes: int, value: float) -> Value:
    return ir.Constant(_typed(element, lanes), value if lanes == 1 else [value] * lanes)


def _is_float(v: Value) -> bool:
    return isinstance(_element(v), ir.FloatType | ir.DoubleType)


def _is_truth(v: Value) -> bool:
    return str(_element(v)) == "i1"


# Between types


def as_float(k: Emitter, v: Value) -> Value:
    """The value as a float of the kernel."""
    typ = k.vector(_lanes(v))
    if _is_truth(v):
        return k.builder.uitofp(v, typ)
    if not _is_float(v):
        return k.builder.sitofp(v, typ)
    if v.type == typ:
        return v
    return k.builder.fpext(v, typ) if str(k.float) == "double" else k.builder.fptrunc(v, typ)


def as_integer(k: Emitter, v: Value) -> Value:
    """The value as an integer of 64 bits; a float loses its fraction."""
    typ = _typed(I64, _lanes(v))
    if _is_truth(v):
        return k.builder.zext(v, typ)
    return k.builder.fptosi(v, typ) if _is_float(v) else v


def _as_truth(k: Emitter, v: Value) -> Value:
    if _is_truth(v):
        return v
    zero = ir.Constant(v.type, None)
    if _is_float(v):
        return k.builder.fcmp_unordered("!=", v, zero)
    return k.builder.icmp_signed("!=", v, zero)


def converted(k: Emitter, v: Value, dtype: str) -> Value:
    """The value as it is stored in an array of this type, as NumPy casts it."""
    lanes = _lanes(v)
    if dtype == "bool":
        return k.builder.zext(_as_truth(k, v), _typed(ir.IntType(8), lanes))
    if dtype.startswith("float"):
        v = as_float(k, v)
        element = ir.FloatType() if dtype == "float32" else ir.DoubleType()
        if _element(v) == element:
            return v
        cast = k.builder.fptrunc if dtype == "float32" else k.builder.fpext
        return cast(v, _typed(element, lanes))
    v = as_integer(k, v)
    bits = int(dtype.removeprefix("u").removeprefix("int"))
    return v if bits == 64 else k.builder.trunc(v, _typed(ir.IntType(bits), lanes))


def _widened(k: Emitter, v: Value, dtype: str) -> Value:
    """What was loaded from an array of this type, as a truth, an integer or a float."""
    if dtype == "bool":
        return k.builder.icmp_unsigned("!=", v, ir.Constant(v.type, None))
    if dtype.startswith("float"):
        return as_float(k, v)
    if dtype in ("int64", "uint64"):
        return v
    typ = _typed(I64, _lanes(v))
    return k.builder.zext(v, typ) if dtype[0] == "u" else k.builder.sext(v, typ)


# Memory


def load(k: Emitter, a: Access, offset: Index, step: int, lanes: int) -> Value:
    """A vector of an array: lanes `step` elements apart (0: one number in all of them)."""
    if lanes == 1 or step == 1:
        return _widened(k, k.load_as(a.dtype, a.name, offset, lanes), a.dtype)
    if step == 0:
        one = _widened(k, k.load_as(a.dtype, a.name, offset), a.dtype)
        return k.splat(one, lanes)
    v = None
    for lane in range(lanes):
        one = k.load_as(a.dtype, a.name, k.at(offset, lane * step))
        if v is None:
            v = ir.Constant(ir.VectorType(one.type, lanes), ir.Undefined)
        v = k.builder.insert_element(v, one, ir.Constant(ir.IntType(32), lane))
    return _widened(k, v, a.dtype)


def loaded(k: Emitter, phase: Phase, skip: int, indices: Sequence[Index]) -> dict[str, Value]:
    """A vector of every array of a nest but the first `skip`, by name."""
    inputs = list(zip(phase.accesses, phase.steps, strict=True))[skip:]
    return {a.name: load(k, a, a.offset(k, indices), step, phase.lanes) for a, step in inputs}


def store(k: Emitter, v: Value, a: Access, offset: Index, step: int) -> None:
    """Write a vector, lanes `step` elements apart."""
    v = converted(k, v, a.dtype)
    lanes = _lanes(v)
    if lanes == 1 or step == 1:
        k.store_as(a.dtype, v, a.name, offset)
        return
    for lane in range(lanes):
        k.store_as(a.dtype, k.lane(v, lane), a.name, k.at(offset, lane * step))


# Expressions


def evaluate(
    k: Emitter, bodies: Sequence[Expression], values: Mapping[str, Value], lanes: int
) -> list[Value]:
    """Compute expressions.

    Args:
        k: the kernel.
        bodies: the expressions.
        values: what stands for each variable.
        lanes: of the results.
    """
    floats = any(_is_float(v) for v in values.values())
    known: dict[Expression, Value] = {}
    for body in bodies:
        for node in in_order(body):
            if node in known:
                continue
            if node.op == "variable":
                known[node] = values[str(node.value)]
            elif node.op == "constant":
                whole = not (floats or isinstance(node.value, float))
                known[node] = _number(I64 if whole else k.float, lanes, node.value)  # type: ignore[arg-type]
            else:
                known[node] = _applied(k, node.op, [known[arg] for arg in node.args])
    return [known[body] for body in bodies]


def _alike(k: Emitter, *vs: Value) -> list[Value]:
    """Values of one type: floats if one is a float, else integers, else truths."""
    if any(_is_float(v) for v in vs):
        return [as_float(k, v) for v in vs]
    if all(_is_truth(v) for v in vs):
        return list(vs)
    return [as_integer(k, v) for v in vs]


def _applied(k: Emitter, op: str, args: list[Value]) -> Value:
    if op == "where":
        yes, no = _alike(k, *args[1:])
        return k.builder.select(_as_truth(k, args[0]), yes, no)
    if op in _RELATIONS:
        a, b = _alike(k, *args)
        relation = _RELATIONS[op]
        if _is_float(a):
            ordered = k.builder.fcmp_unordered if op == "not_equal" else k.builder.fcmp_ordered
            return ordered(relation, a, b)
        compare = k.builder.icmp_unsigned if _is_truth(a) else k.builder.icmp_signed
        return compare(relation, a, b)
    if op in _ON_INTEGERS and not any(_is_float(v) for v in args):
        return _on_integers(k, op, [as_integer(k, v) for v in args])
    return FUNCTIONS[op](k, *(as_float(k, v) for v in args))


def _on_integers(k: Emitter, op: str, args: list[Value]) -> Value:
    b, zero = k.builder, ir.Constant(args[0].type, None)
    if op in ("add", "subtract", "multiply"):
        return {"add": b.add, "subtract": b.sub, "multiply": b.mul}[op](*args)
    if op in ("maximum", "minimum"):
        larger = b.icmp_signed(">" if op == "maximum" else "<", *args)
        return b.select(larger, *args)
    below = b.icmp_signed("<", args[0], zero)
    if op == "sign":
        above = b.icmp_signed(">", args[0], zero)
        return b.sub(b.zext(above, zero.type), b.zext(below, zero.type))
    negated = b.sub(zero, args[0])
    return negated if op == "negative" else b.select(below, negated, args[0])
