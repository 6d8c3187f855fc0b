"""Matrix: patches as rows, z = M·w, δ_w = Mᵀ·δ, δ_x = fold(δ·wᵀ); and the sparse Toeplitz matrix.

The patch matrix writes a cell of x down once for every window that sees it; the Toeplitz matrix
writes a cell of w down once for every place it is used. Each has its transpose as its gradient.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Array, Form
from rot180.errors import ArgumentError
from rot180.explain.formula import Ref
from rot180.explain.geometry import Patches
from rot180.explain.text import write_number
from rot180.explain.views.relation import LIMIT, main_step, patches_or_none
from rot180.explain.views.view import View

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation
    from rot180.explain.tape import Step, Value

__all__ = ["Matrix"]


_WIDE = 1000
"""So many cells of the Toeplitz matrix are written as text."""


class Matrix(View):
    """A convolution as matrix products.

    Attributes:
        reading: "small" (z = M·w), "kernel" (δ_w = Mᵀ·δ) or "large" (δ_x = fold(δ·wᵀ)).
        places: integers, (groups, rows, columns): which cell of the large array stands in row
            (n, p) and column (c, r), as a position in row-major order; −1 is a zero of the padding.
        patches: M itself, with numbers; None for the reading "large", which needs no x.
        kernel: w as columns, (groups, columns, filters); None for the reading "kernel".
        outputs: z or δ as rows, (groups, rows, filters).
        product: M·w, Mᵀ·δ or δ·wᵀ, before it is folded.
        toeplitz: the sparse matrix of the same map, as a list of (row, column, Ref of w): rows are
            cells of the small array, columns cells of the large one, both in row-major order; its
            transpose is the map back. None for the reading "kernel".
        toeplitz_shape: (cells of the small array, cells of the large one).
    """

    name = "matrix"

    def __init__(self, explanation: Explanation, of: str) -> None:
        name = explanation[of].name
        step = main_step(explanation.values[name])
        patches = None if step is None else patches_or_none(step)
        if step is None or patches is None or patches.kernel is None:
            raise ArgumentError(
                f"explain: {name} of {explanation.title} is no product of a patch matrix",
                expected="an array that a convolution makes",
            )
        self._patches = patches
        self.reading = next(
            word
            for word, operand in (("large", patches.large), ("small", patches.small),
                                  ("kernel", patches.kernel))
            if operand.name == step.kind.output  # type: ignore[union-attr]
        )  # fmt: skip
        self.places = _places(patches)
        operands = _operands(step)
        large = operands.get(patches.large.name)
        self.patches = None if large is None else _taken(large.array, self.places)
        kernel, small = operands.get(patches.kernel.name), operands.get(patches.small.name)
        self.kernel = None if kernel is None else _columns(kernel.array, patches)
        self.outputs = None if small is None else _rows(small.array, patches)
        array, self.product = self._multiply(step)
        self._names = tuple("" if v is None else v.name for v in (small, large))
        self.toeplitz = None if kernel is None else _toeplitz(kernel, patches, self.places)
        self.toeplitz_shape = (math.prod(patches.small.shape), math.prod(patches.large.shape))
        super().__init__(explanation, name, array, step.output.array)

    def _multiply(self, step: Step) -> tuple[Array, Array]:
        shape = step.output.shape
        if self.reading == "small":
            assert self.patches is not None
            assert self.kernel is not None
            product = self.patches @ self.kernel
            return _rows_back(product, shape), product
        if self.reading == "kernel":
            assert self.patches is not None
            assert self.outputs is not None
            product = np.swapaxes(self.patches, 1, 2) @ self.outputs
            return _columns_back(product, self._patches), product
        assert self.outputs is not None
        assert self.kernel is not None
        product = self.outputs @ np.swapaxes(self.kernel, 1, 2)
        folded = np.zeros(math.prod(shape) + 1)  # the last cell collects what fell into padding
        np.add.at(folded, self.places.ravel(), product.ravel())
        return folded[:-1].reshape(shape), product

    def toeplitz_array(self) -> Array:
        """The sparse matrix written out, with numbers.

        Raises:
            ArgumentError: it has too many cells to be looked at.
        """
        rows, columns = self.toeplitz_shape
        if self.toeplitz is None or rows * columns > LIMIT * 10:
            raise ArgumentError(
                f"explain: the Toeplitz matrix of {self.explanation.title} is not written out",
                arithmetic=f"{rows} · {columns} = {rows * columns} cells",
            )
        dense = np.zeros(self.toeplitz_shape)
        for row, column, ref in self.toeplitz:
            dense[row, column] += self.explanation.number(ref)
        return dense

    def text(self) -> str:
        """The matrices of the first group, with numbers."""
        blocks = []
        small, large = self._names
        law = {"small": "M·w", "kernel": f"Mᵀ·{small}", "large": f"{small}·wᵀ"}[self.reading]
        blocks.append(f"{self.of} = {f'fold({law})' if self.reading == 'large' else law}")
        for letter, array in (
            (f"M({large})", self.patches),
            ("w", self.kernel),
            (small, self.outputs),
        ):
            if array is not None:
                blocks.append(f"{letter} =\n{_drawn(array[0])}")
        blocks.append(f"{law} =\n{_drawn(self.product[0])}")
        rows, columns = self.toeplitz_shape
        if self.toeplitz is not None and rows * columns <= _WIDE:
            law = f"T·{large}" if self.reading == "small" else f"Tᵀ·{small}"
            dense = _drawn(self.toeplitz_array(), empty="·")
            blocks.append(f"{self.of} = {law}, T =\n{dense}")
        return "\n".join(blocks)

    def to_dict(self) -> dict[str, Any]:
        """Matrices as nested lists, the Toeplitz matrix as triples."""
        lists = {
            key: None if value is None else value.tolist()
            for key, value in (("places", self.places), ("patches", self.patches),
                               ("kernel", self.kernel), ("outputs", self.outputs),
                               ("product", self.product))
        }  # fmt: skip
        triples = self.toeplitz
        sparse = (
            None
            if triples is None
            else [
                {"row": row, "column": column, "weight": list(ref.index)}
                for row, column, ref in triples
            ]
        )
        return {
            **super().to_dict(),
            **lists,
            "reading": self.reading,
            "toeplitz": sparse,
            "toeplitz_shape": list(self.toeplitz_shape),
        }


def _operands(step: Step) -> dict[str, Value]:
    form = step.kind
    assert isinstance(form, Form)
    return dict(zip((o.name for o in form.inputs), step.inputs, strict=True))


def _groups(patches: Patches) -> int:
    assert patches.kernel is not None
    return patches.large.shape[1] // patches.kernel.shape[1]


def _places(patches: Patches) -> Array:
    """Row (n, p), column (c, r), for each group: the position of the cell, or −1."""
    assert patches.kernel is not None
    batch, channels, *sizes = patches.large.shape
    groups = _groups(patches)
    per_group = channels // groups
    axes = patches.window.axes
    positions = patches.small.shape[2:]
    cells = batch * math.prod(positions) * channels * math.prod(patches.window.kernel)
    if cells > LIMIT * 50:
        raise ArgumentError(
            "explain: the patch matrix is too large", arithmetic=f"{cells} cells",
            rule="explain a smaller window",
        )  # fmt: skip
    lines = []
    for axis, size, count in zip(axes, sizes, positions, strict=True):
        h = np.add.outer(
            axis.stride * np.arange(count), axis.dilation * np.arange(axis.kernel) - axis.before
        )
        lines.append(np.where((h >= 0) & (h < size), h, -1))
    flat = np.zeros((1,) * (2 * len(axes)), np.int64)
    inside = np.ones_like(flat, bool)
    for i, (line, size) in enumerate(zip(lines, sizes, strict=True)):
        shape = [1] * (2 * len(axes))
        shape[i], shape[len(axes) + i] = line.shape
        flat = flat * size + np.maximum(line.reshape(shape), 0)
        inside = inside & (line.reshape(shape) >= 0)
    taps = math.prod(patches.window.kernel)
    plane = np.where(inside, flat, -1).reshape(math.prod(positions), taps)
    if patches.turned:
        plane = plane[:, ::-1]
    start = np.arange(batch * channels).reshape(batch, groups, per_group) * math.prod(sizes)
    moved = start.transpose(1, 0, 2)[:, :, None, :, None] + plane[None, None, :, None, :]
    moved = np.where(plane[None, None, :, None, :] >= 0, moved, -1)
    return moved.reshape(groups, batch * math.prod(positions), per_group * taps)


def _taken(array: Array, places: Array) -> Array:
    flat = np.append(np.asarray(array, np.float64).ravel(), 0.0)
    taken: Array = flat[places]
    return taken


def _columns(w: Array, patches: Patches) -> Array:
    groups = _groups(patches)
    filters = w.shape[0] // groups
    columns: Array = np.asarray(w, np.float64).reshape(groups, filters, -1).transpose(0, 2, 1)
    return columns


def _columns_back(product: Array, patches: Patches) -> Array:
    assert patches.kernel is not None
    kernel: Array = product.transpose(0, 2, 1).reshape(patches.kernel.shape)
    return kernel


def _rows(small: Array, patches: Patches) -> Array:
    groups = _groups(patches)
    batch, filters = small.shape[:2]
    parts = np.asarray(small, np.float64).reshape(batch, groups, filters // groups, -1)
    rows: Array = parts.transpose(1, 0, 3, 2).reshape(groups, -1, filters // groups)
    return rows


def _rows_back(product: Array, shape: tuple[int, ...]) -> Array:
    groups, _, filters = product.shape
    parts = product.reshape(groups, shape[0], -1, filters)
    small: Array = parts.transpose(1, 0, 3, 2).reshape(shape)
    return small


def _toeplitz(kernel: Value, patches: Patches, places: Array) -> list[tuple[int, int, Ref]] | None:
    groups, rows, columns = places.shape
    filters = kernel.shape[0] // groups
    if groups * rows * columns * filters > LIMIT:
        return None
    positions = math.prod(patches.small.shape[2:])
    found = []
    for g, row, k in itertools.product(range(groups), range(rows), range(filters)):
        n, p = divmod(row, positions)
        small = (n * groups * filters + g * filters + k) * positions + p
        for column in range(columns):
            large = int(places[g, row, column])
            if large >= 0:
                index = np.unravel_index((g * filters + k) * columns + column, kernel.shape)
                found.append((small, large, Ref(kernel.name, tuple(int(i) for i in index))))
    return sorted(found, key=lambda entry: entry[:2])


def _drawn(matrix: Array, empty: str = "0") -> str:
    words = [
        [write_number(float(x)).replace("-", "−") if x else empty for x in row] for row in matrix
    ]
    width = max((len(word) for row in words for word in row), default=1)
    return "\n".join(" ".join(word.rjust(width) for word in row) for row in words)
