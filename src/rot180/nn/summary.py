"""What a model is made of: shapes, parameters, multiplications and receptive fields, as a table."""

from __future__ import annotations

import math
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rot180.core import Tensor, no_grad
from rot180.errors import ArgumentError
from rot180.nn.conv import Conv, ConvTranspose
from rot180.nn.linear import Bilinear, Linear
from rot180.nn.receptive import FieldTracker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rot180.nn.module import Module

__all__ = ["LayerSummary", "Summary", "summary"]


@dataclass(frozen=True)
class LayerSummary:
    """One layer's line of a summary.

    Attributes:
        name: the dotted name in the model, "" for the model itself.
        kind: the class.
        output_shape: shape of the result without the batch; None if it is no tensor.
        parameters: numbers that are learned, those shared with a layer above not counted again.
        macs: multiply-adds for one example of convolutions and matrix products.
        receptive_field: input cells per axis that one output can see; None where it is not told by
            a chain of windows.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...] | None
    parameters: int
    macs: int
    receptive_field: tuple[int, ...] | None


@dataclass(frozen=True)
class Summary:
    """The lines and the totals; `str` of it is the table.

    Attributes:
        model: the class.
        input_shape: shape of one example.
        layers: one line per layer, in the order of the forward pass.
        parameters: all numbers that the model holds as parameters,
        trainable: those of them that require a gradient.
        macs: multiply-adds for one example.
    """

    model: str
    input_shape: tuple[int, ...]
    layers: tuple[LayerSummary, ...]
    parameters: int
    trainable: int
    macs: int

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON (tuples are lists)."""
        plain = asdict(self)
        plain["input_shape"] = list(self.input_shape)
        plain["layers"] = [
            {k: list(v) if isinstance(v, tuple) else v for k, v in layer.items()}
            for layer in plain["layers"]
        ]
        return plain

    def __str__(self) -> str:
        head = ("Layer", "Output shape", "Parameters", "Multiply-adds", "Receptive field")
        rows = [
            (
                f"{layer.name or self.model} ({layer.kind})",
                _times(layer.output_shape),
                f"{layer.parameters:,}",
                f"{layer.macs:,}",
                _times(layer.receptive_field),
            )
            for layer in self.layers
        ]
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        lines = [_aligned(row, widths) for row in (head, *rows)]
        rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
        totals = (
            f"{self.model} on {_times(self.input_shape)}: {self.parameters:,} parameters "
            f"({self.trainable:,} trainable), {self.macs:,} multiply-adds"
        )
        return "\n".join([lines[0], rule, *lines[1:], rule, totals])


def _times(sizes: tuple[int, ...] | None) -> str:
    return "-" if sizes is None else " × ".join(map(str, sizes)) or "1"


def _aligned(row: tuple[str, ...], widths: list[int]) -> str:
    """Words to the left, numbers to the right."""
    cells = [
        text.rjust(width) if position in (2, 3) else text.ljust(width)
        for position, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()


def summary(
    model: Module, input_shape: Sequence[int], dtype: npt.DTypeLike | None = None
) -> Summary:
    """Run a model once on zeros, in evaluation mode, and describe every layer.

    The model is left as it was: no statistics, no modes and no random numbers change.

    Args:
        model: the model.
        input_shape: shape of one example without the batch, such as (1, 28, 28).
        dtype: of the input; by default that of the first parameter.

    Raises:
        ArgumentError: sizes below 1.
        ShapeError: the model does not take this shape.

    >>> from rot180 import nn
    >>> print(nn.summary(nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU()), (1, 8, 8)))
    Layer       Output shape  Parameters  Multiply-adds  Receptive field
    --------------------------------------------------------------------
    0 (Conv2d)  2 × 6 × 6             20            648  3 × 3
    1 (ReLU)    2 × 6 × 6              0              0  3 × 3
    --------------------------------------------------------------------
    Sequential on 1 × 8 × 8: 20 parameters (20 trainable), 648 multiply-adds
    """
    shape = tuple(int(size) for size in input_shape)
    if any(size < 1 for size in shape):
        raise ArgumentError("summary: input_shape", expected="sizes >= 1", got=str(shape))
    parameters = list(model.parameters())
    if dtype is None:
        dtype = parameters[0].dtype if parameters else np.float32
    example = Tensor(np.zeros((1, *shape), dtype))
    fields = FieldTracker(example)
    lines: list[LayerSummary] = []
    counted: set[int] = set()
    names = {id(module): name for name, module in model.named_modules()}

    def describe(layer: Module, inputs: tuple[Any, ...], output: Any) -> None:
        own = [p for p in layer.parameters(recurse=False) if id(p) not in counted]
        counted.update(id(p) for p in own)
        field = fields.after(layer, inputs[0] if inputs else None, output)
        shown = output.shape[1:] if isinstance(output, Tensor) else None
        lines.append(
            LayerSummary(
                name=names[id(layer)],
                kind=type(layer).__name__,
                output_shape=shown,
                parameters=sum(p.size for p in own),
                macs=_macs(layer, inputs, output),
                receptive_field=None if field is None else field.size,
            )
        )

    leaves = [
        module
        for module in model.modules()
        if not any(True for _ in module.children())
        or any(True for _ in module.parameters(recurse=False))
    ]
    with no_grad(), _evaluation(model):
        removers = [leaf.register_forward_hook(describe) for leaf in leaves]
        try:
            model(example)
        finally:
            for remove in removers:
                remove()
    return Summary(
        model=type(model).__name__,
        input_shape=shape,
        layers=tuple(lines),
        parameters=sum(p.size for p in parameters),
        trainable=sum(p.size for p in parameters if p.requires_grad),
        macs=sum(line.macs for line in lines),
    )


@contextmanager
def _evaluation(model: Module) -> Iterator[None]:
    """Evaluation mode, and afterwards every module's own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


def _macs(layer: Module, inputs: tuple[Any, ...], output: Any) -> int:
    """Multiply-adds of a layer for one example; every weight is used once per position or row."""
    if isinstance(layer, Conv):
        uses = output.shape[2:]
    elif isinstance(layer, ConvTranspose):
        uses = inputs[0].shape[2:]
    elif isinstance(layer, Linear | Bilinear):
        uses = output.shape[:-1]
    else:
        return 0
    return int(layer.weight.size * math.prod(uses))
