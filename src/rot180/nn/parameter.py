"""A tensor that a module owns and an optimiser moves."""

from __future__ import annotations

from rot180.core import ArrayLike, Tensor, tensor

__all__ = ["Parameter"]


class Parameter(Tensor):
    """A leaf tensor with gradient that a module finds among its attributes.

    Args:
        data: an array (its memory is shared), a tensor, or nested lists of numbers.
        requires_grad: False freezes it.

    Raises:
        DTypeError: not floating point, when a gradient is asked for.

    >>> Parameter([1.0, 2.0])
    tensor([1., 2.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data: ArrayLike, requires_grad: bool = True) -> None:
        super().__init__(tensor(data).data)
        self.requires_grad_(requires_grad)
