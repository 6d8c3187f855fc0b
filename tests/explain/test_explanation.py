"""Cells, grids, notation, languages, files."""

from __future__ import annotations

import json
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import nn
from rot180 import ops as F
from rot180.explain import Cell, Explanation, Ref


def test_a_cell() -> None:
    w, x, g = [[0.1, 0.2], [0.2, 0.4]], np.zeros((3, 3)), [[1, 3], [2, 2]]
    e = rt.explain.conv2d(x, w, g=g)
    cell = e.dx[0, 1]
    assert (str(cell), repr(cell), cell.label) == (cell.equation, cell.equation, "δ_x01")
    assert cell.equation == "δ_x01 = w_01·δ_00 + w_00·δ_01"
    assert cell.numbers == "δ_x01 = 0.2·1 + 0.1·3 = 0.5"
    assert cell.value == pytest.approx(0.5)
    assert cell.engine == e.dx.array[0, 0, 0, 1]
    assert cell.agrees
    assert [str(term.cells) for term in cell.terms] == [
        str((Ref("w", (0, 0, 0, 1)), Ref("δ", (0, 0, 0, 0)))),
        str((Ref("w", (0, 0, 0, 0)), Ref("δ", (0, 0, 0, 1)))),
    ]
    assert cell.sources == (
        Ref("w", (0, 0, 0, 1)), Ref("δ", (0, 0, 0, 0)),
        Ref("w", (0, 0, 0, 0)), Ref("δ", (0, 0, 0, 1)),
    )  # fmt: skip
    assert e.cell("dx:0,1").index == e.cell("δ_x[0,1]").index == (0, 0, 0, 1)
    assert json.loads(json.dumps(cell.to_dict(), allow_nan=False))["agrees"] is True


def test_a_wrong_number_is_seen() -> None:
    """The comparison with the engine can fail: here the engine's array is changed behind it."""
    e = rt.explain.conv2d((3, 3), (2, 2))
    assert e.agrees
    e.values["δ_x"].array[0, 0, 1, 1] += 1
    assert not e.dx[1, 1].agrees
    assert not e.agrees
    assert e.steps("dx:1,1")[-1].reason.endswith("DIFFERS")
    assert not e.view("scatter").agrees


def test_cells_that_nothing_reads_are_zero() -> None:
    """A remainder: the last row and column are seen by no window."""
    e = rt.explain.conv2d((6, 6), (2, 2), stride=3)
    assert e.dx[5, 0].equation == "δ_x50 = 0"
    assert e.dx[5, 0].terms == ()
    assert e.steps("dx:5,0")[0].text == "δ_x50 = 0"


def test_slots_show_padding_dilation_remainder_and_crop() -> None:
    e = rt.explain.conv1d((6,), (2,), stride=3)
    slots = [s.kind for s in e.view("gather").slots]  # type: ignore[attr-defined]
    assert slots == ["padding", "cell", "dilation", "dilation", "cell", "padding", "remainder"]
    forward = [s.kind for s in e.view("gather", "z").slots]  # type: ignore[attr-defined]
    assert forward == ["cell"] * 5 + ["unread"]
    cropped = rt.explain.conv1d((4,), (2,), padding=2).view("gather")
    assert cropped.cropped == [(0,), (6,)]  # type: ignore[attr-defined]
    assert cropped.agrees


def test_many_channels_and_wide_arrays_are_written_with_commas() -> None:
    e = rt.explain.conv2d((2, 3, 3), (2, 2, 2, 2))
    assert e.dx[1, 0, 0].equation == "δ_x1,0,0 = w_0,1,0,0·δ_0,0,0 + w_1,1,0,0·δ_1,0,0"
    wide = rt.explain.conv1d((12,), (2,))
    assert wide.dx[11].equation == "δ_x11 = w_1·δ_10"
    assert rt.explain.conv2d((11, 2), (1, 1)).dx[10, 1].label == "δ_x10,1"


def test_mathml_is_xml_with_every_symbol() -> None:
    cell = rt.explain.conv2d((3, 3), (2, 2)).dx[0, 1]
    root = ET.fromstring(cell.mathml.replace("&InvisibleTimes;", "&#8290;"))
    assert root.tag.endswith("math")
    words = "".join(root.itertext())
    assert words.replace("\u2062", "") == "δx01=w01δ00+w00δ01"


def test_functions_are_set_in_latex() -> None:
    e = rt.explain.softmax((2,))
    assert e.dx[0].latex.startswith(r"\delta_{x_{0}} = ")
    assert r"\delta_{a^{(2)}_{0}}" in e.dx[0].latex
    assert r"\begin{cases}" in rt.explain.relu((2,)).dx[0].latex


def test_a_module_is_explained_with_its_parameters() -> None:
    layer = nn.Conv2d(1, 1, 2)
    e: Explanation = rt.explain(layer, np.arange(9.0, dtype=np.float32).reshape(1, 1, 3, 3))  # type: ignore[operator]
    assert set(e.values) == {"x", "w", "b", "z", "δ", "δ_x", "δ_w", "δ_b"}
    assert e.db[0].equation == "δ_b0 = δ_00 + δ_01 + δ_10 + δ_11"
    assert e.agrees


def test_a_function_of_ones_own() -> None:
    def residual(x: Any, w: Any) -> Any:
        return F.relu(F.conv2d(x, w, padding=1)) + x

    e: Explanation = rt.explain(residual, np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)))  # type: ignore[operator]
    assert e.agrees
    assert e.dx[1, 1].equation.startswith("δ_x11 = δ_11 + ")
    assert "δ_a1_" in e.dx[1, 1].equation


def test_inner_values_do_not_take_the_letter_of_an_argument() -> None:
    """Otherwise cell 1 of the gradient of a, δ_a1, would read like the gradient of an inner a1."""
    e: Explanation = rt.explain(lambda a, b: F.exp(a) * F.exp(a + b), np.ones(2), np.ones(2))  # type: ignore[operator]
    assert "a1" not in e.values
    assert "u1" in e.values
    assert e.agrees


def test_ties_are_shared_as_declared() -> None:
    flat = np.ones((2, 2))
    first = rt.explain.max_pool2d(flat, 2)
    assert [c.equation.split(" = ")[1] for c in first.dx] == ["δ_00", "0", "0", "0"]
    split = rt.explain.max_pool2d(flat, 2, ties="split")
    assert [c.equation.split(" = ")[1] for c in split.dx] == ["0.25·δ_00"] * 4
    assert split.agrees


def test_both_languages_say_everything() -> None:
    from rot180.explain.words import _WORDS

    for key, (english, chinese) in _WORDS.items():
        assert english, key
        assert any("\u4e00" <= c <= "\u9fff" for c in chinese), key
    e = rt.explain.conv2d((3, 3), (2, 2), lang="zh")
    for word in ("旋转180度", "全卷积", "误差敏感项"):
        assert word in str(e.view("gather"))
    assert "链式法则" in "\n".join(map(str, e.steps("dx:0,1")))
    assert "误差敏感项" in str(e)
    mean = rt.explain.avg_pool2d((4, 4), 2, lang="zh")
    assert "上采样" in str(mean.view("scatter"))


@pytest.mark.parametrize("suffix", ["txt", "md", "tex"])
def test_files(tmp_path: Path, suffix: str) -> None:
    e = rt.explain.conv2d((3, 3), (2, 2))
    path = e.save(tmp_path / f"e.{suffix}")
    text = path.read_text("utf-8")
    wanted = e.dx[0, 1].equation if suffix == "txt" else e.dx[0, 1].latex.split(" = ")[1]
    assert wanted in text
    assert [p.name for p in tmp_path.iterdir()] == [f"e.{suffix}"]
    if suffix == "tex":
        assert text.count(r"\begin{align*}") == 3
        assert text.rstrip().endswith(r"\end{document}")


def test_one_cell_of_a_large_layer_in_time() -> None:
    """A 256-channel 56×56 layer: no explosion (the bound is no measurement)."""
    began = time.perf_counter()
    e = rt.explain.conv2d((256, 56, 56), (256, 256, 3, 3), padding=1)
    cell: Cell = e.dx[3, 20, 20]
    assert len(cell.terms) == 2304
    assert cell.agrees
    assert len(cell.equation) > 2304
    assert time.perf_counter() - began < 30
    assert len(e.steps(cell)) < 60
