"""Winograd convolution: r×r taps, stride 1, over tiles of m×m outputs; lanes are images.

Direct, one output cell costs C·r² products. Over tiles, with t = m + r − 1:

    for tiles in groups of T                       V[ξ,c,tile] = Bᵀ x B       t·t values a tile
        for ξ in t·t:  M[ξ,k,tile] = Σ_c U[ξ,c,k] · V[ξ,c,tile]               t·t·C products
        z[k, tile] = Aᵀ M A                        m·m outputs a tile

that is t²/m² products per output and channel: of 3×3 taps 4 by F(2×2) and 2.25 by F(4×4), of 5×5
taps 4 by F(4×4). T is chosen so that V and M stay in the second cache, or U is not read too often.
U = G w Gᵀ is made once a step by `TransformWeights`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.jit.emission.blocking import cut, register_block
from rot180.jit.emission.emit import Emitter
from rot180.jit.emission.kernel import ByBlocks
from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import Target
from rot180.jit.families import toomcook
from rot180.jit.families.tiling import Tiling

__all__ = ["Correlate", "Points"]


@dataclass(frozen=True)
class Points:
    """Where the values of tiles at the points stand: [ξ][channel][tile][lane].

    Attributes:
        tiling: m and r.
        channels, tiles, lanes: how many.
    """

    tiling: Tiling
    channels: int
    tiles: int
    lanes: int

    @property
    def apart(self) -> int:
        """Elements from ξ to ξ."""
        return self.tiling.apart(self.tiles, self.channels, self.lanes)

    @property
    def size(self) -> int:
        """Elements in all."""
        return self.tiling.points * self.apart

    def place(self, k: Emitter, xi: Any, channel: Any, tile: Any) -> Any:
        """Offset of one vector."""
        return k.at((xi, self.apart), (channel, self.tiles * self.lanes), (tile, self.lanes))


@dataclass(frozen=True)
class Correlate(ByBlocks):
    """z = correlation of x with a kernel whose transform is U.

    Attributes:
        tiling: m, r and dilation.
        x: where the input lies; its halo covers the padding and what the last tiles overhang.
        z: where the output goes.
        before: padding before the first row and column.
        filtered: whether the input's channels are the filters of U (the input gradient's are).
        bias: add a bias for each output channel.
        relu: keep the positive part only.
        mask: where the result of a ReLU lies, for z's cells: 0 where it is not positive.
        plus: where something that is added lies, for z's cells (before ReLU and mask).
    """

    tiling: Tiling
    x: Planes
    z: Planes
    before: tuple[int, int]
    filtered: bool = False
    bias: bool = False
    relu: bool = False
    mask: Planes | None = None
    plus: Planes | None = None
    dtype: str = "float32"

    @property
    def arrays(self) -> tuple[str, ...]:
        """Names of the arrays, in the order of the kernel's table."""
        tail = [*(("bias",) if self.bias else ()), *(("plus",) if self.plus else ())]
        tail += ["mask"] if self.mask else []
        return ("x", "u", *tail, "z", "scratch")

    @property
    def tiles(self) -> tuple[int, int]:
        """Tiles along both axes."""
        return self.tiling.counts(self.z.sizes)

    def group(self, target: Target) -> int:
        """T."""
        sides = self.x.channels, self.z.channels
        return self.tiling.together(math.prod(self.tiles), sides, target, self.dtype, 2 / 3)

    def units(self, target: Target) -> int:
        """Groups of tiles."""
        return self.x.blocks * math.prod(self.tiles) // self.group(target)

    def places(self, tiles: int, lanes: int) -> tuple[Points, Points]:
        """V and M of so many tiles."""
        return (
            Points(self.tiling, self.x.channels, tiles, lanes),
            Points(self.tiling, self.z.channels, tiles, lanes),
        )

    def scratch(self, target: Target) -> int:
        """Elements of scratch that each part needs."""
        v, m = self.places(self.group(target), target.lanes(np.dtype(self.dtype)))
        return v.size + m.size

    def emit(self, name: str, target: Target) -> Any:
        """The loop nest above; one work unit is a group of tiles of one block of images."""
        k = Emitter(name, self.arrays, target, np.dtype(self.dtype))
        group = self.group(target)
        v, m = self.places(group, k.lanes)
        at_v = k.pointer("scratch", k.at((k.worker, self.scratch(target))))
        at_m = k.pointer(at_v, v.size)
        per_block = math.prod(self.tiles) // group
        first, after = k.share(self.units(target))
        with k.loop(first, after) as unit:
            block, number = k.divmod(unit, per_block)
            with k.loop(0, group) as j:
                self.transform(k, block, k.at((number, group), j), (at_v, v, j))
            with k.loop(0, self.tiling.points) as xi:
                self.multiply(k, xi, (at_v, v), (at_m, m))
            with k.loop(0, group) as j:
                self.inverse(k, block, k.at((number, group), j), (at_m, m, j))
        return k.finish()

    def transform(self, k: Emitter, block: Any, tile: Any, into: tuple[Any, Points, Any]) -> None:
        """V[ξ, c, j] = (Bᵀ x B)[ξ] for the channels c of a tile; `into` is (V, its places, j)."""
        _, _, bt = self.tiling.matrices
        t, x = self.tiling.cells, self.x
        v, points, j = into
        first = self._first(k, tile)
        corner = k.at(
            (block, x.stack),
            *zip(first, x.steps, strict=True),
            x.origin(-self.before[0], -self.before[1]),
        )
        with k.loop(0, x.channels) as c:
            cells = self._cells(k, k.at(corner, (c, x.plane)))
            lines = [toomcook.apply(k, bt, [cells[a][b] for a in range(t)]) for b in range(t)]
            for a in range(t):
                row = toomcook.apply(k, bt, [lines[b][a] for b in range(t)])
                for b, value in enumerate(row):
                    k.store(value, v, points.place(k, a * t + b, c, j))

    def blocks(self, target: Target, tiles: int) -> tuple[int, int]:
        """(tiles, channels of the output) of a register block."""
        return register_block(target.registers, tiles, self.z.channels)

    def _first(self, k: Emitter, tile: Any) -> list[Any]:
        """Row and column of the first output of a tile."""
        return self.tiling.first(k, tile, self.tiles[1])

    def _cells(self, k: Emitter, corner: Any) -> list[list[Any]]:
        """The t × t inputs of a tile."""
        down, right = self.tiling.steps(self.x)
        cells = range(self.tiling.cells)
        return [[k.load("x", k.at(corner, a * down + b * right)) for b in cells] for a in cells]

    def multiply(
        self, k: Emitter, xi: Any, v: tuple[Any, Points], m: tuple[Any, Points],
        made: tuple[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        """M[ξ] = U[ξ]ᵀ · V[ξ] in register blocks of `width` tiles by `height` channels, for all
        channels of the output or for those that are `made`: from a first one to before a last one.
        """
        (at_v, inputs), (at_m, outputs) = v, m
        channels, filters = self.x.channels, self.z.channels
        width, height = self.blocks(k.target, inputs.tiles)
        apart = self.tiling.pairs(filters, channels)
        deep, wide = (filters, 1) if self.filtered else (1, channels)
        for w0, w1, span in cut(inputs.tiles, width):
            for k0, k1, tall in _within(k, made, cut(filters, height)):
                with k.loop(w0, w1, span) as j, k.loop(k0, k1, tall) as o:
                    sums = [[k.variable(k.constant(0.0)) for _ in range(span)] for _ in range(tall)]
                    with k.loop(0, channels) as c:
                        base = inputs.place(k, xi, c, j)
                        columns = [k.load(at_v, k.at(base, b * k.lanes)) for b in range(span)]
                        weights = k.at((xi, apart), (c, deep), (o, wide))
                        for a in range(tall):
                            weight = k.broadcast("u", k.at(weights, a * wide))
                            for b in range(span):
                                sums[a][b].set(k.fma(weight, columns[b], sums[a][b].get()))
                    for a in range(tall):
                        base = outputs.place(k, xi, k.at(o, a), j)
                        for b in range(span):
                            k.store(sums[a][b].get(), at_m, k.at(base, b * k.lanes))

    def inverse(
        self, k: Emitter, block: Any, tile: Any, of: tuple[Any, Points, Any],
        made: tuple[Any, Any] | None = None,
    ) -> None:  # fmt: skip
        """The outputs of a tile, Aᵀ M A, and the tail; `of` is (M, its places, j)."""
        at, _, _ = self.tiling.matrices
        t, z = self.tiling.cells, self.z
        m, points, j = of
        first = self._first(k, tile)
        corners = {
            array: k.at(
                (block, planes.stack), *zip(first, planes.steps, strict=True), planes.origin()
            )
            for array, planes in (("z", z), ("mask", self.mask), ("plus", self.plus))
            if planes is not None
        }
        with k.loop(*(made or (0, z.channels))) as o:
            cells = [k.load(m, points.place(k, xi, o, j)) for xi in range(t * t)]
            lines = [toomcook.apply(k, at, cells[b::t]) for b in range(t)]
            bias = k.broadcast("bias", o) if self.bias else None
            rows = range(self.tiling.outputs)
            values = [toomcook.apply(k, at, [lines[b][a] for b in range(t)]) for a in rows]
            if bias is not None:
                values = [[k.add(value, bias) for value in row] for row in values]
            self._put(k, values, first, corners, o)

    def _put(
        self, k: Emitter, values: list[list[Any]], first: list[Any], corners: dict[str, Any], o: Any
    ) -> None:
        """Write those of the m × m outputs of a tile that lie inside of the plane."""
        for a, row in enumerate(values):
            for b, value in enumerate(row):
                inside = self._inside(first, (a, b))
                if inside is not None:
                    with k.all_below(inside):
                        self._write(k, value, corners, o, a, b)

    def _inside(self, first: list[Any], output: tuple[int, int]) -> list[tuple[Any, int]] | None:
        """What holds where an output of a tile lies inside of the plane; None: it never does."""
        bounds = []
        axes = zip(first, output, self.tiling.dilation, self.z.sizes, strict=True)
        for (place, at, d, size), over in zip(
            axes, self.tiling.overhang(self.z.sizes), strict=True
        ):
            end = size - at * d
            if end <= 0:
                return None
            if over > (self.tiling.outputs - 1 - at) * d:
                bounds.append((place, end))
        return [(place, end) for place, end in bounds if not isinstance(place, int)]

    def _write(
        self, k: Emitter, value: Any, corners: dict[str, Any], o: Any, a: int, b: int,
        live: int | None = None,
    ) -> None:  # fmt: skip
        """The tail: what is added, ReLU and mask, and the way into z of the first `live` lanes."""
        lanes = value.type.count

        def where(array: str, planes: Planes) -> Any:
            down, right = self.tiling.steps(planes)
            return k.at(corners[array], (o, planes.plane), a * down + b * right)

        if self.plus is not None:
            value = k.add(value, k.load("plus", where("plus", self.plus), lanes))
        if self.relu:
            value = k.relu(value)
        if self.mask is not None:
            value = k.masked(value, k.load("mask", where("mask", self.mask), lanes))
        k.store(value, "z", where("z", self.z), live)


def _within(
    k: Emitter, made: tuple[Any, Any] | None, loops: list[tuple[int, int, int]]
) -> list[tuple[Any, Any, int]]:
    """What of some loops lies from a first number, which is one of theirs, to before a last one."""
    if made is None:
        return [*loops]
    return [(k.maximum(a, made[0]), k.minimum(b, made[1]), step) for a, b, step in loops]
