"""Expected values that other projects publish in their own tests, run through our functions.

`published_cases.json` holds 500 such cases (TensorFlow, tfjs, SciPy, StableHLO, Theano, Caffe,
PyTorch, burn, candle). 492 agree with an independent float64 computation and are held to its
precision. Of the other eight, four are choices: what we chose is asserted. Four contradict
themselves: there we differ from the source and give the value that it should have given.

The cases come in their source's layout; here they become N C spatial, weights K C/groups kernel
(transposed: C K/groups kernel), paddings (before, after) for every axis.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rot180 import ops as F
from rot180.core import Tensor, tensor
from rot180.errors import ShapeError

if TYPE_CHECKING:
    from pathlib import Path

Case = dict[str, Any]
Arrays = dict[str, np.ndarray]

# Cases about nothing that TensorFlow and StableHLO answer with nothing; PyTorch and we refuse them.
REFUSED = {
    "tf-bpi2d-007": "the kernel exceeds the padded input by one: no output",
    "tf-avggrad2d-001": "the kernel exceeds the padded input by one: no output",
    "stablehlo-conv2d-005": "the kernel exceeds the padded input by one: no output",
    "tf-conv2d-013": "pictures without cells, only their padding",
    "tf-bpf2d-002": "a weight without filters",
}

# Windows that lie wholly in the padding have no cell to take a mean or a maximum of.
NAN, INF = math.nan, math.inf

# Where the sources disagree with us, and why; the tests at the end say what we give instead.
DISAGREEMENTS = {
    "tf-maxgrad2d-008": "policy: among NaN, too, the first takes g (as here; torch: the last)",
    "tf-maxgrad2d-009": "policy: as above, with NaN among g",
    "tfjs-maxpool-006": "policy: tfjs skips NaN; here NaN wins, as in PyTorch",
    "tfjs-maxpool3d-007": "policy: tfjs skips NaN; here NaN wins, as in PyTorch",
    "tfjs-avgpool3d-013": "policy: tfjs gives 0 for the mean of no cells; here it is 0/0 = NaN",
    "tfjs-avgpool-grad-004": "source-wrong: tfjs divides g by 9 where the mean divided by less",
    "tfjs-pool-006": "source-wrong: tfjs returns the input although stride 2 and padding 1",
    "tfjs-pool-012": "source-wrong: tfjs returns the input although stride 2 and padding 1",
}

# ------------------------------------------------------------------------------------ the reader

CHANNELS_LAST = ("NWC", "NHWC", "NDHWC")
KERNEL_FIRST = ("WIO", "HWIO", "DHWIO", "WOI", "HWOI", "DHWOI")
DEPTHWISE = ("WCM", "HWCM", "DHWCM")  # kernel, channel, multiplier


def read_array(spec: dict[str, Any]) -> np.ndarray:
    """The array a specification describes, in our layout, float64."""
    shape = tuple(spec["shape"])
    count = math.prod(shape)
    steps = np.arange(count, dtype=np.float64) + spec.get("start", 1)
    fill = spec.get("fill")
    if fill is None:
        flat = np.array([NAN if v is None else float(v) for v in spec["values"]])
    elif fill == "arange":
        flat = steps * spec.get("scale", 1.0)
    elif fill == "arange_over_n":
        flat = steps / max(count, 1)
    elif fill == "const":
        flat = np.full(count, float(spec["value"]))
    elif fill == "wrap_int8":  # 1..127, -127..127, ...
        flat = ((np.arange(count) + 128) % 255 - 127.0) * spec.get("sign", 1)
    else:
        assert fill == "tile", fill
        flat = np.tile(np.array(spec["values"], np.float64), count // len(spec["values"]))
    return to_our_layout(flat.reshape(shape), spec.get("layout"))


def to_our_layout(array: np.ndarray, layout: str | None) -> np.ndarray:
    spatial = range(array.ndim - 2)
    if layout in CHANNELS_LAST:
        return np.moveaxis(array, -1, 1)
    if layout in KERNEL_FIRST:
        return array.transpose(array.ndim - 1, array.ndim - 2, *spatial)
    if layout in DEPTHWISE:
        turned = array.transpose(array.ndim - 2, array.ndim - 1, *spatial)
        return turned.reshape(-1, 1, *turned.shape[2:])
    return array


def read_case(case: Case) -> tuple[Arrays, Arrays]:
    given = {name: read_array(case[name]) for name in ("x", "w", "w2", "b", "dy") if case.get(name)}
    # A gradient does not depend on the operand it is for: where the source omits it, zeros do.
    for name in ("x", "w"):
        if name not in given and f"{name}_shape" in case["params"]:
            given[name] = np.zeros(case["params"][f"{name}_shape"])
    return given, {name: read_array(spec) for name, spec in case["expect"].items()}


# ------------------------------------------------------------------------------------ the runner


def pairs_of(case: Case) -> tuple[tuple[int, int], ...]:
    pairs = [(before, after) for before, after in case["params"]["pads"]]
    assert not any(map(any, pairs[case["ndim"] :]))  # one case names an axis too many
    return tuple(pairs[: case["ndim"]])


def pad_first(x: Tensor, pairs: tuple[tuple[int, int], ...], value: float) -> Tensor:
    """Padding beyond what a pool allows, as an operation of its own (last axis first, as torch)."""
    return F.pad(x, [side for pair in reversed(pairs) for side in pair], value=value)


def conv(case: Case, t: dict[str, Tensor]) -> Tensor:
    p = case["params"]
    x, pairs = t["x"], pairs_of(case)
    if (
        p.get("pad_mode", "zero") == "symmetric"
    ):  # SciPy's edge-repeating border: not a mode of ours
        x = tensor(np.pad(x.numpy(), ((0, 0), (0, 0), *pairs), "symmetric"))
        pairs = ((0, 0),) * case["ndim"]
    dilation = tuple(p.get("dilation", [1] * case["ndim"]))
    z = F.conv(
        x,
        t["w"],
        t.get("b"),
        stride=tuple(p["stride"]),
        padding=pairs,
        dilation=dilation,
        groups=p.get("groups", 1),
        mode=case["mode"],
    )
    if case["op"] == "separable_conv":
        z = F.conv(z, t["w2"], mode=case["mode"])
    return z


def conv_transpose(case: Case, t: dict[str, Tensor]) -> Tensor:
    """Pads crop the full output; what `output_spatial` asks for beyond it is output_padding."""
    p = case["params"]
    stride, dilation = p["stride"], p.get("dilation", [1] * case["ndim"])
    pairs, extra = [], []
    for i, (before, _) in enumerate(p["pads"]):
        full = (t["x"].shape[2 + i] - 1) * stride[i] + dilation[i] * (t["w"].shape[2 + i] - 1) + 1
        after = full - before - p["output_spatial"][i]
        pairs.append((before, max(after, 0)))
        extra.append(max(-after, 0))
    function = getattr(F, f"conv_transpose{case['ndim']}d")
    z: Tensor = function(
        t["x"],
        t["w"],
        t.get("b"),
        stride=tuple(stride),
        padding=tuple(pairs),
        output_padding=tuple(extra),
        groups=p.get("groups", 1),
        dilation=tuple(dilation),
    )
    return z


def pads_fit(case: Case) -> bool:
    """At most half of the effective kernel on both sides: what a pool accepts as padding."""
    p = case["params"]
    dilation = p.get("dilation", [1] * case["ndim"])
    return all(
        max(pair) <= (d * (k - 1) + 1) // 2
        for pair, k, d in zip(p["pads"], p["kernel"], dilation, strict=True)
    )


def max_pool(case: Case, t: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    p = case["params"]
    x, padding, ceil_mode = t["x"], pairs_of(case), p.get("ceil_mode", False)
    if not pads_fit(case):
        x, padding, ceil_mode = pad_first(x, padding, -INF), ((0, 0),) * case["ndim"], False
    function = getattr(F, f"max_pool{case['ndim']}d")
    found: tuple[Tensor, Tensor] = function(
        x,
        tuple(p["kernel"]),
        tuple(p["stride"]),
        padding,
        tuple(p.get("dilation", [1] * case["ndim"])),
        ceil_mode,
        return_indices=True,
    )
    return found


def avg_pool(case: Case, t: dict[str, Tensor]) -> Tensor:
    p, x, pairs = case["params"], t["x"], pairs_of(case)
    kernel, stride = tuple(p["kernel"]), tuple(p["stride"])
    dilation = tuple(p.get("dilation", [1] * case["ndim"]))
    pool = getattr(F, f"avg_pool{case['ndim']}d")
    if pads_fit(case) and set(dilation) == {1}:
        z: Tensor = pool(
            x, kernel, stride, pairs, p.get("ceil_mode", False), p["count_include_pad"]
        )
        return z
    # Beyond a pool's own arguments: the sum is a convolution with ones in each channel, and so is
    # the number of cells inside.
    assert not p["count_include_pad"]
    assert not p.get("ceil_mode")
    channels = x.shape[1]
    ones = np.ones((channels, 1, *kernel))
    window = {"stride": stride, "padding": pairs, "dilation": dilation, "groups": channels}
    with np.errstate(divide="ignore", invalid="ignore"):
        share: Tensor = F.conv(x, ones, **window) / F.conv(np.ones(x.shape), ones, **window)
    return share


def run(case: Case) -> Arrays:
    """What we give for every name that the case expects."""
    given, expected = read_case(case)
    backward = case["direction"] == "backward"
    t = {
        name: tensor(a.copy(), requires_grad=backward and name in "xwb")
        for name, a in given.items()
        if name != "dy"
    }
    got: Arrays = {}
    if case["op"] == "max_pool":
        y, indices = max_pool(case, t)
        got["indices"] = indices.numpy()
    else:
        y = {
            "conv": conv,
            "separable_conv": conv,
            "conv_transpose": conv_transpose,
            "avg_pool": avg_pool,
        }[case["op"]](case, t)
    got["y"] = y.numpy()
    if backward:
        g = given.get("dy")
        if case.get("dy_rule") == "2*y":
            g = 2 * y.numpy()
        y.backward(np.ones(y.shape) if g is None else g.reshape(y.shape))
        for name, of in (("dx", "x"), ("dw", "w"), ("db", "b")):
            if of in t and t[of].grad is not None:
                got[name] = t[of].grad.numpy()
        if "dw_first" in expected:
            got["dw_first"] = got["dw"][:1]
    return got


# ------------------------------------------------------------------------------------ the tests


@pytest.fixture(scope="module")
def cases(material: Path) -> dict[str, Case]:
    path = material / "conformance" / "published_cases.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    return {case["id"]: case for case in document["cases"]}


def assert_as_published(case: Case) -> None:
    _, expected = read_case(case)
    got = run(case)
    for name, want in expected.items():
        assert got[name].shape == want.shape, f"{case['id']} {name}"
        np.testing.assert_allclose(
            got[name],
            want,
            rtol=1e-12,
            atol=case["atol_float64"],
            err_msg=f"{case['id']} {name} ({case['source']}, {case['test']})",
        )


@pytest.mark.parametrize("op", ["conv", "conv_transpose", "max_pool", "avg_pool", "separable_conv"])
@pytest.mark.parametrize("direction", ["forward", "backward"])
def test_verified_cases(cases: dict[str, Case], op: str, direction: str) -> None:
    chosen = [
        case
        for case in cases.values()
        if case["verified"]
        and (case["op"], case["direction"]) == (op, direction)
        and case["id"] not in REFUSED
    ]
    if not chosen:
        assert (op, direction) == ("separable_conv", "backward"), "no case of this kind was read"
    for case in chosen:
        assert_as_published(case)


def test_all_verified_cases_are_run(cases: dict[str, Case]) -> None:
    assert sum(case["verified"] for case in cases.values()) == 492
    assert all(cases[name]["verified"] for name in REFUSED)
    kinds = {n: case["disagreement"]["kind"] for n, case in cases.items() if not case["verified"]}
    assert kinds == {name: why.partition(":")[0] for name, why in DISAGREEMENTS.items()}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_refused_with_the_arithmetic(cases: dict[str, Case], name: str) -> None:
    with pytest.raises(
        ShapeError, match="no output .* = 0" if "output" in REFUSED[name] else "no|zero"
    ):
        run(cases[name])


def test_both_gradients_of_a_convolution_are_public(cases: dict[str, Case]) -> None:
    """The backward cases again, without a graph: `conv_input_grad` and `conv_weight_grad`."""
    seen = 0
    for case in cases.values():
        if case["op"] != "conv" or case["direction"] != "backward" or case["id"] in REFUSED:
            continue
        given, expected = read_case(case)
        if "dy" not in given:
            continue
        p = case["params"]
        window = {
            "stride": tuple(p["stride"]),
            "padding": pairs_of(case),
            "dilation": tuple(p.get("dilation", [1] * case["ndim"])),
            "groups": p.get("groups", 1),
        }
        x, w, g = (given[name].copy() for name in ("x", "w", "dy"))
        close = {"rtol": 1e-12, "atol": case["atol_float64"], "err_msg": case["id"]}
        if "dx" in expected:
            dx = F.conv_input_grad(x.shape, w, g, **window)
            np.testing.assert_allclose(dx.numpy(), expected["dx"], **close)
        if "dw" in expected:
            dw = F.conv_weight_grad(x, w.shape, g, **window)
            np.testing.assert_allclose(dw.numpy(), expected["dw"], **close)
        seen += 1
    assert seen >= 18


# -------------------------------------------------------------------- where sources disagree


def test_nan_ties_go_to_the_first_nan_like_every_tie(cases: dict[str, Case]) -> None:
    """Policy: TensorFlow's choice for windows full of NaN, not torch's last NaN."""
    for name in ("tf-maxgrad2d-008", "tf-maxgrad2d-009"):
        _, expected = read_case(cases[name])
        np.testing.assert_array_equal(run(cases[name])["dx"], expected["dx"], err_msg=name)


def test_nan_wins_a_maximum(cases: dict[str, Case]) -> None:
    """Policy: a NaN must not be lost, so a window that holds one gives NaN (tfjs skips it)."""
    for name in ("tfjs-maxpool-006", "tfjs-maxpool3d-007"):
        case = cases[name]
        given, expected = read_case(case)
        axes = tuple(range(2, 2 + case["ndim"]))
        windows = np.lib.stride_tricks.sliding_window_view(
            given["x"], case["params"]["kernel"], axes
        )
        holds_nan = np.isnan(windows).any(axis=tuple(range(-case["ndim"], 0)))
        want = np.where(holds_nan, NAN, expected["y"])
        np.testing.assert_array_equal(run(case)["y"], want, err_msg=name)


def test_a_mean_of_no_cells_is_nan(cases: dict[str, Case]) -> None:
    """Policy: tfjs gives 0 where a window lies wholly in the padding; 0/0 is NaN here."""
    case = cases["tfjs-avgpool3d-013"]
    _, expected = read_case(case)
    got = run(case)["y"]
    np.testing.assert_array_equal(got, np.where(expected["y"] == 1, 1.0, NAN))


def test_mean_pool_divides_backwards_by_what_it_divided_forwards(cases: dict[str, Case]) -> None:
    """Source wrong: tfjs divides by 9 in the gradient; the adjoint identity decides."""
    case = cases["tfjs-avgpool-grad-004"]
    given, expected = read_case(case)
    got = run(case)
    assert not np.allclose(got["dx"], expected["dx"])
    # <f(x), g> = <x, f*(g)>: a mean is linear, so its gradient is its adjoint.
    assert np.vdot(got["y"], given["dy"]) == pytest.approx(np.vdot(given["x"], got["dx"]))
    assert np.vdot(got["y"], given["dy"]) != pytest.approx(np.vdot(given["x"], expected["dx"]))


def test_a_window_of_one_cell_still_strides_and_pads(cases: dict[str, Case]) -> None:
    """Source wrong: tfjs returns the input. Only the last window sees a cell, x[1, 1]."""
    for name, outside in (("tfjs-pool-006", -INF), ("tfjs-pool-012", NAN)):
        given, expected = read_case(cases[name])
        want = np.full(expected["y"].shape, outside)
        want[:, :, 1, 1] = given["x"][:, :, 1, 1]
        np.testing.assert_array_equal(run(cases[name])["y"], want, err_msg=name)
