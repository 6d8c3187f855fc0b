"""Inputs with and without a batch axis: (N, C, spatial...) and (C, spatial...)."""

from __future__ import annotations

from rot180.core import Tensor
from rot180.errors import ShapeError
from rot180.ops.shape import reshape

__all__ = ["batched", "unbatched"]


def batched(x: Tensor, axes: int, what: str) -> tuple[Tensor, bool]:
    """(N, C, spatial...) from itself or from (C, spatial...), and whether N was added."""
    if x.ndim == axes + 1:
        return reshape(x, (1, *x.shape)), True
    if x.ndim != axes + 2:
        raise ShapeError(
            f"{what}: number of axes of the input",
            expected=f"(N, C) and {axes} spatial, or C and {axes} spatial",
            got=f"shape {x.shape}",
        )
    return x, False


def unbatched(z: Tensor, added: bool) -> Tensor:
    """Without the batch axis that `batched` added."""
    return reshape(z, z.shape[1:]) if added else z
