"""`check.diagnose` for convolutions: the zoo's wrong backward passes, called by their names."""

from __future__ import annotations

import numpy as np
import pytest

import rot180 as rt
from broken import BIAS, CONVOLUTION, KEY, UNEVEN, Mistake, conv, input_gradient, weight_gradient
from rot180 import check

NAMES = {
    "kernel not turned": "kernel not turned",
    "kernel turned by 90 degrees": "kernel turned by 90 degrees",
    "kernel transposed": "kernel transposed",
    "only rows flipped": "only the rows of the kernel turned",
    "only columns flipped": "only the columns of the kernel turned",
    "channels not swapped": "channels of the kernel not exchanged",
    "stride not undone": "stride not undone",
    "one zero too many between": "one zero too many between the gradients",
    "remainder split to both sides": "remainder split to both sides",
    "remainder ignored": "remainder ignored",
    "padding p instead of e - 1 - p": "padding p instead of e-1-p",
    "sides of the padding swapped": "sides of the padding swapped",
    "padding cropped on one side": "padding cropped in front only",
    "= instead of +=": "overwritten where windows overlap",
    "weight gradient turned": "weight gradient turned",
    "gradient turned in the weight gradient": "convolution instead of correlation",
    "weight gradient of the first image only": "weight gradient not summed over the batch",
    "weight gradient averaged over the batch": "averaged over the batch (dw)",
    "last rows of the weight gradient kept": "last rows of the weight gradient kept",
    "stride missing in the weight gradient": "stride not undone in the weight gradient",
}
BIASES = {
    "bias not summed over positions": "bias not summed over the positions",
    "bias not summed over the batch": "bias not summed over the batch",
    "bias averaged": "averaged over batch and positions (db)",
}


def wrong(mistake: Mistake, rng: np.random.Generator) -> check.Diagnosis:
    """The zoo's arrays, diagnosed."""
    x, w = mistake.inputs(rng)
    v = UNEVEN[0] if x.shape[3] == 7 else KEY[0]
    g = rng.standard_normal(conv(x, w, v).shape)
    dx, dw = mistake.wrong(g, x, w)
    padding = ((v.before, v.after),) * 2
    return check.diagnose("conv2d", x=x, w=w, g=g, dx=dx, dw=dw, stride=v.stride, padding=padding)


@pytest.mark.parametrize("mistake", CONVOLUTION, ids=[m.name for m in CONVOLUTION])
def test_the_zoo_by_name(mistake: Mistake, rng: np.random.Generator) -> None:
    found = wrong(mistake, rng)
    (finding,) = (f for f in found.findings if not f)
    assert NAMES[mistake.name] in finding.names
    assert (found.question is not None) == (finding.verdict == "several")


@pytest.mark.parametrize("mistake", CONVOLUTION, ids=[m.name for m in CONVOLUTION])
def test_code_is_run_again_until_one_name_is_left(mistake: Mistake) -> None:
    """The zoo's window is fixed; only its sizes may change."""
    v = UNEVEN[0] if mistake.name == "sides of the padding swapped" else KEY[0]
    found = check.diagnose(
        "conv2d",
        lambda g, x, w: mistake.wrong(g, x, w),
        stride=v.stride,
        padding=((v.before, v.after),) * 2,
    )
    (finding,) = (f for f in found.findings if not f)
    assert NAMES[mistake.name] in finding.names
    # with these options the integers coincide, whatever the sizes are
    same = {"remainder split to both sides", "padding p instead of e - 1 - p"}
    same |= {"sides of the padding swapped"}
    if mistake.name not in same:
        assert finding.verdict == "mistake", finding.names


@pytest.mark.parametrize("mistake", BIAS, ids=[m.name for m in BIAS])
def test_biases(mistake: Mistake, rng: np.random.Generator) -> None:
    g = rng.standard_normal((2, 3, 4, 5))
    x, w = rng.standard_normal((2, 2, 4, 5)), rng.standard_normal((3, 2, 1, 1))
    _, db = mistake.wrong(g, None, None)
    assert check.diagnose("conv2d", x=x, w=w, g=g, db=db)["db"].name == BIASES[mistake.name]


def test_the_answer_shows_cells_algebra_and_fix(rng: np.random.Generator) -> None:
    (mistake,) = (m for m in CONVOLUTION if m.name == "kernel not turned")
    found = wrong(mistake, rng)
    text = str(found)
    assert not found
    assert found.name == "kernel not turned"
    assert found["dw"].name == "right"
    assert "cells speak for it" in text
    assert "right: dx[n, c, 3·p0 + r0 - 2, 3·p1 + r1 - 2] = Σ_{k} w[k, c, r0, r1] · g" in text
    assert "yours: dx[n, c, 3·p0 + r0 - 2, 3·p1 + r1 - 2] = Σ_{k} w[k, c, -r0 + 3, -r1 + 3]" in text
    assert "fix: turn the kernel by 180 degrees" in text
    assert found.to_dict()["findings"][0]["name"] == "kernel not turned"


def test_right_is_right_in_both_precisions(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 2, 5, 5)), rng.standard_normal((3, 2, 4, 4))
    v = KEY[0]
    g = rng.standard_normal(conv(x, w, v).shape)
    for dtype in (np.float64, np.float32):
        xs, ws, gs = (a.astype(dtype) for a in (x, w, g))
        dx, dw = input_gradient(gs, xs, ws, v), weight_gradient(gs, xs, ws, v)
        found = check.diagnose(
            "conv2d", x=xs, w=ws, g=gs, dx=dx.astype(dtype), dw=dw.astype(dtype),
            db=gs.sum((0, 2, 3)), stride=3, padding=2,
        )  # fmt: skip
        assert found
        assert found.name == "right"


def test_two_mistakes_and_a_factor(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((3, 2, 9, 8)), rng.standard_normal((3, 2, 3, 3))
    turned = w[:, :, ::-1, ::-1].copy()
    g = rng.standard_normal(rt.ops.conv2d(x, w, stride=2, padding=1).shape)
    given = {"x": x, "w": w, "g": g, "stride": 2, "padding": 1}
    lost = rt.ops.conv_input_grad(x.shape, turned, g, 2, 1).data
    name = check.diagnose("conv2d", dx=lost / 3, **given)["dx"].name
    assert name == "kernel not turned and averaged over the batch (dx)"
    shifted = rt.ops.conv_input_grad((3, 2, 11, 10), turned, g, 2, 0).data[:, :, :9, :8]
    both = check.diagnose("conv2d", dx=shifted, **given)["dx"]
    assert "kernel not turned and padding not cropped" in both.names
    assert check.diagnose("conv2d", dx=0.37 * lost, **given)["dx"].name == (
        "kernel not turned and times 0.37"
    )
    assert check.diagnose("conv2d", dx=0 * lost, **given)["dx"].name == "gradient zero"


def test_what_is_not_known_is_said(rng: np.random.Generator) -> None:
    x, w, g = (rng.standard_normal(s) for s in ((2, 2, 5, 5), (3, 2, 3, 3), (2, 3, 3, 3)))
    found = check.diagnose("conv2d", x=x, w=w, g=g, dx=rng.standard_normal(x.shape))
    assert found.name == "not one of the known mistakes"
    assert found["dx"].verdict == "unknown"


@pytest.mark.parametrize("rank", [1, 3])
@pytest.mark.parametrize("mode", ["correlation", "convolution"])
def test_other_ranks_and_both_modes(rank: int, mode: str, rng: np.random.Generator) -> None:
    x = rng.standard_normal((2, 4, *(5, 6, 4)[:rank]))
    w = rng.standard_normal((6, 2, *(3, 2, 3)[:rank]))
    op = getattr(rt.ops, f"conv{rank}d")
    options = {"groups": 2, "padding": 1, "mode": mode}
    g = rng.standard_normal(op(x, w, **options).shape)
    other = "convolution" if mode == "correlation" else "correlation"
    lost = rt.ops.conv_input_grad(x.shape, w, g, 1, 1, 1, 2, other).data
    right = rt.ops.conv_input_grad(x.shape, w, g, 1, 1, 1, 2, mode).data
    name = f"conv{rank}d"
    assert check.diagnose(name, x=x, w=w, g=g, dx=right, **options)
    assert check.diagnose(name, x=x, w=w, g=g, dx=lost, **options).name == "kernel not turned"
