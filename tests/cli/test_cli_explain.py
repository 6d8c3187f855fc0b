"""`rot180 explain`: operations and runs, text and JSON, files, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rot180.cli.main import main

WINDOW = ["--input", "5x5", "--kernel", "3x3", "--stride", "2", "--padding", "1"]


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as left:
        main(["explain", *arguments])
    out, err = capsys.readouterr()
    return int(left.value.code or 0), out, err


def test_a_cell(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "conv2d", *WINDOW, "--cell", "dx:1,2")
    assert code == 0
    assert out.splitlines()[0] == "δ_x12 = w_21·δ_01 + w_01·δ_11"
    code, out, _ = run(capsys, "conv2d", *WINDOW, "--cell", "dx:2,3", "--base", "1")
    assert out.splitlines()[0] == "δ_x23 = w_32·δ_12 + w_12·δ_22"


def test_steps_views_proofs(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "conv2d", *WINDOW, "--cell", "dx:1,2", "--steps", "--prove",
                       "--view", "gather", "--lang", "zh")  # fmt: skip
    assert code == 0
    assert "链式法则" in out
    assert "旋转180度" in out
    assert "34 个元素" in out


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "conv2d", *WINDOW, "--cell", "dx:1,2", "--cell", "z:0,0",
                       "--steps", "--prove", "--view", "scatter", "--json")  # fmt: skip
    found = json.loads(out)
    assert code == 0
    assert found["agrees"] is True
    assert found["window"] == "k3x3-s2x2-p1.1x1.1-d1x1-g1"
    assert [cell["label"] for cell in found["cells"]] == ["δ_x12", "z_00"]
    assert found["proof"] == {
        "holds": True, "entries": 34, "text": found["proof"]["text"],
    }  # fmt: skip
    assert found["view"]["name"] == "scatter"
    assert found["steps"]


KINDS = [
    ["conv1d", "--input", "6", "-k", "2", "--dilation", "2", "--bias"],
    ["conv3d", "--input", "3x3x3", "-k", "2x2x2"],
    ["conv2d", "--input", "4x4", "-k", "2x2", "--groups", "2", "--mode", "convolution"],
    ["conv2d", "--input", "4x4", "-k", "3", "-p", "same"],
    ["conv2d", "--input", "4x4", "-k", "3x3", "-p", "1.0x0.2"],
    ["conv_transpose2d", "--input", "3x3", "-k", "3x3", "-s", "2", "--output-padding", "1"],
    ["max_pool2d", "--input", "4x4", "-k", "2"],
    ["avg_pool2d", "--input", "5x5", "-k", "2x2", "--ceil-mode"],
    ["linear", "--input", "3", "--set", "outputs=2"],
    ["cross_entropy", "--input", "4", "--class", "2"],
    ["softmax", "--input", "3"],
    ["relu", "--input", "3"],
    ["batch_norm", "--input", "3x2"],
    ["layer_norm", "--input", "3"],
    ["sum", "--input", "2x3", "--set", "axis=1"],
    ["l2_penalty", "--input", "2x2", "--set", "strength=0.1"],
    ["mse_loss", "--input", "3", "--set", "target=[3]"],
]


@pytest.mark.parametrize("arguments", KINDS, ids=lambda a: a[0])
def test_every_kind(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, err) == (0, "")
    assert "δ" in out
    code, out, _ = run(capsys, *arguments, "--json")
    assert code == 0
    assert json.loads(out)["agrees"] is True


@pytest.mark.parametrize("suffix", ["txt", "md", "tex"])
def test_files(capsys: pytest.CaptureFixture[str], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"e.{suffix}"
    code, out, _ = run(capsys, "conv2d", *WINDOW, "-o", str(path))
    assert code == 0
    assert out.strip() == str(path)
    assert path.stat().st_size > 500


WRONG = [
    (["conv2d", *WINDOW, "--cell", "dx:9,9"], "index out of range in δ_x, axis 0"),
    (["conv2d", *WINDOW, "--view", "picture"], "unknown view 'picture'"),
    (["conv2d", "--input", "2x2", "-k", "3x3"], "no output along axis 0"),
    (["conv2d", "-k", "3x3"], "--input is missing"),
    (["convolve", "--input", "3"], "no operation 'convolve'"),
    (["runs/none", "--image", "3"], "no run folder"),
    (["conv2d", *WINDOW, "-o", "x.doc"], "unknown suffix"),
    (["relu", "--input", "3", "--kernel", "3x3"], "relu"),
    (["max_pool2d", "--input", "4x4"], "needs a kernel"),
    (["conv2d", *WINDOW, "--set", "nothing"], "NAME=VALUE"),
    (["conv2d", *WINDOW, "--set", "colour=3"], "colour"),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG, ids=lambda a: " ".join(a)[:40])
def test_wrong_use_is_one_line(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_run(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["train", "digits", "--set", "train.epochs=1", "--set", "train.fast_dev_run=true"])
    capsys.readouterr()
    (folder,) = (tmp_path / "runs").iterdir()
    code, out, err = run(capsys, str(folder), "--image", "3", "--json", "--cell", "δ_w1:0,0,1,1")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert found["layers"][0]["kind"] == "Conv2d"
    assert found["cells"][0]["agrees"] is True
    code, out, _ = run(capsys, str(folder), "--image", "3", "--lang", "zh")
    assert code == 0
    assert "features.0 (Conv2d)" in out
    code, _, err = run(capsys, str(folder), "--image", "100000")
    assert code == 2
    assert "no image 100000 in digits" in err
