"""Layers that are matrix products or look rows up, and changes of shape."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

import rot180.nn.functional as F
from rot180.errors import ArgumentError
from rot180.nn.arguments import count
from rot180.nn.init import init_by_name, normal_, uniform_around
from rot180.nn.module import Module
from rot180.nn.parameter import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rot180.core import ArrayLike, Tensor

__all__ = ["Bilinear", "Embedding", "Flatten", "Identity", "Linear", "Unflatten"]


class Linear(Module):
    """z = x · Wᵀ + b over the last axis.

    Args:
        in_features: size of the last axis of x.
        out_features: size of the last axis of z.
        bias: whether to add b.
        init: name of the weight's initialiser (`init_by_name`); any but "default" starts b at 0.
        generator: where the first values come from; the default generator when not given.

    Attributes:
        weight: (out_features, in_features).
        bias: (out_features,) or None.

    Raises:
        ArgumentError: features below 1, or an unknown initialiser.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: str = "default",
        generator: np.random.Generator | None = None,
    ) -> None:
        self.in_features = count(self, "in_features", in_features)
        self.out_features = count(self, "out_features", out_features)
        self.weight = Parameter(np.empty((out_features, in_features), np.float32))
        init_by_name(init)(self.weight, generator)
        self.bias = Parameter(np.zeros(out_features, np.float32)) if bias else None
        if self.bias is not None and init == "default":
            uniform_around(self.bias, in_features, generator)

    def forward(self, input: ArrayLike) -> Tensor:
        """(..., in_features) to (..., out_features)."""
        return F.linear(input, self.weight, self.bias)


class Bilinear(Module):
    """z[o] = Σ_{i, j} x[i] · W[o, i, j] · y[j] + b[o] over the last axes.

    Args:
        in1_features: size of the last axis of x.
        in2_features: size of the last axis of y.
        out_features: size of the last axis of z.
        bias: whether to add b.
        generator: where the first values come from; the default generator when not given.

    Attributes:
        weight: (out_features, in1_features, in2_features).
        bias: (out_features,) or None.

    Raises:
        ArgumentError: features below 1.
    """

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.in1_features = count(self, "in1_features", in1_features)
        self.in2_features = count(self, "in2_features", in2_features)
        self.out_features = count(self, "out_features", out_features)
        shape = (out_features, in1_features, in2_features)
        self.weight = Parameter(np.empty(shape, np.float32))
        uniform_around(self.weight, in1_features, generator)
        self.bias = Parameter(np.empty(out_features, np.float32)) if bias else None
        if self.bias is not None:
            uniform_around(self.bias, in1_features, generator)

    def forward(self, input1: ArrayLike, input2: ArrayLike) -> Tensor:
        """(..., in1_features) and (..., in2_features) to (..., out_features)."""
        return F.bilinear(input1, input2, self.weight, self.bias)


class Embedding(Module):
    """z[i] = W[input[i]]: a learned row for every index.

    Args:
        num_embeddings: number of rows.
        embedding_dim: size of a row.
        padding_idx: a row that starts at 0 and receives no gradient.
        generator: where the first values (standard normal) come from.

    Attributes:
        weight: (num_embeddings, embedding_dim).

    Raises:
        ArgumentError: sizes below 1, or a padding_idx that is no row.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.num_embeddings = count(self, "num_embeddings", num_embeddings)
        self.embedding_dim = count(self, "embedding_dim", embedding_dim)
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise ArgumentError(
                "Embedding: padding_idx",
                expected=f"a row, {-num_embeddings} to {num_embeddings - 1}",
                got=str(padding_idx),
            )
        self.padding_idx = padding_idx
        self.weight = Parameter(np.empty((num_embeddings, embedding_dim), np.float32))
        normal_(self.weight, generator=generator)
        if padding_idx is not None:
            self.weight.writable()[padding_idx] = 0.0

    def forward(self, input: ArrayLike) -> Tensor:
        """Integers of any shape (...) to (..., embedding_dim)."""
        return F.embedding(input, self.weight, self.padding_idx)


class Identity(Module):
    """z = x."""

    def forward(self, input: ArrayLike) -> ArrayLike:
        """The input itself."""
        return input


class Flatten(Module):
    """Axes from start_dim to end_dim become one; without arguments all but the batch.

    Args:
        start_dim: the first of them.
        end_dim: the last of them.
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, ...) to (N, cells)."""
        return F.flatten(input, self.start_dim, self.end_dim)


class Unflatten(Module):
    """One axis becomes several.

    Args:
        dim: the axis.
        unflattened_size: the sizes it is cut into; one of them may be -1.

    Raises:
        ArgumentError: no sizes, or more than one -1.
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        sizes = tuple(unflattened_size)
        if not sizes or sizes.count(-1) > 1 or math.prod(sizes) == 0 or min(sizes) < -1:
            raise ArgumentError(
                "Unflatten: unflattened_size",
                expected="sizes of at least 1, one of them may be -1",
                got=str(sizes),
            )
        self.dim = dim
        self.unflattened_size = sizes

    def forward(self, input: ArrayLike) -> Tensor:
        """(..., cells, ...) to (..., sizes, ...)."""
        return F.unflatten(input, self.dim, self.unflattened_size)
