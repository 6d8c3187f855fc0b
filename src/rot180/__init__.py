"""rot180: convolutional networks whose every gradient you can read, check and trust.

The everyday names; everything else is in its floor: `rot180.nn`, `rot180.optim`, `rot180.data`,
`rot180.train`, `rot180.window`, `rot180.core`, `rot180.ops`.
"""

import importlib
from typing import Any

from rot180._version import __version__
from rot180.core import (
    Function,
    Tensor,
    default_generator,
    detect_anomaly,
    enable_grad,
    function,
    grad,
    hessian,
    is_grad_enabled,
    jvp,
    manual_seed,
    no_grad,
    set_grad_enabled,
    tensor,
    vjp,
)
from rot180.errors import Rot180Error
from rot180.ops import (
    abs,
    amax,
    amin,
    argmax,
    argmin,
    cat,
    clip,
    concatenate,
    cos,
    exp,
    flip,
    log,
    matmul,
    max,
    maximum,
    mean,
    min,
    minimum,
    reshape,
    sigmoid,
    sin,
    softmax,
    sqrt,
    stack,
    std,
    sum,
    tanh,
    var,
    where,
)

__all__ = [
    "Function",
    "Rot180Error",
    "Tensor",
    "__version__",
    "abs",
    "amax",
    "amin",
    "argmax",
    "argmin",
    "cat",
    "check",
    "clip",
    "compile",
    "concatenate",
    "core",
    "cos",
    "data",
    "default_generator",
    "detect_anomaly",
    "enable_grad",
    "errors",
    "exp",
    "explain",
    "flip",
    "function",
    "get_num_threads",
    "grad",
    "hessian",
    "interop",
    "is_grad_enabled",
    "jvp",
    "log",
    "manual_seed",
    "matmul",
    "max",
    "maximum",
    "mean",
    "min",
    "minimum",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "reshape",
    "set_grad_enabled",
    "set_num_threads",
    "sigmoid",
    "sin",
    "softmax",
    "sqrt",
    "stack",
    "std",
    "sum",
    "tanh",
    "tensor",
    "train",
    "var",
    "vjp",
    "where",
    "window",
]

_FLOORS = ("check", "data", "explain", "interop", "nn", "optim", "train")
_LATER = {"compile": "train", "get_num_threads": "jit", "set_num_threads": "jit"}


def __getattr__(name: str) -> Any:
    """Floors that an import of the root does not need are imported when they are first named."""
    if name in _FLOORS:
        return importlib.import_module(f"rot180.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(f"rot180.{_LATER[name]}"), name)
    raise AttributeError(f"module 'rot180' has no attribute {name!r}")
