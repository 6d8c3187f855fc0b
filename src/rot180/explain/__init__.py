"""Explain: the equation, the numbers and the origin of every cell of every gradient.

It promises: `explain(function, *arrays)` for anything made of rot180's operations, an explainer for
each operation by its name (`explain.conv2d(input=(3, 3), kernel=(2, 2))`), and
`explain.model(model, x, y)` for a chain of layers. All of it is read out of the declarations that
run: a form restricted to a cell, a map with cells put in, a recorded choice. No text is written
for a single case, and nobody below this floor knows that it is being explained.

The module itself is callable: `rt.explain(function, *arrays)`.
"""

import sys
from types import ModuleType
from typing import Any

from rot180.explain.cell import Cell, Grid
from rot180.explain.chain import Layer, ModelExplanation
from rot180.explain.chain import explain_model as model
from rot180.explain.explanation import Explanation
from rot180.explain.formula import Call, Ref, Term
from rot180.explain.layers import explainer
from rot180.explain.make import explain as _explain
from rot180.explain.tape import Step, Value
from rot180.ops import OPERATIONS

__all__ = [
    "Call",
    "Cell",
    "Explanation",
    "Grid",
    "Layer",
    "ModelExplanation",
    "Ref",
    "Step",
    "Term",
    "Value",
    "explainer",
    "model",
]


def __getattr__(name: str) -> Any:
    """`explain.conv2d`, `explain.relu`, ...: the explainer of each operation."""
    if name in OPERATIONS:
        return explainer(name)
    raise AttributeError(f"module 'rot180.explain' has no attribute {name!r}")


class _CallableModule(ModuleType):
    def __call__(self, *args: Any, **options: Any) -> Explanation:
        return _explain(*args, **options)


_CallableModule.__call__.__doc__ = _explain.__doc__
sys.modules[__name__].__class__ = _CallableModule
