"""Which input cells an output of each layer can see, followed through a forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from rot180.core import Tensor
from rot180.nn.activation import ELU, GELU, Hardtanh, LeakyReLU, Plain, Softplus
from rot180.nn.conv import Conv
from rot180.nn.dropout import Dropout
from rot180.nn.linear import Flatten, Identity
from rot180.nn.norm import BatchNorm, GroupNorm, InstanceNorm
from rot180.nn.pad import Pad
from rot180.nn.pool import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    MaxPool,
)
from rot180.window import ReceptiveField, Window, pool_window

if TYPE_CHECKING:
    from rot180.nn.module import Module

__all__ = ["FieldTracker"]

Field: TypeAlias = ReceptiveField | None

# Cell by cell; that a norm's statistics come from the whole plane is not counted.
_POINTWISE = (
    BatchNorm,
    Dropout,
    ELU,
    GELU,
    GroupNorm,
    Hardtanh,
    Identity,
    InstanceNorm,
    LeakyReLU,
    Plain,
    Softplus,
)
_REDUCING = (AdaptiveAvgPool, AdaptiveMaxPool, Flatten, GlobalAvgPool, GlobalMaxPool)


class FieldTracker:
    """The receptive field of every tensor that a layer made, found by the tensor's identity.

    What happens between layers (an activation as a function, the sum of two branches) is not seen:
    a tensor that no layer made gets the largest field among those on the same grid, which is right
    for pointwise functions and for residual sums.

    Args:
        input: the model's input, (1, C, spatial...).
    """

    def __init__(self, input: Tensor) -> None:
        sizes = input.shape[2:]
        none = (0,) * len(sizes)
        # One output that sees every cell of the input.
        self.whole: Field = ReceptiveField(size=sizes, jump=sizes, start=none) if sizes else None
        start = ReceptiveField.identity(len(sizes)) if sizes else None
        # The tensors are kept, so that no identity is used twice.
        self.seen: list[tuple[Tensor, Field]] = [(input, start)]

    def after(self, layer: Module, input: Any, output: Any) -> Field:
        """The field of the layer's output, None where it cannot be told."""
        field = None
        if isinstance(input, Tensor) and isinstance(output, Tensor):
            before = self._of(input)
            if before is not None:
                field = self._next(layer, before, input, output)
            self.seen.append((output, field))
        return field

    def _of(self, tensor: Tensor) -> Field:
        for other, field in reversed(self.seen):
            if other is tensor:
                return field
        same_grid = [field for other, field in self.seen if other.shape[2:] == tensor.shape[2:]]
        known = [field for field in same_grid if field is not None]
        jumps = {field.jump for field in known}
        if len(known) < len(same_grid) or len(jumps) != 1:
            return None
        return max(known, key=lambda field: field.size)

    def _next(self, layer: Module, before: ReceptiveField, input: Tensor, output: Tensor) -> Field:
        if before == self.whole or isinstance(layer, _POINTWISE):
            return before
        if isinstance(layer, _REDUCING):
            return self.whole if all(size == 1 for size in output.shape[2:]) else None
        window = _window(layer, input.shape[2:])
        return None if window is None else before.then(window)


def _window(layer: Module, sizes: tuple[int, ...]) -> Window | None:
    """The window of a layer that has one."""
    if isinstance(layer, Conv):
        return Window.of(
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            axes=layer.axes,
            input_size=sizes,
        )
    if isinstance(layer, MaxPool):
        return pool_window(
            layer.kernel_size,
            layer.stride,
            layer.padding,
            layer.dilation,
            layer.ceil_mode,
            input_size=sizes,
        )
    if isinstance(layer, AvgPool):
        return pool_window(
            layer.kernel_size, layer.stride, layer.padding, 1, layer.ceil_mode, input_size=sizes
        )
    if isinstance(layer, Pad):
        sides = layer.padding
        pairs = [(sides[2 * i], sides[2 * i + 1]) for i in reversed(range(layer.axes))]
        return Window.of(1, 1, pairs, axes=layer.axes)
    return None
