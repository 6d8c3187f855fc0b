"""`check.diagnose`: user code of every kind, files, errors, and entries of rare operations."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import check
from rot180.errors import ArgumentError, DataError, NumericsError, ShapeError


def full(g: Any, w: Any) -> Any:
    """The input gradient with a kernel that was not turned."""
    return rt.ops.conv2d(g, w.swapaxes(0, 1), padding="full").data


def right_dw(g: Any, x: Any, w: Any) -> Any:
    return rt.ops.conv_weight_grad(x, w.shape, g).data


# ------------------------------------------------------------------ user code


def test_a_function_of_g_and_operands() -> None:
    found = check.diagnose("conv2d", lambda g, x, w: (full(g, w), right_dw(g, x, w)))
    assert found["dx"].name == "kernel not turned"
    assert found["dw"]


def test_a_dictionary_of_gradients() -> None:
    found = check.diagnose("conv2d", lambda g, x, w: {"dW": right_dw(g, x, w), "dx": full(g, w)})
    assert found["dx"].name == "kernel not turned"
    assert found["dw"]
    with pytest.raises(ArgumentError, match="names of the gradients"):
        check.diagnose("relu", lambda g, x: {"nonsense": g})


def test_a_pair_with_a_cache_as_in_courses() -> None:
    def forward(x: Any, w: Any, b: Any) -> Any:
        return x @ w.T + b, (x, w)

    def backward(dout: Any, cache: Any) -> Any:
        x, w = cache
        return dout @ w, x.T @ dout, dout.mean(0)

    found = check.diagnose("linear", (forward, backward))
    assert found["dx"]
    assert found["dw"].name == "weight gradient transposed"
    assert found["db"].name == "averaged over the batch (db)"


def test_a_plain_pair() -> None:
    assert check.diagnose("tanh", (np.tanh, lambda g, x: g * (1 - np.tanh(x) ** 2)))
    found = check.diagnose("tanh", (np.tanh, lambda g, x: g * (1 - x**2)))
    assert found.name == "derivative taken at the input"


class Layer:
    """A layer with its parameters and their gradients inside."""

    def __init__(self) -> None:
        self.W: Any = None
        self.b: Any = None

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.W.T + self.b

    def backward(self, g: Any) -> Any:
        self.dW, self.db = g.T @ self.x, g[0]
        return g @ self.W


@pytest.mark.parametrize("code", [Layer, Layer()])
def test_a_layer(code: Any) -> None:
    found = check.diagnose("linear", code)
    assert found["dx"]
    assert found["dw"]
    assert found["db"].name == "bias not summed over the batch"


def test_a_function_class_of_ours() -> None:
    class Wrong(rt.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return rt.sigmoid(x)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            (x,) = ctx.saved_tensors
            return rt.sigmoid(x) * (1 - rt.sigmoid(x))

    assert check.diagnose("sigmoid", Wrong).name == "upstream gradient dropped"


def test_torch_tensors_and_function_classes() -> None:
    torch = pytest.importorskip("torch")

    class Wrong(torch.autograd.Function):  # type: ignore[misc, name-defined]
        @staticmethod
        def forward(ctx: Any, x: Any, w: Any) -> Any:
            ctx.save_for_backward(x, w)
            return torch.nn.functional.conv2d(x, w)

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            x, w = ctx.saved_tensors
            dx = torch.nn.functional.conv2d(g, w.transpose(0, 1), padding=w.shape[2] - 1)
            return dx, torch.nn.grad.conv2d_weight(x, w.shape, g)

    found = check.diagnose("conv2d", Wrong)
    assert found["dx"].name == "kernel not turned"
    assert found["dw"]
    x, w = torch.randn(2, 3, 5, 5), torch.randn(4, 3, 3, 3)
    g = torch.randn(2, 4, 3, 3)
    dx = torch.nn.grad.conv2d_input(x.shape, w, g)
    assert check.diagnose("conv2d", x=x, w=w, g=g, dx=dx)
    assert check.diagnose("conv2d", x=x, w=w, g=g, dx=-dx).name == "sign reversed (dx)"


def test_a_forward_pass_that_is_another_convention_is_noted() -> None:
    pair = (
        lambda x, w: rt.ops.conv2d(x, w, mode="convolution").data,
        lambda g, x, w: (rt.ops.conv_input_grad(x.shape, w, g).data, right_dw(g, x, w)),
    )
    found = check.diagnose("conv2d", pair)
    assert not found
    assert "your forward pass is not conv2d" in str(found)
    assert all(found.findings)


# ------------------------------------------------------------------ files, questions, pictures


def test_a_file(tmp_path: Path, rng: np.random.Generator) -> None:
    x, w, g = (rng.standard_normal(s) for s in ((3, 2, 7, 7), (4, 2, 3, 3), (3, 4, 3, 3)))
    dx = rt.ops.conv_input_grad(x.shape, w[:, :, ::-1, ::-1].copy(), g, 2).data
    path = tmp_path / "case.npz"
    np.savez(path, operation="conv2d", x=x, w=w, g=g, dx=dx, stride=2)
    for given in (path, str(path)):
        assert check.diagnose(given).name == "kernel not turned"
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "nameless.npz", x=x)
    for name, text in (
        ("bad.npz", "no arrays"), ("nameless.npz", "no operation"), ("none.npz", "no such file"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=text):
            check.diagnose(tmp_path / name)


def test_a_question_decides(tmp_path: Path, rng: np.random.Generator) -> None:
    x, w, g = rng.standard_normal((2, 3)), rng.standard_normal((4, 3)), rng.standard_normal((2, 4))
    found = check.diagnose("linear", x=x, w=w, g=g, dx=g @ w / 2)
    assert set(found["dx"].names) == {"averaged over the batch (dx)", "halved (dx)"}
    assert found.question is not None
    assert "to decide, run your backward pass on these" in str(found)
    path = found.question.save(tmp_path / "question.npz")
    with np.load(path) as file:
        again = {name: file[name] for name in file.files}
    again.pop("operation")
    again.pop("b", None)
    again["dx"] = again["g"] @ again["w"] / len(again["x"])
    assert check.diagnose("linear", **again).name == "averaged over the batch (dx)"


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    found = check.diagnose("conv2d", lambda g, x, w: (full(g, w), right_dw(g, x, w)))
    assert found.save(tmp_path / "diagnosis.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match="no mistake to draw"):
        check.diagnose("relu", lambda g, x: g * (x > 0)).save(tmp_path / "right.png")


# ------------------------------------------------------------------ rare entries


def test_three_axes(rng: np.random.Generator) -> None:
    x, w = rng.standard_normal((2, 2, 4, 5, 4)), rng.standard_normal((3, 2, 2, 3, 2))
    g = rng.standard_normal(rt.ops.conv3d(x, w).shape)
    dx = rt.ops.conv_input_grad(x.shape, w[:, :, ::-1].copy(), g).data
    assert check.diagnose("conv3d", x=x, w=w, g=g, dx=dx).name == (
        "only some axes of the kernel turned"
    )


def test_other_rules_for_ties() -> None:
    x = np.array([[[1.0, 1.0, 0.0, 2.0]]])
    g = np.array([[[3.0, 5.0]]])
    options = {"x": x, "g": g, "kernel_size": 2, "stride": 2}
    first, every = np.array([[[3.0, 0, 0, 5]]]), np.array([[[3.0, 3.0, 0, 5]]])
    assert check.diagnose("max_pool1d", dx=first, **options)
    assert check.diagnose("max_pool1d", dx=every, **options).name == "handed to every tie"
    assert check.diagnose("max_pool1d", dx=every, ties="all", **options)
    assert check.diagnose("max_pool1d", dx=first, ties="all", **options).name == (
        "handed to the first tie"
    )


def test_a_loss_that_is_a_sum(rng: np.random.Generator) -> None:
    x, t = rng.standard_normal((7, 4)), rng.integers(0, 4, 7)
    y = np.exp(x) / np.exp(x).sum(1, keepdims=True) - np.eye(4)[t]
    given = {"x": x, "t": t, "g": np.array(1.7), "reduction": "sum"}
    assert check.diagnose("cross_entropy", dx=1.7 * y, **given)
    found = check.diagnose("cross_entropy", dx=1.7 * y / 7, **given)
    assert found.name == "divided although the loss is a sum"


def test_gradients_that_were_not_summed_or_moved_at_all(rng: np.random.Generator) -> None:
    x, w, g = (rng.standard_normal(s) for s in ((2, 3, 5, 5), (4, 3, 3, 3), (2, 4, 3, 3)))
    dx = rt.ops.conv_input_grad(x.shape, w, g).data
    given = {"x": x, "w": w, "g": g}
    assert "axes exchanged" in check.diagnose("conv2d", dx=dx.transpose(0, 1, 3, 2), **given).name
    assert "flipped along axes (2,)" in check.diagnose("conv2d", dx=dx[:, :, ::-1], **given).name
    assert "0.37 times" in check.diagnose("conv2d", dx=0.37 * dx, **given).name
    assert check.diagnose("conv2d", db=g.sum((0, 2, 3))[None, :, None], **given)
    two = np.zeros_like(dx)
    two[:, :, 2:] = dx[:, :, :-2]
    assert "shifted by (2, 0) cells" in check.diagnose("conv2d", dx=two, **given)["dx"].names


# ------------------------------------------------------------------ bad input


def test_bad_input_in_one_line() -> None:
    x, w, g = np.ones((2, 2, 5, 5)), np.ones((3, 2, 3, 3)), np.ones((2, 3, 3, 3))
    ok = {"x": x, "w": w, "g": g}
    nan = np.full(x.shape, np.nan)
    for call, error, text in (
        (lambda: check.diagnose("conv9d", **ok), ArgumentError, "no catalogue"),
        (lambda: check.diagnose("conv2d", **ok), ArgumentError, "no gradient"),
        (lambda: check.diagnose("conv2d", dx=x, x=x), ArgumentError, "needs g, w"),
        (lambda: check.diagnose("conv2d", dx=nan, **ok), NumericsError, "dx holds NaN"),
        (lambda: check.diagnose("conv2d", dx=x, **(ok | {"x": nan})), NumericsError, "x holds"),
        (lambda: check.diagnose("conv2d", dx=x, **(ok | {"g": x})), ShapeError, "shape of g"),
        (lambda: check.diagnose("conv2d", dx=x, **(ok | {"w": w[:, :1]})), ShapeError, "channels"),
        (lambda: check.diagnose("conv2d", dx=x, wrong=1, **ok), ArgumentError, "has no 'wrong'"),
        (lambda: check.diagnose("conv2d", full, dx=x, **ok), ArgumentError, "not both"),
        (lambda: check.diagnose("conv2d", None, x), ArgumentError, "by name"),
        (lambda: check.diagnose("conv2d", 3), ArgumentError, "nothing to run"),
        (lambda: check.diagnose("relu", lambda g, x: (g, g)), ShapeError, "number of gradients"),
    ):
        with pytest.raises(error, match=text) as raised:
            call()
        assert "\n" not in str(raised.value)
