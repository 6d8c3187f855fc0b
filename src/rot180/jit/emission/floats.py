"""Floats: numbers and vectors of numbers in a kernel, lane by lane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir

from rot180.jit.emission.integers import I64, Index, Integers

__all__ = ["FLOATS", "I32", "Floats"]

I32 = ir.IntType(32)
FLOATS = {"float32": ir.FloatType(), "float64": ir.DoubleType()}


class Floats(Integers):
    """The words for floats, of a kernel that is being written.

    Attributes:
        module: what the kernel is in.
        dtype, float: its float type, of NumPy and of the kernel.
        lanes: numbers in one vector of it.
    """

    module: ir.Module
    dtype: np.dtype[Any]
    float: Any
    lanes: int

    def vector(self, lanes: int) -> Any:
        """The type of so many floats."""
        return self.float if lanes == 1 else ir.VectorType(self.float, lanes)

    def constant(self, value: float, lanes: int | None = None) -> Any:
        """The same number in every lane."""
        lanes = self.lanes if lanes is None else lanes
        return ir.Constant(self.vector(lanes), value if lanes == 1 else [value] * lanes)

    def whole(self, value: Index, lanes: int, bits: int = 0) -> Any:
        """The same integer in every lane; as wide as the kernel's floats without `bits`."""
        typ = ir.IntType(bits or 8 * self.dtype.itemsize)
        if isinstance(value, int):
            if lanes == 1:
                return ir.Constant(typ, value)
            return ir.Constant(ir.VectorType(typ, lanes), [value] * lanes)
        narrow = value if value.type == typ else self.builder.trunc(value, typ)
        return self.splat(narrow, lanes)

    def whole_number(self, value: Any, dtype: str) -> Any:
        """An integer of memory as a 64-bit integer of the kernel."""
        if value.type == I64:
            return value
        unsigned = np.dtype(dtype).kind in "ub"
        return self.builder.zext(value, I64) if unsigned else self.builder.sext(value, I64)

    def narrow(self, value: Any, bits: int) -> Any:
        """Integers with the upper bits dropped."""
        lanes = getattr(value.type, "count", 1)
        typ = ir.IntType(bits)
        return self.builder.trunc(value, typ if lanes == 1 else ir.VectorType(typ, lanes))

    def select(self, where: Any, yes: Any, no: Any) -> Any:
        """`yes` in the lanes where the condition holds, else `no`."""
        return self.builder.select(where, yes, no)

    def splat(self, scalar: Any, lanes: int | None = None) -> Any:
        """A scalar of the kernel in every lane."""
        lanes = self.lanes if lanes is None else lanes
        if lanes == 1:
            return scalar
        b = self.builder
        typ = ir.VectorType(scalar.type, lanes)
        first = b.insert_element(ir.Constant(typ, ir.Undefined), scalar, ir.Constant(I32, 0))
        zeros = ir.Constant(ir.VectorType(I32, lanes), [0] * lanes)
        return b.shuffle_vector(first, ir.Constant(typ, ir.Undefined), zeros)

    def relu(self, v: Any) -> Any:
        """The positive part; NaN stays."""
        zero = self.constant(0.0, getattr(v.type, "count", 1))
        return self.builder.select(self.builder.fcmp_ordered("<", v, zero), zero, v)

    def masked(self, v: Any, result: Any) -> Any:
        """V where the result of a ReLU is positive, 0 elsewhere: the gradient of that ReLU."""
        zero = ir.Constant(v.type, None)
        return self.builder.select(self.builder.fcmp_ordered(">", result, zero), v, zero)

    def intrinsic(self, name: str, *values: Any) -> Any:
        """Call an LLVM intrinsic that is overloaded on the type of its first argument."""
        typ = values[0].type
        word = {"float": "f32", "double": "f64"}
        element = typ.element if isinstance(typ, ir.VectorType) else typ
        suffix = word.get(str(element), str(element))
        if isinstance(typ, ir.VectorType):
            suffix = f"v{typ.count}{suffix}"
        full = f"llvm.{name}.{suffix}"
        known = self.module.globals.get(full)
        if known is None:
            result = element if name.startswith("vector.reduce") else typ
            known = ir.Function(
                self.module, ir.FunctionType(result, [v.type for v in values]), full
            )
        return self.builder.call(known, values)

    def fma(self, a: Any, b: Any, c: Any) -> Any:
        """A · b + c, rounded once."""
        return self.intrinsic("fma", a, b, c)

    def add(self, a: Any, b: Any) -> Any:
        """A + b."""
        return self.builder.fadd(a, b)

    def sub(self, a: Any, b: Any) -> Any:
        """A − b."""
        return self.builder.fsub(a, b)

    def mul(self, a: Any, b: Any) -> Any:
        """A · b."""
        return self.builder.fmul(a, b)

    def div(self, a: Any, b: Any) -> Any:
        """A / b."""
        return self.builder.fdiv(a, b)

    def number(self, value: Index) -> Any:
        """An integer as a float of the kernel."""
        if isinstance(value, int):
            return self.constant(float(value), 1)
        return self.builder.sitofp(value, self.float)

    def numbers(self, values: Sequence[float]) -> Any:
        """A vector of known numbers."""
        return ir.Constant(self.vector(len(values)), list(map(float, values)))
