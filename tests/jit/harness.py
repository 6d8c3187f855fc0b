"""Run one kernel under guard: what every test of a kernel family needs.

    z = run(kernel, {"x": given(x, planes), "w": given(w), "z": blank(planes_z, "float32")})["z"]

Arrays go in and come out in NumPy's order; `run` packs them into their layouts, calls the kernel
for every part and checks that nothing else was written: no guard byte around a buffer, no halo
cell, no input. Outputs and scratch hold NaN before, and so do the guards, so that a cell that was
forgotten, or a read beyond the slack, is seen in the result.
"""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from rot180.jit.emission.kernel import Kernel
from rot180.jit.emission.layout import Layout, Planes, plain
from rot180.jit.emission.target import TARGETS, Target, host
from rot180.jit.engine import Code, compile_object

__all__ = ["RUNNABLE", "Buffer", "blank", "code_of", "given", "pack", "places", "run", "unpack"]

Array = npt.NDArray[Any]
GUARD = 256  # bytes on either side of a buffer; at least the 64 of slack that a kernel may read


def _runnable() -> list[str]:
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    if host().name == "neon":
        return ["neon"]
    needed = {"avx512": "avx512vl", "avx2": "fma", "sse2": "sse2"}
    return [name for name, feature in needed.items() if features.get(feature)]


RUNNABLE = _runnable()
"""Names of the targets whose code this processor can run."""


def places(where: Layout | Planes) -> Array:
    """The offset of every cell of a layout, in the value's shape."""
    layout = where.layout if isinstance(where, Planes) else where
    total = np.full(layout.shape, layout.origin, np.int64)
    for axis, (size, stride) in enumerate(zip(layout.shape, layout.strides, strict=True)):
        i = np.arange(size).reshape((size,) + (1,) * (len(layout.shape) - 1 - axis))
        block = layout.block if axis == 0 else 1
        total += i // block * stride + i % block
    return total


def pack(array: Array, where: Layout | Planes, rest: float = 0) -> Array:
    """The flat memory of a value; halo and dead lanes hold `rest`."""
    flat = np.full(where.size, rest, array.dtype)
    flat[places(where)] = array
    return flat


def unpack(flat: Array, where: Layout | Planes) -> Array:
    """The value that lies in flat memory."""
    return np.asarray(flat[places(where)])


@dataclass(eq=False)
class Buffer:
    """One array of a kernel. The same buffer under two names is the same memory.

    Attributes:
        flat: what it holds before.
        where: its layout.
        written: whether the kernel writes it; otherwise it must be as before.
    """

    flat: Array
    where: Layout | Planes
    written: bool


def given(
    array: npt.ArrayLike, where: Layout | Planes | None = None, written: bool = False
) -> Buffer:
    """An input with halo zeros (NumPy's own order without a layout); `written`: also an output."""
    array = np.asarray(array)
    where = plain(array.shape) if where is None else where
    return Buffer(pack(array, where), where, written)


def blank(where: Layout | Planes | tuple[int, ...], dtype: str) -> Buffer:
    """An output: cells and dead lanes hold NaN (integers: −1, bytes of ones), the halo zeros."""
    where = plain(where) if isinstance(where, tuple) else where
    flat = np.zeros(where.size, dtype)
    flat[_lanes(where)] = _poison(1, dtype)[0]
    return Buffer(flat, where, True)


def _lanes(where: Layout | Planes) -> Array:
    """Offsets of all cells, those of images that only fill up the last block included."""
    layout = where.layout if isinstance(where, Planes) else where
    if layout.block == 1:
        return places(layout)
    full = -(-layout.shape[0] // layout.block) * layout.block
    shape = (full, *layout.shape[1:])
    return places(Layout(shape, layout.strides, layout.block, layout.origin, layout.size))


def _poison(count: int, dtype: Any) -> Array:
    """All bits set: NaN in every float type."""
    return np.full(count * np.dtype(dtype).itemsize, 255, np.uint8).view(dtype)


class _Guarded:
    """A copy of an array between two guards, on a 64-byte boundary."""

    def __init__(self, flat: Array) -> None:
        room = np.full(flat.nbytes + 2 * GUARD + 64, 255, np.uint8)
        start = GUARD + -(room.ctypes.data + GUARD) % 64
        self.before, self.after = room[:start], room[start + flat.nbytes :]
        self.flat = room[start : start + flat.nbytes].view(flat.dtype)
        self.flat[:] = flat
        self._room = room

    def check(self, name: str) -> None:
        assert (self.before == 255).all(), f"{name}: written in front of the array"
        assert (self.after == 255).all(), f"{name}: written behind the array"


@functools.lru_cache(maxsize=64)
def code_of(kernel: Kernel, target: Target) -> bytes:
    """Machine code of a kernel, also for targets that cannot run here."""
    return compile_object(str(kernel.emit("kernel", target)), target)


@functools.lru_cache(maxsize=64)
def _function(kernel: Kernel, target: Target) -> tuple[Code, Callable[..., None]]:
    code = Code(target)
    code.add(code_of(kernel, target))
    return code, code.function("kernel")


def run(
    kernel: Kernel,
    buffers: Mapping[str, Buffer],
    target: str | Target = "",
    parts: int = 1,
    threads: bool = False,
) -> dict[str, Array]:
    """Run a kernel once and check its manners.

    Args:
        kernel: the descriptor.
        buffers: one for each of its arrays but "scratch".
        target: a target or its name; "" for the host's.
        parts: how many parts share the work.
        threads: run the parts at once; otherwise one after the other, the last part first.

    Returns:
        The value of every buffer that is written, by name.
    """
    chosen = target if isinstance(target, Target) else TARGETS[target] if target else host()
    _code, function = _function(kernel, chosen)
    guarded = {id(b): _Guarded(b.flat) for b in buffers.values()}
    memory = {name: guarded[id(b)] for name, b in buffers.items()}
    if "scratch" in kernel.arrays:
        count = parts * kernel.scratch(chosen)  # type: ignore[attr-defined]
        memory["scratch"] = _Guarded(_poison(count, kernel.dtype))
    assert set(memory) == set(kernel.arrays), f"{sorted(memory)} for {kernel.arrays}"
    pointers = [memory[name].flat.ctypes.data for name in kernel.arrays]
    table = (ctypes.c_void_p * len(pointers))(*pointers)
    if threads:
        calls = [threading.Thread(target=function, args=(table, p, parts)) for p in range(parts)]
        for call in calls:
            call.start()
        for call in calls:
            call.join()
    else:
        for part in reversed(range(parts)):
            function(table, part, parts)
    for name, room in memory.items():
        room.check(name)
    for name, buffer in buffers.items():
        _check_rest(name, buffer, memory[name].flat)
    return {n: unpack(memory[n].flat, b.where) for n, b in buffers.items() if b.written}


def _check_rest(name: str, buffer: Buffer, now: Array) -> None:
    """What is not an output cell is as before, bit by bit."""
    kept = np.ones(buffer.flat.size, bool)
    if buffer.written:
        kept[_lanes(buffer.where)] = False
    changed = buffer.flat[kept].tobytes() != now[kept].tobytes()
    assert not changed, f"{name}: {'halo' if buffer.written else 'input'} was written"
