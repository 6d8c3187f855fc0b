"""Direct weight gradient: every window, under guard, against the definition."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from convs import Conv, error, weight_buffers
from harness import RUNNABLE, code_of, run
from test_direct import CASES, REAL

from rot180.jit.emission.target import TARGETS
from rot180.jit.families.direct_weight import DirectWeight


def kernel_of(conv: Conv, block: int, dtype: str) -> DirectWeight:
    g = conv.geometry
    return DirectWeight(
        conv.planes("x", "w", block), conv.planes("z", "w", block), g.groups, g.kernel, g.stride,
        g.dilation, g.before, g.turned, dtype,
    )  # fmt: skip


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("conv", CASES, ids=str)
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
@pytest.mark.parametrize("conv", [CASES[0], CASES[2], CASES[13], CASES[16]], ids=str)
@pytest.mark.parametrize("one", [False, True])
def test_sums_wait_in_memory_between_chunks(one: bool, conv: Conv, name: str) -> None:
    target = replace(TARGETS[name], level2=512)
    kernel = kernel_of(conv, 1 if one else target.lanes(np.dtype("float32")), "float32")
    assert kernel.chunks(target) > 1 or len(conv.sizes) == 1
    for parts in (1, 2):
        made = run(kernel, weight_buffers(conv, kernel, target), target, parts)["dw"]
        assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("mode", ["correlation", "convolution"])
def test_depthwise_taps_are_one_block(mode: str, one: bool) -> None:
    """A group is one task, and its chunks follow one another before the next group."""
    target = replace(TARGETS[RUNNABLE[0]], level2=4096)
    conv = Conv(18, 5, 5, (7, 9), 3, (1, 2), 1, groups=5, mode=mode)
    kernel = kernel_of(conv, 1 if one else target.lanes(np.dtype("float32")), "float32")
    assert kernel.tasks(target) == (5, 1, 1, 1)
    assert kernel.chunks(target) > 1
    for parts in (1, 2, 7):
        made = run(kernel, weight_buffers(conv, kernel, target), target, parts)["dw"]
        assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.parametrize("conv", REAL, ids=str)
def test_real_layers(conv: Conv) -> None:
    target = TARGETS[RUNNABLE[0]]
    kernel = kernel_of(conv, target.lanes(np.dtype("float32")), "float32")
    made = run(kernel, weight_buffers(conv, kernel, target), target, 2, threads=True)["dw"]
    assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.slow
def test_long_sums() -> None:
    """All positions of a large batch, with numbers of one sign: nothing cancels."""
    conv = Conv(512, 8, 8, (32, 32), 3, padding=1, positive=True)
    target = TARGETS[RUNNABLE[0]]
    kernel = kernel_of(conv, target.lanes(np.dtype("float32")), "float32")
    made = run(kernel, weight_buffers(conv, kernel, target), target, 2, threads=True)["dw"]
    assert error(made, conv.expected("w")) < 2e-6


@pytest.mark.parametrize("conv", [CASES[2], CASES[16]], ids=str)
def test_other_processors_are_compiled_for(conv: Conv) -> None:
    for block in (1, TARGETS["neon"].lanes(np.dtype("float32"))):
        assert code_of(kernel_of(conv, block, "float32"), TARGETS["neon"])
