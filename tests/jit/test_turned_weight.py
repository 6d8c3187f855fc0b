"""Turned weight gradient: every window, under guard, against the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from convs import Conv, error, weight_buffers
from harness import RUNNABLE, code_of, run
from test_direct import CASES, REAL

from rot180.jit.emission.target import TARGETS
from rot180.jit.families.turned_weight import TurnedWeight

MORE = [
    Conv(17, 3, 33, (5, 4), 3, 2, 1),
    Conv(2, 20, 70, (4, 5), 1),
    Conv(3, 2, 5, (90,), 41, padding=3, dilation=2),
    Conv(2, 6, 34, (5, 5), 3, padding=1, groups=2, mode="convolution"),
]


def kernel_of(conv: Conv, block: int, dtype: str, parts: int = 1) -> TurnedWeight:
    g = conv.geometry
    return TurnedWeight(
        conv.planes("x", "w", block), conv.planes("z", "w", block), g.groups, g.kernel, g.stride,
        g.dilation, g.before, g.turned, parts, dtype,
    )  # fmt: skip


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("conv", [*CASES, *MORE], ids=str)
@pytest.mark.parametrize(
    ("one", "dtype"), [(False, "float32"), (True, "float32"), (True, "float64")]
)
def test_by_definition(one: bool, dtype: str, conv: Conv, target: str) -> None:
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    kernel = kernel_of(conv, block, dtype)
    for parts in (1, 3):
        made = run(kernel, weight_buffers(conv, kernel, TARGETS[target]), target, parts)["dw"]
        assert error(made, conv.expected("w")) < (2e-6 if dtype == "float32" else 1e-13)


@pytest.mark.parametrize("name", RUNNABLE)
@pytest.mark.parametrize("conv", [CASES[0], CASES[2], CASES[13], CASES[16], *MORE[:2]], ids=str)
@pytest.mark.parametrize("one", [False, True])
def test_sums_wait_in_memory_between_chunks(one: bool, conv: Conv, name: str) -> None:
    target = replace(TARGETS[name], level2=512)
    kernel = kernel_of(conv, 1 if one else target.lanes(np.dtype("float32")), "float32", 2)
    assert kernel.rounds(target) > 1 or len(conv.sizes) == 1
    for parts in (1, 2, 5):
        made = run(kernel, weight_buffers(conv, kernel, target), target, parts)["dw"]
        assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.parametrize("one", [False, True])
def test_a_long_row_is_several_lines(one: bool) -> None:
    conv = Conv(2, 3, 5, (2003,), 5, padding=2)
    target = TARGETS[RUNNABLE[0]]
    kernel = kernel_of(conv, 1 if one else target.lanes(np.dtype("float32")), "float32")
    assert kernel.chunks(target).piece < 2003
    made = run(kernel, weight_buffers(conv, kernel, target), target, 2)["dw"]
    assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.parametrize("conv", [*REAL, Conv(32, 256, 512, (7, 7), 1)], ids=str)
def test_real_layers(conv: Conv) -> None:
    target = TARGETS[RUNNABLE[0]]
    kernel = kernel_of(conv, target.lanes(np.dtype("float32")), "float32", 2)
    made = run(kernel, weight_buffers(conv, kernel, target), target, 2, threads=True)["dw"]
    assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.slow
def test_long_sums() -> None:
    """All positions of a large batch, with numbers of one sign: nothing cancels."""
    conv = Conv(512, 8, 16, (32, 32), 3, padding=1, positive=True)
    target = TARGETS[RUNNABLE[0]]
    kernel = kernel_of(conv, target.lanes(np.dtype("float32")), "float32", 2)
    made = run(kernel, weight_buffers(conv, kernel, target), target, 2, threads=True)["dw"]
    assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.parametrize("conv", [CASES[2], CASES[16]], ids=str)
def test_other_processors_are_compiled_for(conv: Conv) -> None:
    for block in (1, TARGETS["neon"].lanes(np.dtype("float32"))):
        assert code_of(kernel_of(conv, block, "float32"), TARGETS["neon"])
