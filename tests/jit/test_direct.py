"""Direct convolution: forward and for x, every window, under guard, against the definition."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from convs import Conv, Tails, error, images
from harness import RUNNABLE, Buffer, blank, code_of, given, run

from rot180.jit.emission.layout import Planes
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.direct import Direct
from rot180.jit.families.phases import forward_phases, input_phases

CASES = [
    Conv(5, 3, 4, (6, 7), 3, padding=1),
    Conv(17, 2, 5, (9, 6), (3, 2), 2, (1, 0)),
    Conv(3, 4, 6, (8, 11), 3, (2, 3), 1, 2, 2),
    Conv(2, 6, 6, (7, 18), 3, padding=1, groups=6),
    Conv(2, 3, 6, (5, 9), 3, 2, 1, groups=3),
    Conv(4, 5, 7, (6, 5), 1),
    Conv(4, 3, 5, (7, 8), 1, 2),
    Conv(19, 4, 20, (4, 3), (4, 3)),
    Conv(2, 2, 3, (10, 21), (2, 4), (3, 2), ((2, 0), (1, 3)), (2, 1)),
    Conv(3, 2, 2, (8, 8), 2, 3, ((0, 1), (2, 0))),
    Conv(2, 3, 2, (9, 9), 4, 2, 3, mode="convolution"),
    Conv(2, 2, 4, (12, 10), 3, 1, ((-1, 1), (1, -2))),
    Conv(2, 1, 6, (28, 28), 5, padding=2),
    Conv(3, 2, 3, (23,), 5, 2, 2, 2, mode="convolution"),
    Conv(5, 4, 4, (40,), 3, padding=1, groups=2),
    Conv(2, 3, 8, (11, 7), 3, padding=1),
    Conv(1, 2, 3, (23, 14), (5, 3), 1, (3, 0)),
    Conv(2, 3, 4, (9, 11), 1, (2, 3)),
    Conv(2, 2, 3, (4, 5, 6), (2, 3, 2), (1, 2, 1), (1, 0, 1)),
    Conv(2, 2, 4, (5, 4, 9), 3, 2, 1, (1, 1, 2), 2, "convolution"),
]
REAL = [
    Conv(128, 16, 16, (32, 32), 3, padding=1),
    Conv(64, 3, 32, (32, 32), 3, padding=1),
    Conv(64, 16, 32, (32, 32), 3, 2, 1),
    Conv(32, 64, 64, (8, 8), 3, padding=1),
    Conv(64, 6, 16, (14, 14), 5),
    Conv(64, 64, 64, (8, 8), 1),
]


def kernel_of(conv: Conv, output: str, block: int, dtype: str, **tail: Any) -> Direct:
    """The kernel that reads the form for z or for x."""
    g = conv.geometry
    by_filter, by_channel, by_group = g.weight
    if output == "z":
        steps, stride = (by_filter, by_channel, by_group), g.stride
        phases = forward_phases(g.kernel, g.dilation, g.before, g.positions, g.turned)
    else:
        steps, stride = (by_channel, by_filter, by_group), (1,) * len(g.kernel)
        phases = input_phases(g.kernel, g.stride, g.dilation, g.before, g.sizes, g.turned)
    source = "x" if output == "z" else "z"
    read, made = (conv.planes(name, output, block) for name in (source, output))
    return Direct(read, made, g.groups, steps, stride, phases, dtype=dtype, **tail)


def buffers_of(conv: Conv, output: str, kernel: Direct) -> dict[str, Buffer]:
    """Dead lanes of the input are NaN: no lane may look at another."""
    source = "x" if output == "z" else "z"
    return {
        "x": images(conv.arrays[source], kernel.x, np.nan, kernel.dtype),
        "w": given(conv.arrays["w"].astype(kernel.dtype)),
        "z": blank(kernel.z, kernel.dtype),
    }


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("conv", CASES, ids=str)
@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize(
    ("one", "dtype"), [(False, "float32"), (True, "float32"), (True, "float64")]
)
def test_by_definition(one: bool, dtype: str, output: str, conv: Conv, target: str) -> None:
    block = 1 if one else TARGETS[target].lanes(np.dtype(dtype))
    kernel = kernel_of(conv, output, block, dtype)
    for parts in (1, 3):
        made = run(kernel, buffers_of(conv, output, kernel), target, parts)["z"]
        assert error(made, conv.expected(output)) < (2e-6 if dtype == "float32" else 1e-14)


@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("one", [False, True])
@pytest.mark.parametrize("target", RUNNABLE[::2])
@pytest.mark.parametrize("conv", [CASES[0], CASES[1], CASES[2], CASES[15]], ids=str)
def test_tails(conv: Conv, target: str, one: bool, output: str, rng: np.random.Generator) -> None:
    block = 1 if one else TARGETS[target].lanes(np.dtype("float32"))
    whole = kernel_of(conv, output, block, "float32").z
    axes = len(whole.sizes)
    other = Planes(
        whole.images, whole.channels, whole.sizes, block, (1,) * axes, (0,) * (axes - 1) + (2,)
    )
    tails = Tails(whole, rng, other)
    tails.mask[rng.random(tails.mask.shape) < 0.05] = np.nan
    for chosen in [
        ("bias",), ("relu",), ("bias", "relu"), ("mask",), ("plus", "relu"),
        ("bias", "plus", "mask"),
    ]:  # fmt: skip
        kernel = kernel_of(conv, output, block, "float32", **tails.fields(chosen))
        buffers = buffers_of(conv, output, kernel) | tails.buffers(chosen)
        expected = tails.expected(conv.expected(output), chosen)
        made = run(kernel, buffers, target, 2)["z"]
        assert error(made, expected) < 2e-6, chosen


@pytest.mark.parametrize("output", ["z", "x"])
def test_a_part_of_a_segment_is_a_block(output: str) -> None:
    conv = Conv(37, 3, 4, (6, 7), 3, padding=1)
    kernel = kernel_of(conv, output, TARGETS[RUNNABLE[-1]].lanes(np.dtype("float32")), "float32")
    made = run(kernel, buffers_of(conv, output, kernel), RUNNABLE[-1], kernel.by_blocks)["z"]
    assert error(made, conv.expected(output)) < 2e-6


@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("conv", REAL, ids=str)
def test_real_layers(conv: Conv, output: str) -> None:
    kernel = kernel_of(conv, output, TARGETS[RUNNABLE[0]].lanes(np.dtype("float32")), "float32")
    made = run(kernel, buffers_of(conv, output, kernel), RUNNABLE[0], 2, threads=True)["z"]
    assert error(made, conv.expected(output)) < 2e-6


@pytest.mark.parametrize("output", ["z", "x"])
@pytest.mark.parametrize("conv", [CASES[0], CASES[2], CASES[16]], ids=str)
def test_other_processors_are_compiled_for(conv: Conv, output: str) -> None:
    for block in (1, TARGETS["neon"].lanes(np.dtype("float32"))):
        assert code_of(kernel_of(conv, output, block, "float32"), TARGETS["neon"])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_block_that_no_cache_holds_is_written_past_the_caches(dtype: str) -> None:
    if "avx512" not in RUNNABLE:
        pytest.skip("a vector is not a cache line here")
    target = TARGETS["avx512"]
    conv = Conv(3, 2, 40, (84, 84), 1)
    kernel = kernel_of(conv, "z", target.lanes(np.dtype(dtype)), dtype, relu=True)
    assert "!nontemporal" in str(kernel.emit("kernel", target))
    made = run(kernel, buffers_of(conv, "z", kernel), target, 2, threads=True)["z"]
    assert error(made, np.maximum(conv.expected("z"), 0)) < 2e-6
    small = kernel_of(CASES[0], "z", target.lanes(np.dtype(dtype)), dtype)
    assert "!nontemporal" not in str(small.emit("kernel", target))
