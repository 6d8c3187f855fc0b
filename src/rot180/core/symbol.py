"""Symbol: what stands for an array while a program is traced. It has a shape and no values."""

from __future__ import annotations

import math
from typing import Any, NoReturn

import numpy as np

from rot180.core.lines import users_line
from rot180.errors import TraceError

__all__ = ["Symbol", "as_symbol"]


class Symbol:
    """The array of a tensor while a program is traced: shape and data type, and nothing else.

    Any look at its values is a `TraceError` that names the user's line.

    Attributes:
        number: the value of the program that it stands for.
        trace: tells the symbols of one trace from those of another.
        shape: size of every axis.
        dtype: data type of the array.
        base: None: it shows no cells of another array.
    """

    __slots__ = ("dtype", "number", "shape", "trace")

    base = None

    def __init__(
        self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any], trace: object
    ) -> None:
        self.number = number
        self.shape = shape
        self.dtype = dtype
        self.trace = trace

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """Number of cells."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        return f"%{self.number} {self.dtype}{list(self.shape)}"

    def refuse(self, what: str, rule: str) -> NoReturn:
        """Raise the error of a look at values."""
        line = users_line()
        raise TraceError(
            f"tracing: {what} needs the values of {self.dtype}{list(self.shape)}, which are known "
            f"only when the program runs",
            rule=f"{rule}; called at {line}" if line else rule,
        )

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # protocols ask this way whether they are spoken
            raise AttributeError(name)
        self.refuse(f".{name}", "compute with tensors and operations of rot180")


def as_symbol(data: object) -> Symbol | None:
    """The symbol where the data of a tensor is one, None for an array."""
    return data if isinstance(data, Symbol) else None


def _refusing(what: str, rule: str) -> Any:
    def method(self: Symbol, *args: Any, **options: Any) -> NoReturn:
        self.refuse(what, rule)

    return method


_NO_NUMPY = "NumPy cannot take part; use operations of rot180"
_NO_BRANCH = "choose cells by rt.where, or run without compiling"
_REFUSED = {
    _NO_BRANCH: {"__bool__": "if, while, and, or, not"}
    | {f"__{word}__": "a comparison" for word in ("eq", "ne", "lt", "le", "gt", "ge")},
    "ask for its shape": {"__len__": "len"},
    "keep it a tensor": {
        f"__{word}__": f"{word}()" for word in ("float", "int", "index", "complex", "round")
    }
    | {"__iter__": "iterating", "__contains__": "in"},
    _NO_NUMPY: {
        "__array__": "NumPy",
        "__array_ufunc__": "a function of NumPy",
        "__array_function__": "a function of NumPy",
        "__getitem__": "indexing the array itself",
        "__setitem__": "writing into the array",
        "__dlpack__": "DLPack",
        "__dlpack_device__": "DLPack",
        "__neg__": "arithmetic on the array itself",
        "__abs__": "arithmetic on the array itself",
    }
    | {
        f"__{side}{word}__": "arithmetic on the array itself"
        for side in ("", "r", "i")
        for word in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul",
                     "and", "or", "xor", "lshift", "rshift")
    },
}  # fmt: skip
for _rule, _methods in _REFUSED.items():
    for _name, _what in _methods.items():
        setattr(Symbol, _name, _refusing(_what, _rule))
Symbol.__hash__ = object.__hash__  # type: ignore[method-assign]
