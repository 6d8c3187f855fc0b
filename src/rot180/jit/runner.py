"""Runner: a plan with its machine code, its memory and its table of calls. One call is one step."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from rot180.core.kinds import Array
from rot180.errors import ShapeError
from rot180.jit import driver, waiting
from rot180.jit._version import code_version
from rot180.jit.cache import Cache, default_folder
from rot180.jit.emission.kernel import Kernel, key
from rot180.jit.emission.target import Target
from rot180.jit.engine import Code, compile_object
from rot180.jit.gate import LOSS, gate_row, word_of_exponent
from rot180.jit.planning.arena import ALIGNMENT
from rot180.jit.planning.legality import check_plan
from rot180.jit.planning.plan import Name, Plan
from rot180.jit.threads import run_together

__all__ = ["Runner", "disk_cache"]

LOOKS = 1 << 13
"""How often a thread looks for the next step before it parks: a fraction of a millisecond."""


@functools.cache
def disk_cache() -> Cache:
    """The cache of this process."""
    return Cache(default_folder())


class _Library:
    """Functions of this process by key: a kernel is loaded once, whoever asks for it."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self._code = Code(target)
        self._addresses: dict[str, int] = {}
        self._lock = threading.Lock()

    def address(self, name: str, emit: Callable[[str], Any]) -> int:
        """Where the function of a key stands; it is compiled and loaded the first time."""
        with self._lock:
            if name not in self._addresses:
                code = disk_cache().get(name, lambda: compile_object(str(emit(name)), self.target))
                self._code.add(code)
                self._addresses[name] = self._code.address(name)
            return self._addresses[name]

    def kernel(self, kernel: Kernel) -> int:
        """Where a kernel stands."""
        name = key(kernel, self.target, code_version())
        return self.address(name, lambda name: kernel.emit(name, self.target))

    def driver(self) -> Any:
        """The driver as a callable."""
        name = f"{driver.NAME}_{code_version()}_{self.target.name}"
        address = self.address(name, lambda name: driver.driver_module(self.target, name))
        words = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
        return ctypes.CFUNCTYPE(None, *words, ctypes.c_void_p, ctypes.c_void_p)(address)

    def linger(self) -> Any:
        """The driver's way of waiting for the next step, as a callable of (counter, goal)."""
        name = f"rot180_linger_{code_version()}_{self.target.name}"
        address = self.address(name, lambda name: waiting.linger_module(self.target, name))
        words = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)
        function, give_way = ctypes.CFUNCTYPE(None, *words)(address), waiting.give_way()
        return lambda counter, goal: function(counter, goal, LOOKS, give_way)


library = functools.cache(_Library)


def aligned(size: int) -> Array:
    """So many bytes of zeros that begin at a cache line."""
    memory = np.zeros(size + ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % ALIGNMENT
    return memory[start : start + size]


class Runner:
    """See the module.

    Attributes:
        plan: what it runs.
        outputs: for each output of the program its array, which the next step overwrites.
    """

    def __init__(self, plan: Plan) -> None:
        check_plan(plan)
        self.plan = plan
        self._library = library(plan.target)
        self._slots: dict[Name, list[tuple[int, int]]] = {}
        self._held: dict[Name, Array] = {}
        self._tables: list[Array] = []
        calls = np.zeros(len(plan.rows), driver.CALL)
        for at, row in enumerate(plan.rows):
            own = any(plan.buffers[name].each for name in row.arrays)
            table = np.zeros((row.parts if own else 1, len(row.arrays)), np.int64)
            self._tables.append(table)
            for slot, name in enumerate(row.arrays):
                if plan.buffers[name].offset is None:
                    self._slots.setdefault(name, []).append((at, slot))
            call = calls[at]
            call["function"] = self._library.kernel(row.call.kernel)
            call["arrays"], call["step"] = table.ctypes.data, table.strides[0] if own else 0
            call["parts"], call["barrier"], call["span"] = row.parts, row.barrier, row.span
        self._lay_out(aligned(plan.size))
        self._calls = calls
        self._driver = self._library.driver()
        self._linger = self._library.linger()
        self._meeting = aligned(ALIGNMENT)[: waiting.MEETING.itemsize]
        self._entered = self._meeting.view(waiting.MEETING)["entered"]
        self._table = calls.ctypes.data, len(calls)
        self._shared = self._meeting.ctypes.data, waiting.system_function()
        self.outputs: dict[str, Array] = {}
        self._given: list[tuple[Name, Array]] = []
        given = {v.number for v in plan.program.values if v.role != "computed"}
        for output, place in plan.outputs.items():
            value = plan.program.value(dict(plan.program.outputs)[output])
            if place in given:  # no kernel makes it; the step may overwrite it
                self.outputs[output] = np.zeros(value.shape, value.dtype)
                self._given.append((place, self.outputs[output]))
            elif place in self._slots or place not in plan.buffers:
                if place not in self._held:  # two outputs may be views of one value
                    self._point(place, np.zeros(value.shape, value.dtype))
                self.outputs[output] = self._held[place].reshape(value.shape)
        for number, array in plan.program.constants.items():
            self._point(number, np.ascontiguousarray(array))
        self._numbers: dict[Name, Array] = {}
        for value in plan.program.of_role("scalar"):  # given anew at every step
            self._numbers[value.number] = np.zeros((), value.dtype)
            self._point(value.number, self._numbers[value.number])
        gate = gate_row(plan)
        if gate is not None:
            loss = self.outputs[LOSS]
            calls[gate]["barrier"] = 1
            word = word_of_exponent(loss.ctypes.data, loss.itemsize)
            calls[gate]["gate"], calls[gate]["mask"] = word

    def _lay_out(self, memory: Array) -> None:
        """Let all tables point into an arena."""
        plan, self._arena = self.plan, memory
        for row, table in zip(plan.rows, self._tables, strict=True):
            for slot, name in enumerate(row.arrays):
                buffer = plan.buffers[name]
                if buffer.offset is not None:
                    for part in range(len(table)):
                        place = buffer.address(part, plan.parts, row.parts)
                        table[part, slot] = memory.ctypes.data + place

    def _point(self, name: Name, array: Array) -> None:
        """Let a name outside of the arena stand for an array; nothing to do if it does already."""
        if self._held.get(name) is array:
            return
        self._held[name] = array
        address = array.ctypes.data
        for row, slot in self._slots.get(name, ()):
            self._tables[row][:, slot] = address

    def profile(self) -> list[tuple[str, str, float]]:
        """Where the latest step's time went: (task, kernel, share) for every call or segment.

        The time between two calls, in which thread 0 waits for the others, is the second one's.
        """
        timed = [row for row in self.plan.rows if row.span]
        places = [at for at, row in enumerate(self.plan.rows) if row.span]
        begun, ended = (self._calls[name][places].astype(np.int64) for name in ("begun", "ended"))
        start = np.concatenate([begun[:1], ended[:-1]])
        share = (ended - start) / max(1, int(ended[-1] - begun[0]))
        names = [
            (
                row.title,
                type(row.call.kernel).__name__ if row.span == 1 else f"segment of {row.span}",
            )
            for row in timed
        ]
        return [(*name, float(part)) for name, part in zip(names, share, strict=True)]

    def __call__(self, feeds: Mapping[Name, Array]) -> dict[str, Array]:
        """Run once.

        Args:
            feeds: for every name outside of the arena its array, row-major; those that are written
                are written in place.

        Raises:
            ShapeError: an array that is not row-major in memory.
        """
        held = self._held
        for name, array in feeds.items():
            if held.get(name) is array:
                continue
            if name in self._numbers:  # a new array at every step: cheaper copied than pointed at
                self._numbers[name][...] = array
                continue
            if not array.flags.c_contiguous:
                raise ShapeError(
                    "compiled step: an array must be row-major in memory",
                    got=f"{name} of shape {array.shape} with strides {array.strides}",
                )
            self._point(name, array)
        for name, output in self._given:
            output[...] = held[name].reshape(output.shape)
        self._meeting.fill(0)
        run_together(self._work, self.plan.parts, self._linger)
        return self.outputs

    def _work(self, part: int, parts: int) -> None:
        if part == 0 and self._entered[0]:  # Ctrl-C came after the native code
            return
        self._driver(*self._table, part, parts, *self._shared)
