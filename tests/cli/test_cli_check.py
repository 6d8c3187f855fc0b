"""`rot180 check`, `diagnose`, `identify`, and what `shape` says about guessed integers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180.cli import main

CODE = '''
import numpy as np
import rot180 as rt
from rot180.ops import conv2d, conv_weight_grad


def backward(g, x, w):
    """The kernel is not turned."""
    dx = conv2d(g, w.swapaxes(0, 1), padding="full").data
    return dx, conv_weight_grad(x, w.shape, g).data


def square(x):
    return x * x


def forward(x):
    return x * x


def half(g, x):
    return g * x


class Cube(rt.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 3.0 * x * x


class Layer:
    weight = None

    def forward(self, x):
        self.x = x
        return x @ self.weight.T

    def backward(self, g):
        self.dweight = g.T @ self.x / len(g)
        return g @ self.weight
'''


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line in this process: (exit code, standard output, standard error)."""

    def command(*words: Any) -> tuple[Any, str, str]:
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return command


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.py"
    path.write_text(CODE, encoding="utf-8")
    return path


def complains(result: tuple[Any, str, str], *parts: str) -> None:
    status, out, err = result
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for part in parts:
        assert part in err


def test_check(run: Any, code: Path) -> None:
    status, out, _ = run("check", f"{code}:square", "--input", "2x3")
    assert status == 0
    assert "gradients: right in 6 cells" in out
    assert run("check", "mine:square", "--input", "2x3", "--fast")[0] == 0
    assert run("check", f"{code}:Cube", "--input", "4", "--float32")[0] == 0
    status, out, _ = run("check", f"{code}:forward,half", "--input", "2x3", "--json")
    assert status == 1
    assert json.loads(out)["inputs"][0]["wrong"] == 6


def test_check_takes_arrays_and_draws(run: Any, code: Path) -> None:
    pytest.importorskip("matplotlib")
    np.savez("inputs.npz", x=np.ones((2, 2)))
    status, out, _ = run("check", f"{code}:forward,half", "--arrays", "inputs.npz", "-o", "a.png")
    assert status == 1
    assert "0.5 times the difference" in out
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")


def test_diagnose_code(run: Any, code: Path) -> None:
    status, out, _ = run("diagnose", "conv2d", f"{code}:backward")
    assert status == 1
    assert "dx: kernel not turned" in out
    assert "dw: right" in out
    status, out, _ = run("diagnose", "conv2d", "mine:backward", "--json")
    assert status == 1
    assert json.loads(out)["findings"][0]["name"] == "kernel not turned"
    status, out, _ = run("diagnose", "linear", f"{code}:Layer", "--json")
    assert json.loads(out)["findings"][1]["name"] == "averaged over the batch (dw)"
    assert run("diagnose", "square", f"{code}:forward,half")[1].startswith("square: halved (dx)")


def test_diagnose_arrays(run: Any, code: Path) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 2, 7, 6)), rng.standard_normal((3, 2, 3, 3))
    z = rt.ops.conv2d(x, w, stride=(2, 1), padding=((1, 0), (2, 1))).data
    g = rng.standard_normal(z.shape)
    dx = rt.ops.conv_input_grad(x.shape, w, g, (2, 1), ((1, 0), (2, 1))).data
    np.savez("case.npz", x=x, w=w, g=g, dx=dx)
    words = ("--arrays", "case.npz", "-s", "2x1", "-p", "1.0x2.1")
    status, out, _ = run("diagnose", "conv2d", *words)
    assert (status, out) == (0, "conv2d: right\n  dx: right\n")
    assert run("diagnose", "conv2d", *words, "--set", "mode=convolution")[0] == 1
    np.savez("half.npz", operation="linear", x=x[:, 0, 0], w=w[0, 0], g=g[:, 0, 0, :3],
             dx=g[:, 0, 0, :3] @ w[0, 0] / 2)  # fmt: skip
    x3 = x[:, 0, 0, :3]
    np.savez("half.npz", operation="linear", x=x3, w=w[0, 0], g=g[:, 0, 0, :3],
             dx=g[:, 0, 0, :3] @ w[0, 0] / 2)  # fmt: skip
    status, out, _ = run("diagnose", "half.npz", "--ask", "ask.npz")
    assert status == 1
    assert "fits as well" in out
    with np.load("ask.npz") as asked:
        assert {"x", "w", "g", "operation"} <= set(asked.files)


def test_the_catalogue_is_listed(run: Any) -> None:
    status, out, _ = run("diagnose", "conv2d", "--list")
    assert status == 0
    assert "dx  kernel not turned: δx[h] = Σ w[R−1−r]·g[p]" in out
    assert len(json.loads(run("diagnose", "conv2d", "--list", "--json")[1])["mistakes"]) > 60
    complains(run("diagnose", "conv9d", "--list"), "no catalogue")


def test_identify(run: Any, code: Path) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 8, 7)), rng.standard_normal((4, 3, 3, 3))
    y = rt.ops.conv2d(x, w, stride=2, padding=1, mode="convolution").data
    np.savez("case.npz", x=x, w=w.transpose(2, 3, 1, 0), y=y)
    status, out, _ = run("identify", "case.npz")
    assert status == 0
    assert out.startswith("convolution, stride 2x2, padding 1+1")
    assert "weights HWIO" in out
    status, out, _ = run("identify", "case.npz", "--json")
    assert json.loads(out)["conventions"][0]["weight_layout"] == "HWIO"
    np.savez("none.npz", x=x, w=w, y=rng.standard_normal(y.shape))
    assert run("identify", "none.npz")[:2][0] == 1
    complains(run("identify", "nothing.npz"), "no such file")
    np.savez("short.npz", x=x)
    complains(run("identify", "short.npz"), "expected x, w, y or x, w, g, dx")


def test_wrong_use_is_one_line(run: Any, code: Path) -> None:
    complains(run("check", f"{code}:square"), "give the inputs")
    complains(run("check", "square", "-i", "2"), "expected package.module:function")
    complains(run("check", f"{code}:nothing", "-i", "2"), "has no 'nothing'")
    complains(run("check", "missing.py:f", "-i", "2"), "no such file")
    complains(run("check", "no_such_package:f", "-i", "2"), "cannot be imported")
    Path("broken.py").write_text("1 +", encoding="utf-8")
    complains(run("check", "broken.py:f", "-i", "2"), "SyntaxError")
    Path("raises.py").write_text("def f(x):\n    return 1 / 0\n", encoding="utf-8")
    complains(run("check", "raises.py:f", "-i", "2"), "ZeroDivisionError", "raises.py, line 2")
    complains(run("diagnose", "conv9d", f"{code}:backward"), "no catalogue")
    complains(run("diagnose", "conv2d", f"{code}:backward", "--set", "nonsense"), "name=value")
    complains(run("diagnose", "conv2d"), "no gradient")
    complains(run("diagnose", "none.npz"), "no such file")


def test_shape_solves_output_padding(run: Any) -> None:
    words = ("shape", "conv_transpose2d", "-k", 3, "-s", 2, "-i", "4x4")
    _, out, _ = run(*words, "--want", 8)
    assert "stride 2x2, padding 1x1, output_padding 1x1" in out
    assert "uneven: kernel 3 is no multiple of stride 2" in out
    _, out, _ = run(*words, "--want", "8x8", "--json")
    found = json.loads(out)
    assert found["solutions"][0]["output_padding"] == [1, 1]
    assert found["layers"][0]["overlap"]["even"] is False
    complains(run("shape", "conv2d", "-k", 3, "-i", 8, "--want", 8), "--want is for conv_transpose")


def test_shape_shows_divisors_and_rules(run: Any) -> None:
    words = ("shape", "avg_pool2d", "-k", 3, "-s", 2, "-p", 1, "-i", "6x6", "--ceil-mode")
    assert "(3 3 3 2) x (3 3 3 2)" in run(*words)[1]
    assert (
        json.loads(run(*words, "--exclude-pad", "--json")[1])["layers"][0]["divisors"]
        == [[2, 3, 3, 1]] * 2
    )
    out = run("shape", "conv2d", "-k", 3, "-s", 2, "-i", "6x6", "--rules")[1]
    assert "same_upper  0+1 x 0+1" in out
    complains(run("shape", "max_pool2d", "-k", 3, "-i", "6x6", "--rules"), "for convolutions")
    complains(run("shape", "conv2d", "-k", 3, "-i", "6x6", "--exclude-pad"), "does not apply")
