"""A module's parameters and buffers in a safetensors file, under PyTorch's names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rot180.interop.tensors import load_safetensors, save_safetensors

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from rot180.nn import LoadResult, Module

__all__ = ["load_model", "save_model"]


def save_model(
    model: Module, path: str | os.PathLike[str], metadata: Mapping[str, str] | None = None
) -> None:
    """Write `model.state_dict()` to `path`, in one step.

    Args:
        model: the module whose parameters and persistent buffers are written.
        path: the file, by custom `*.safetensors`.
        metadata: texts kept beside the weights.

    Raises:
        DataError: the file cannot be written; the old one is untouched.
    """
    save_safetensors(path, model.state_dict(), metadata)


def load_model(model: Module, path: str | os.PathLike[str], strict: bool = True) -> LoadResult:
    """Read weights from `path` into `model`, in place.

    Args:
        model: receives the values; its parameters stay the same objects, so an optimiser made
            before goes on working.
        path: a file whose names are PyTorch's (`features.0.weight`).
        strict: whether missing and unexpected names are an error.

    Returns:
        The missing and the unexpected names (both empty when strict).

    Raises:
        DataError: the file is damaged.
        ArgumentError: names that do not match, when strict.
        ShapeError: a tensor of another shape; the model is then unchanged.
    """
    tensors, _ = load_safetensors(path)
    return model.load_state_dict(tensors, strict=strict)
