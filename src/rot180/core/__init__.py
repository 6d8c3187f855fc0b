"""The core: what an operation is, and how it is differentiated. It knows no operation.

It promises: the three kinds as data (`form`, `expression`, `kinds`), one gradient rule for each
(`rules`), the tensor, the graph that `apply` records, the sweep over it, and derivatives as
functions. What an operation computes is told to it from above (`kinds.run`, `define_method`).
Names of operations, kernels and layers do not belong here.
"""

from rot180.core.affine import Affine
from rot180.core.expression import Expression
from rot180.core.form import Form, FormDeclaration, Operand, Term, declare
from rot180.core.function import Context, Function, function
from rot180.core.graph import Node, apply, choose
from rot180.core.kinds import (
    Along,
    Array,
    Cells,
    Choice,
    Give,
    Kind,
    Map,
    Rows,
    Select,
    Sum,
    Take,
    Windows,
    pointwise,
    run,
)
from rot180.core.modes import (
    detect_anomaly,
    enable_grad,
    is_grad_enabled,
    listening,
    no_grad,
    set_grad_enabled,
)
from rot180.core.random import default_generator, generator_state, manual_seed, set_generator_state
from rot180.core.sweep import gradients
from rot180.core.tensor import ArrayLike, Tensor, define_method, require_float, tensor
from rot180.core.transforms import grad, hessian, jvp, vjp

__all__ = [
    "Affine",
    "Along",
    "Array",
    "ArrayLike",
    "Cells",
    "Choice",
    "Context",
    "Expression",
    "Form",
    "FormDeclaration",
    "Function",
    "Give",
    "Kind",
    "Map",
    "Node",
    "Operand",
    "Rows",
    "Select",
    "Sum",
    "Take",
    "Tensor",
    "Term",
    "Windows",
    "apply",
    "choose",
    "declare",
    "default_generator",
    "define_method",
    "detect_anomaly",
    "enable_grad",
    "function",
    "generator_state",
    "grad",
    "gradients",
    "hessian",
    "is_grad_enabled",
    "jvp",
    "listening",
    "manual_seed",
    "no_grad",
    "pointwise",
    "require_float",
    "run",
    "set_generator_state",
    "set_grad_enabled",
    "tensor",
    "vjp",
]
