"""Maps and sums over any layouts, against NumPy in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from harness import RUNNABLE, blank, code_of, given, places, run

from rot180.core import expression as e
from rot180.jit.emission.access import access
from rot180.jit.emission.layout import Layout, Planes, plain
from rot180.jit.emission.target import TARGETS
from rot180.jit.families.pointwise import Pointwise
from rot180.jit.families.reduce import Reduce

x, y, s, c = (e.variable(name) for name in "xysc")
ALL = (0, 1, 2, 3)


def planes(n: int, channels: int, h: int, w: int, block: int, halo: int = 0) -> Planes:
    return Planes(n, channels, (h, w), block, (halo, 0), (1 if halo else 0, halo))


def body(x: Any, y: Any, s: Any, c: Any) -> Any:
    shared = e.exp(-(x * x)) + c
    return e.where(x > y, shared * s, shared - y)


SHAPES = [
    (5, 3, 4, 7, 4, 0), (5, 3, 4, 7, 4, 1), (3, 2, 2, 5, 16, 2), (16, 1, 3, 3, 16, 0),
    (33, 2, 1, 5, 16, 1), (2, 3, 5, 21, 1, 0), (2, 3, 5, 21, 1, 2), (1, 4, 1, 1, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("parts", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_maps_over_images(
    shape: tuple[int, ...], dtype: str, parts: int, target: str, rng: np.random.Generator
) -> None:
    n, channels, h, w, block, halo = shape
    cells = (n, channels, h, w)
    wide, tight = planes(*cells, block, halo), planes(*cells, block)
    a, b = rng.standard_normal((2, *cells)).astype(dtype)
    bias, rate = rng.standard_normal(channels).astype(dtype), np.asarray(0.3, dtype)
    kernel = Pointwise(
        cells,
        (
            access("x", wide, ALL, 4, dtype),
            access("y", tight, ALL, 4, dtype),
            access("c", plain((channels,)), (1,), 4, dtype),
            access("s", plain(()), (), 4, dtype),
        ),
        (access("z", wide, ALL, 4, dtype), access("m", tight, ALL, 4, "bool")),
        (body(x, y, s, c), x > y),
        dtype,
    )
    made = run(
        kernel,
        {"x": given(a, wide), "y": given(b, tight), "c": given(bias), "s": given(rate),
         "z": blank(wide, dtype), "m": blank(tight, "bool")},
        target, parts,
    )  # fmt: skip
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    shared = np.exp(-(a64 * a64)) + bias[:, None, None]
    want = np.where(a > b, shared * np.float64(rate), shared - b64)
    np.testing.assert_allclose(made["z"], want, rtol=0, atol=3e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(made["m"], a > b)


def test_an_output_written_over_its_input(rng: np.random.Generator) -> None:
    where = planes(19, 3, 4, 5, 16, 1)
    a, b = rng.standard_normal((2, 19, 3, 4, 5)).astype(np.float32)
    read = access("x", where, ALL, 4, "float32")
    kernel = Pointwise(
        a.shape, (read, access("y", where, ALL, 4, "float32")), (read,), (x * 0.5 + y,)
    )
    made = run(kernel, {"x": given(a, where, written=True), "y": given(b, where)}, parts=2)
    np.testing.assert_allclose(made["x"], a * 0.5 + b, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("target", RUNNABLE)
def test_arrays_that_are_blocked_and_not_meet(target: str, rng: np.random.Generator) -> None:
    """Rows of images beside blocks: the last block is met image by image."""
    for n in (3, 16, 37):
        where, other = planes(n, 2, 3, 4, 16), plain((n, 2, 3, 4))
        a = rng.standard_normal((n, 2, 3, 4)).astype(np.float32)
        b = rng.integers(0, 9, n)
        kernel = Pointwise(
            a.shape,
            (access("x", where, ALL, 4, "float32"), access("y", plain((n,)), (0,), 4, "int64")),
            (access("z", other, ALL, 4, "float32"),),
            (e.where(e.equal(y, 4), 0.0, x + y),),
        )
        made = run(
            kernel,
            {"x": given(a, where), "y": given(b), "z": blank(other, "float32")},
            target, 2,
        )["z"]  # fmt: skip
        want = np.where(b == 4, 0, a.T + b).T
        np.testing.assert_allclose(made, want, rtol=1e-6)


def test_blocks_of_two_sizes_meet(rng: np.random.Generator) -> None:
    a = rng.standard_normal((21, 2, 3, 4)).astype(np.float32)
    eight, sixteen = planes(21, 2, 3, 4, 8), planes(21, 2, 3, 4, 16, 1)
    kernel = Pointwise(
        a.shape,
        (access("x", eight, ALL, 4, "float32"),),
        (access("z", sixteen, ALL, 4, "float64"),),
        (x * x,),
        "float64",
    )
    made = run(kernel, {"x": given(a, eight), "z": blank(sixteen, "float64")}, parts=2)["z"]
    # Images that only fill the last block up are not written then.
    np.testing.assert_array_equal(made, a.astype(np.float64) ** 2)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int32", "int64", "float32", "float64"])
@pytest.mark.parametrize("source", ["bool", "uint8", "int32", "int64", "float32", "float64"])
def test_conversions(source: str, dtype: str) -> None:
    values = np.array([0, 1, 2, 3, 100, 7, 0, 5, 90] * 5).astype(source)
    if source.startswith("float"):
        values = values + np.asarray(0.75, source)
    kernel = Pointwise(
        (45,),
        (access("x", plain((45,)), (0,), 1, source),),
        (access("z", plain((45,)), (0,), 1, dtype),),
        (x,),
        source if source.startswith("float") else "float64",
    )
    made = run(kernel, {"x": given(values), "z": blank((45,), dtype)})["z"]
    np.testing.assert_array_equal(made, values.astype(dtype))


def test_integers_stay_integers() -> None:
    a, b = np.array([-7, 2**60, 5, 0]), np.array([3, 1, -2, 9])
    where = access("x", plain((4,)), (0,), 1, "int64")
    bodies = (x + y, e.maximum(x, y), e.absolute(x), e.sign(x), -x * y, e.where(x > 3, x, 1))
    names = "abcdef"
    kernel = Pointwise(
        (4,),
        (where, access("y", plain((4,)), (0,), 1, "int64")),
        tuple(access(name, plain((4,)), (0,), 1, "int64") for name in names),
        bodies,
        "float64",
    )
    outputs = {name: blank((4,), "int64") for name in names}
    made = run(kernel, {"x": given(a), "y": given(b), **outputs})
    wanted = [a + b, np.maximum(a, b), np.abs(a), np.sign(a), -a * b, np.where(a > 3, a, 1)]
    for name, want in zip(names, wanted, strict=True):
        np.testing.assert_array_equal(made[name], want)


@pytest.mark.parametrize("target", RUNNABLE)
@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kept", [(0, 1, 2, 3), (0, 1), (1,), (), (0, 2), (1, 2, 3), (0,), (3,)])
@pytest.mark.parametrize("shape", SHAPES)
def test_sums(
    shape: tuple[int, ...],
    kept: tuple[int, ...],
    dtype: str,
    parts: int,
    target: str,
    rng: np.random.Generator,
) -> None:
    n, channels, h, w, block, halo = shape
    cells = (n, channels, h, w)
    wide, tight = planes(*cells, block, halo), planes(*cells, block)
    a, b = (rng.standard_normal(cells).astype(dtype) for _ in range(2))
    out: Planes | Layout = plain(tuple(cells[i] for i in kept))
    if kept == (0, 1):
        out = Planes(n, channels, (), block)
    kernel = Reduce(
        cells,
        (access("x", wide, ALL, 4, dtype), access("y", tight, ALL, 4, dtype)),
        tuple(access(name, out, kept, 4, dtype) for name in ("z", "w")),
        (x * y, x + 1.0),
        kept,
        0.25,
        dtype,
    )
    made = run(
        kernel,
        {"x": dead(given(a, wide)), "y": dead(given(b, tight)),
         "z": blank(out, dtype), "w": blank(out, dtype)},
        target, parts,
    )  # fmt: skip
    axes = tuple(i for i in range(4) if i not in kept)
    a64, b64 = a.astype(np.float64), b.astype(np.float64)
    atol = (2e-6 if dtype == "float32" else 1e-14) * max(1, np.sqrt(a.size))
    np.testing.assert_allclose(made["z"], 0.25 * (a64 * b64).sum(axes), rtol=1e-6, atol=atol)
    np.testing.assert_allclose(made["w"], 0.25 * (a64 + 1).sum(axes), rtol=1e-6, atol=atol)


def dead(buffer: Any) -> Any:
    """Images that only fill up the last block hold what must not be counted."""
    layout = getattr(buffer.where, "layout", buffer.where)
    rest = layout.shape[0] % layout.block
    if layout.block > 1 and rest:
        full = Layout(
            (layout.block, *layout.shape[1:]), layout.strides, layout.block,
            layout.origin + layout.shape[0] // layout.block * layout.strides[0], layout.size,
        )  # fmt: skip
        buffer.flat[places(full)[rest:]] = np.nan
    return buffer


def test_a_long_sum_keeps_its_digits() -> None:
    a = np.full(3_000_001, 0.1, np.float32)
    kernel = Reduce(
        a.shape,
        (access("x", plain(a.shape), (0,), 1, "float32"),),
        (access("z", plain(()), (), 1, "float32"),),
        (x,),
        (),
    )
    for target in RUNNABLE:
        made = run(kernel, {"x": given(a), "z": blank((), "float32")}, target)["z"]
        assert abs(made / a.astype(np.float64).sum() - 1) < 2e-6


def test_sums_of_nothing_are_zero_and_truths_are_counted(rng: np.random.Generator) -> None:
    kernel = Reduce(
        (3, 0),
        (access("x", plain((3, 0)), (0, 1), 2, "float32"),),
        (access("z", plain((3,)), (0,), 2, "float32"),),
        (x,),
        (0,),
    )
    made = run(kernel, {"x": given(np.zeros((3, 0), "f4")), "z": blank((3,), "float32")})
    np.testing.assert_array_equal(made["z"], np.zeros(3))
    truths = rng.random((5, 70)) < 0.5
    kernel = Reduce(
        (5, 70),
        (access("x", plain((5, 70)), (0, 1), 2, "bool"),),
        (access("z", plain((5,)), (0,), 2, "int64"),),
        (x,),
        (0,),
        dtype="float64",
    )
    made = run(kernel, {"x": given(truths), "z": blank((5,), "int64")}, parts=2)
    np.testing.assert_array_equal(made["z"], truths.sum(1))


def test_other_processors() -> None:
    where = planes(5, 3, 4, 7, 4)
    read = access("x", where, ALL, 4, "float32")
    write = access("z", where, ALL, 4, "float32")
    assert code_of(Pointwise((5, 3, 4, 7), (read,), (write,), (e.tanh(x),)), TARGETS["neon"])


@pytest.mark.parametrize("block", [1, 16])
def test_few_sums_are_shared_in_two_steps(block: int, rng: np.random.Generator) -> None:
    where = planes(18, 3, 32, 20, block, 1)
    a = rng.standard_normal((18, 3, 32, 20)).astype(np.float32)
    for kept in ((), (1,)):
        out = plain(tuple(a.shape[i] for i in kept))
        kernel = Reduce(
            a.shape,
            (access("x", where, ALL, 4, "float32"),),
            (access("z", out, kept, 4, "float32"), access("w", out, kept, 4, "float32")),
            (x * x, x + 1.0),
            kept,
            0.5,
        )
        assert kernel.split(least=a.size + 1) is None
        assert kernel.split(cells=1) is None
        steps = kernel.split(least=0)
        assert steps is not None
        first, second = steps
        size = (second.extents,) * 2
        names = ("partial0", "partial1")
        partial = {n: blank(shape, "float32") for n, shape in zip(names, size, strict=True)}
        found = run(first, {"x": dead(given(a, where)), **partial}, parts=3)
        outputs = {"z": blank(out, "float32"), "w": blank(out, "float32")}
        made = run(second, {**{n: given(found[n]) for n in names}, **outputs})
        axes = tuple(i for i in range(4) if i not in kept)
        a64 = a.astype(np.float64)
        np.testing.assert_allclose(made["z"], 0.5 * (a64 * a64).sum(axes), rtol=1e-6)
        np.testing.assert_allclose(made["w"], 0.5 * (a64 + 1).sum(axes), rtol=1e-5)
