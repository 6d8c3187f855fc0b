"""The core: what an operation is, and how it is differentiated. It knows no operation.

It promises: the three kinds as data (`form`, `expression`, `kinds`), one gradient rule for each
(`rules`), the tensor, the graph that `apply` records, the sweep over it, derivatives as functions,
and the program that a trace writes down (`trace`, `program`). What an operation computes is told to
it from above (`kinds.run`, `define_method`). Names of operations, kernels and layers do not belong
here.
"""

from rot180.core.affine import Affine
from rot180.core.expression import Expression
from rot180.core.form import Form, FormDeclaration, Operand, Term, declare
from rot180.core.function import Context, Function, function
from rot180.core.graph import Node, apply, assign, choose, from_host, look
from rot180.core.kinds import (
    Along,
    Array,
    Cells,
    Choice,
    Draw,
    Give,
    Kind,
    Map,
    Rows,
    Select,
    Sum,
    Take,
    Update,
    Windows,
    pointwise,
    prepare,
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
from rot180.core.program import Check, Guard, Instruction, Program, Scope, Value
from rot180.core.random import default_generator, generator_state, manual_seed, set_generator_state
from rot180.core.results import Spec, results
from rot180.core.sweep import gradients
from rot180.core.symbol import Symbol
from rot180.core.tensor import ArrayLike, Tensor, define_method, require_float, tensor
from rot180.core.trace import Tracer
from rot180.core.transforms import grad, hessian, jvp, vjp

__all__ = [
    "Affine",
    "Along",
    "Array",
    "ArrayLike",
    "Cells",
    "Check",
    "Choice",
    "Context",
    "Draw",
    "Expression",
    "Form",
    "FormDeclaration",
    "Function",
    "Give",
    "Guard",
    "Instruction",
    "Kind",
    "Map",
    "Node",
    "Operand",
    "Program",
    "Rows",
    "Scope",
    "Select",
    "Spec",
    "Sum",
    "Symbol",
    "Take",
    "Tensor",
    "Term",
    "Tracer",
    "Update",
    "Value",
    "Windows",
    "apply",
    "assign",
    "choose",
    "declare",
    "default_generator",
    "define_method",
    "detect_anomaly",
    "enable_grad",
    "from_host",
    "function",
    "generator_state",
    "grad",
    "gradients",
    "hessian",
    "is_grad_enabled",
    "jvp",
    "listening",
    "look",
    "manual_seed",
    "no_grad",
    "pointwise",
    "prepare",
    "require_float",
    "results",
    "run",
    "set_generator_state",
    "set_grad_enabled",
    "tensor",
    "vjp",
]
