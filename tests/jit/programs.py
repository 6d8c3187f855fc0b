"""Whole programs under guard: planned, compiled and run beside the reference reader.

The arena holds NaN before the step wherever a step may not rely on zeros, that is everywhere but
in the halos, and stands between two guards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
from harness import GUARD

import rot180 as rt
from rot180.core import Program
from rot180.jit import Plan, Runner, Target, host, make_plan
from rot180.jit.emission.layout import Planes
from rot180.jit.planning.arena import ALIGNMENT

__all__ = ["compared", "halo_cells", "poisoned", "random_model"]

Array = np.ndarray[Any, Any]


def halo_cells(plan: Plan) -> Array:
    """For every byte of the arena whether it belongs to a halo, in which kernels find zeros."""
    found = np.zeros(plan.size, bool)
    for row in plan.rows:
        for name, array in zip(row.arrays, row.call.kernel.arrays, strict=True):
            planes = _planes(row.call.kernel, array)
            buffer = plan.buffers[name]
            if planes is None or buffer.offset is None:
                continue
            blocks = 1 if buffer.each else planes.blocks
            inside = np.zeros((blocks, planes.channels, *planes.extents, planes.block), bool)
            axes = zip(planes.before, planes.sizes, strict=True)
            inside[(slice(None), slice(None), *(slice(b, b + s) for b, s in axes))] = True
            size = np.dtype(buffer.dtype).itemsize
            halo = np.repeat(~inside.ravel(), size)
            for start, _ in buffer.spans(plan.parts):
                found[start : start + halo.size] |= halo
    return found


def _planes(kernel: Any, array: str) -> Planes | None:
    """The planes that an array of a kernel lies in, if the kernel names them as the array."""
    whole = getattr(kernel, "whole", None)
    kernel = whole if is_dataclass(whole) else kernel  # one loop of a kernel
    for field in fields(kernel):
        value = getattr(kernel, field.name)
        if field.name == array and isinstance(value, Planes):
            return value
    return None


def poisoned(runner: Runner) -> Callable[[], None]:
    """Put NaN into the arena and guards around it; returns a check of the guards."""
    plan = runner.plan
    room = np.full(plan.size + 2 * GUARD + ALIGNMENT, 255, np.uint8)
    start = GUARD + -(room.ctypes.data + GUARD) % ALIGNMENT
    arena = room[start : start + plan.size]
    arena[halo_cells(plan)] = 0
    runner._lay_out(arena)

    def check() -> None:
        assert (room[:start] == 255).all(), "written in front of the arena"
        assert (room[start + plan.size :] == 255).all(), "written behind the arena"

    return check


def compared(
    program: Program, parts: int, given: dict[str, Array], bound: float, *,
    precision: str = "fast", target: Target | None = None,
) -> Plan:  # fmt: skip
    """Run a program by the reference reader and compiled; every result must agree.

    Args:
        program: traced.
        parts: number of threads.
        given: an array for each input.
        bound: the largest error relative to the largest value, of each output and written value.
        precision: as in `make_plan`.
        target: what to emit for, the host by default.
    """
    feeds = {n: np.array(a) for n, a in program.feeds(**given).items()}
    outputs, written = program.run(feeds)
    plan = make_plan(program, target or host(), parts, precision=precision)
    runner = Runner(plan)
    check = poisoned(runner)
    for attempt in range(2):  # the second step finds what the first one left
        own: dict[Any, Array] = {n: np.array(a) for n, a in feeds.items()}
        before = {name: array.copy() for name, array in given.items()}
        made = runner({**own, **{("input", name): array for name, array in given.items()}})
        check()
        for name, array in given.items():
            assert array.tobytes() == before[name].tobytes(), f"input {name} was written"
        _agree({f"output {n}": (made[n], outputs[n]) for n in outputs}, bound, attempt)
        words = {n: program.value(n).name for n in written}
        _agree({words[n]: (own[n], written[n]) for n in written}, bound, attempt)
        kept = set(feeds) - set(written)
        assert all(own[n].tobytes() == feeds[n].tobytes() for n in kept), "what is read was written"
    return plan


def _agree(pairs: dict[str, tuple[Array, Array]], bound: float, attempt: int) -> None:
    for name, (made, expected) in pairs.items():
        expected = np.asarray(expected)
        assert made.shape == expected.shape, name
        if expected.dtype.kind != "f":
            np.testing.assert_array_equal(made, expected, err_msg=name)
            continue
        scale = max(1e-3, float(np.abs(expected).max(initial=0)))
        worst = float(np.abs(made - expected).max(initial=0)) / scale
        assert worst <= bound, f"step {attempt}: {name} of shape {made.shape} is off by {worst:.1e}"


def random_model(rng: np.random.Generator, axes: int, dtype: str) -> tuple[Any, Any]:
    """A small model, and the shape of one input (C, spatial...)."""
    from rot180 import nn

    shape = (int(rng.integers(1, 6)), *(int(rng.integers(5, 14)) for _ in range(axes)))
    x = rt.tensor(np.zeros((2, *shape), dtype))
    layers: list[Any] = []
    while len(layers) < 7:
        layer = _random_layer(nn, rng, x.shape[1:], axes)
        layer = layer.to(dtype)
        x = layer(x)
        layers.append(layer)
        if rng.random() < 0.15:
            break
    model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(int(np.prod(x.shape[1:])), 4))
    return model.to(dtype), shape


def _random_layer(nn: Any, rng: np.random.Generator, shape: tuple[int, ...], axes: int) -> Any:
    c, smallest = shape[0], min(shape[1:])

    def one(*choices: Any) -> Any:
        return choices[int(rng.integers(len(choices)))]

    def of(name: str) -> Any:
        return getattr(nn, f"{name}{axes}d")

    kinds = ["conv", "conv", "conv", "relu", "activation", "norm", "group", "transpose", "pad"]
    if smallest >= 3:
        kinds += ["max", "mean", "conv"]
    if smallest >= 14:
        kinds = ["max", "mean"]
    if axes == 2:
        kinds += ["same", "same", "upsample"] if smallest < 8 else ["same", "same"]
    kind = one(*kinds)
    if kind == "conv":
        groups = one(1, 1, 1, c)
        kernel = int(rng.integers(1, min(smallest, 4) + 1))
        return of("Conv")(
            c, groups * one(1, 2, 3), kernel, one(1, 1, 2), int(rng.integers(0, kernel)),
            1 if smallest < 2 * kernel else one(1, 2), groups, one(True, False),
        )  # fmt: skip
    if kind == "same":
        return nn.Conv2d(c, one(4, 5, 16), 3, padding=1, bias=one(True, False))
    if kind == "relu":
        return nn.ReLU()
    if kind == "activation":
        return one(
            nn.Tanh(), nn.Sigmoid(), nn.SiLU(), nn.GELU(), nn.ELU(), nn.Softplus(), nn.Dropout(0.3)
        )  # fmt: skip
    if kind == "norm":
        return of("BatchNorm")(c)
    if kind == "group":
        if int(np.prod(shape[1:])) < 4:
            return nn.Identity()
        return one(
            nn.GroupNorm(one(1, c), c),
            nn.LayerNorm(list(shape)),
            of("InstanceNorm")(c, affine=True),
        )
    if kind == "transpose":
        return of("ConvTranspose")(c, one(1, 2, 3), 2, one(1, 2) if smallest < 8 else 1)
    if kind == "pad":
        if smallest > 2 and smallest < 10:
            return one(of("ReflectionPad")(1), of("ReplicationPad")(1), of("ZeroPad")(1))
        return nn.Identity()
    if kind == "max":
        return of("MaxPool")(one(2, 3), one(1, 2))
    if kind == "mean":
        return one(of("AvgPool")(2), of("AvgPool")(3, 1, 1), of("AdaptiveAvgPool")(2))
    return nn.Upsample(scale_factor=2, mode=one("nearest", "bilinear"))
