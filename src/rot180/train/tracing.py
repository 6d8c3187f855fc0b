"""Traces of models: a training step, an evaluation, a forward pass, as programs.

The model's own code runs once, on symbols. Parameters and buffers of the model and of the loss, and
the optimiser's, are values of the program that it reads where they live and writes back there.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from rot180.core import Program, Tensor, Tracer, enable_grad, gradients, no_grad
from rot180.errors import ShapeError, TraceError
from rot180.nn import Module
from rot180.optim.clip import bounded_by_norm, bounded_by_value
from rot180.optim.traced import traced_step

if TYPE_CHECKING:
    from rot180.optim import Optimizer

__all__ = ["trace_forward", "trace_loss", "trace_step"]

Given = tuple[tuple[int, ...], Any]
"""Shape and data type of an argument."""


def _hold(tracer: Tracer, model: Module, loss: Any, optimizer: Optimizer | None) -> list[str]:
    """Put symbols into everything that lives on; the names of the optimiser's parameters."""
    names: dict[Tensor, str] = {}
    for prefix, module in (("", model), ("loss", loss)):
        if isinstance(module, Module):
            for name, parameter in module.named_parameters(prefix):
                names.setdefault(parameter, name)
                tracer.hold(parameter, "parameter", name)
            for name, buffer in module.named_buffers(prefix):
                tracer.hold(buffer, "buffer", name)
    found = []
    moved = [p for group in optimizer.param_groups for p in group["params"]] if optimizer else []
    for number, parameter in enumerate(moved):
        name = names.setdefault(parameter, f"optimizer.{number}")
        tracer.hold(parameter, "parameter", name)
        found.append(name)
    _guard(tracer, model, loss)
    return found


def _guard(tracer: Tracer, model: Module, loss: Any) -> None:
    """Note what shapes the trace: which tensors and modules stand where, modes and switches."""
    modules = [m for part in (model, loss) if isinstance(part, Module) for m in part.modules()]
    places = [
        (vars(module), name)
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Tensor | Module)
    ]
    tensors = [t for place, name in places if isinstance(t := place[name], Tensor)]
    # asked before every step: loops of the interpreter's own
    there, names = [place for place, _ in places], [name for _, name in places]
    tracer.guard(lambda: list(map(id, map(dict.get, there, names))))
    tracer.guard(lambda: list(map(attrgetter("training"), modules)))
    tracer.guard(lambda: list(map(attrgetter("requires_grad", "data.dtype"), tensors)))


def _single(output: Any, what: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise TraceError(f"{what}: the model must return one tensor", got=type(output).__name__)
    return output


def trace_forward(model: Module, x: Given) -> Program:
    """The forward pass in the mode that the model is in, without gradients.

    Args:
        model: the model; `eval()` it first for what it predicts.
        x: shape and data type of its input.

    Returns:
        A program with the input "x" and the output "output".

    Raises:
        TraceError: the model looks at values; names the line.
    """
    with Tracer() as tracer, no_grad():
        images = tracer.input("x", *x)
        _hold(tracer, model, None, None)
        output = _single(model(images), "trace_forward")
        return tracer.program(output=output)


def trace_loss(model: Module, loss: Callable[..., Tensor], x: Given, y: Given) -> Program:
    """The loss of a batch in the mode that the model is in, without gradients.

    Args:
        model: the model; `eval()` it first for an evaluation.
        loss: (output, y) to a loss.
        x: shape and data type of the input.
        y: shape and data type of the target.

    Returns:
        A program with the inputs "x" and "y" and the outputs "loss" and "output".

    Raises:
        TraceError: the model or the loss looks at values; names the line.
    """
    with Tracer() as tracer, no_grad():
        images, targets = tracer.input("x", *x), tracer.input("y", *y)
        _hold(tracer, model, loss, None)
        output = _single(model(images), "trace_loss")
        return tracer.program(loss=loss(output, targets), output=output)


def trace_step(
    model: Module,
    loss: Callable[..., Tensor],
    optimizer: Optimizer,
    x: Given,
    y: Given,
    *,
    clip_grad_norm: float | None = None,
    clip_grad_value: float | None = None,
) -> Program:
    """A whole training step: forward, loss, backward, update.

    Args:
        model: the model, in the mode that it is in (`train()` it first).
        loss: (output, y) to a loss of one cell.
        optimizer: which moves the parameters that it was given.
        x: shape and data type of the input.
        y: shape and data type of the target.
        clip_grad_norm: the largest norm of all gradients together, as `clip_grad_norm_`.
        clip_grad_value: the largest cell of the gradients, bounded before the norm.

    Returns:
        A program with the inputs "x" and "y" and the outputs "loss", "output" and, for each
        parameter that moves, "gradient NAME" before any bound (and "grad_norm", the norm before it
        is bounded, with `clip_grad_norm`), which writes the parameters, the running statistics and
        the state of the optimiser.

    Raises:
        TraceError: the model or the loss looks at values; names the line.
        ShapeError: the loss is not one number.
    """
    with Tracer() as tracer, enable_grad():
        images, targets = tracer.input("x", *x), tracer.input("y", *y)
        names = _hold(tracer, model, loss, optimizer)
        output = _single(model(images), "trace_step")
        value = loss(output, targets)
        if value.size != 1:
            raise ShapeError("trace_step: the loss is one number", got=f"shape {value.shape}")
        outputs = {"loss": value, "output": output}
        moved = [p for group in optimizer.param_groups for p in group["params"] if p.requires_grad]
        pairs = zip(moved, gradients([value], moved), strict=True)
        found = {p: g for p, g in pairs if g is not None}
        held = [p for group in optimizer.param_groups for p in group["params"]]
        called = dict(zip(held, names, strict=True))
        outputs |= {f"gradient {called[p]}": g for p, g in found.items()}
        tracer.phase = "update"
        with no_grad():
            if clip_grad_value is not None:
                bounded = bounded_by_value(list(found.values()), clip_grad_value)
                found = dict(zip(found, bounded, strict=True))
            if clip_grad_norm is not None:
                bounded, total = bounded_by_norm(list(found.values()), clip_grad_norm)
                found, outputs["grad_norm"] = dict(zip(found, bounded, strict=True)), total
            traced_step(optimizer, tracer, found, names)
        return tracer.program(**outputs)
