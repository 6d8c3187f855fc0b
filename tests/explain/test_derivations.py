"""The worked examples as the documents print them, and the chapter that shows them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import rot180 as rt
from rot180 import ops as F
from rot180.explain import Explanation

DOCS = Path(__file__).resolve().parents[2] / "docs"

DOCUMENT = r"""
z_{00}=x_{00}w_{00}+x_{01}w_{01}+x_{10}w_{10}+x_{11}w_{11}
z_{01}=x_{01}w_{00}+x_{02}w_{01}+x_{11}w_{10}+x_{12}w_{11}
z_{10}=x_{10}w_{00}+x_{11}w_{01}+x_{20}w_{10}+x_{21}w_{11}
z_{11}=x_{11}w_{00}+x_{12}w_{01}+x_{21}w_{10}+x_{22}w_{11}
\delta_{x_{00}}=w_{00}\delta_{z_{00}}
\delta_{x_{01}}=w_{01}\delta_{z_{00}}+w_{00}\delta_{z_{01}}
\delta_{x_{02}}=w_{01}\delta_{z_{01}}
\delta_{x_{10}}=w_{10}\delta_{z_{00}}+w_{00}\delta_{z_{10}}
\delta_{x_{11}}=w_{11}\delta_{z_{00}}+w_{10}\delta_{z_{01}}+w_{01}\delta_{z_{10}}+w_{00}\delta_{z_{11}}
\delta_{x_{12}}=w_{11}\delta_{z_{01}}+w_{01}\delta_{z_{11}}
\delta_{x_{20}}=w_{10}\delta_{z_{10}}
\delta_{x_{21}}=w_{11}\delta_{z_{10}}+w_{10}\delta_{z_{11}}
\delta_{x_{22}}=w_{11}\delta_{z_{11}}
\delta_{w_{00}}=x_{00}\delta_{z_{00}}+x_{01}\delta_{z_{01}}+x_{10}\delta_{z_{10}}+x_{11}\delta_{z_{11}}
\delta_{w_{01}}=x_{01}\delta_{z_{00}}+x_{02}\delta_{z_{01}}+x_{11}\delta_{z_{10}}+x_{12}\delta_{z_{11}}
\delta_{w_{10}}=x_{10}\delta_{z_{00}}+x_{11}\delta_{z_{01}}+x_{20}\delta_{z_{10}}+x_{21}\delta_{z_{11}}
\delta_{w_{11}}=x_{11}\delta_{z_{00}}+x_{12}\delta_{z_{01}}+x_{21}\delta_{z_{10}}+x_{22}\delta_{z_{11}}
"""
"""Example 5 as the document sets it, character by character (its blanks left out)."""


def chapter_writer() -> ModuleType:
    spec = importlib.util.spec_from_file_location("derivations", DOCS / "derivations.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_chapter_is_what_its_writer_writes() -> None:
    writer = chapter_writer()
    assert writer.CHAPTER.read_text("utf-8") == writer.render()


def test_example_5_in_latex_as_the_document_sets_it() -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), upstream="δ_z")
    cells = [*e.z, *e.dx, *e.dw]
    written = [cell.latex.replace(" ", "") for cell in cells]
    assert written == DOCUMENT.strip().split("\n")


@pytest.mark.parametrize("base", [0, 1])
def test_example_5_as_text(base: int) -> None:
    def counted(line: str) -> str:
        return re.sub(r"\d", lambda digit: str(int(digit[0]) + base), line)

    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), base=base)
    plain = DOCUMENT.strip().replace(r"\delta_{z_", "δ_").replace(r"\delta_{x_", "δ_x")
    plain = plain.replace(r"\delta_{w_", "δ_w").replace("{", "").replace("}", "")
    cells = [*e.z, *e.dx, *e.dw]
    written = [re.sub(r"[ ·]", "", cell.equation) for cell in cells]
    assert written == [counted(line) for line in plain.split("\n")]


def test_example_6_the_unrolled_network() -> None:
    """9 inputs, 4 outputs, 16 edges in 4 colours; the δ of the first two inputs, from 1."""
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), mode="convolution", base=1)
    network = e.view("network", "z")
    assert len(network.sources) == 9  # type: ignore[attr-defined]
    assert len(network.targets) == 4  # type: ignore[attr-defined]
    assert len(network.edges) == 16  # type: ignore[attr-defined]
    assert len(network.cut) == 20  # type: ignore[attr-defined]
    assert network.colours == 4  # type: ignore[attr-defined]
    assert e.dx[1, 1].equation == "δ_x11 = w_22·δ_11"
    assert e.dx[1, 2].equation == "δ_x12 = w_21·δ_11 + w_22·δ_12"


def test_example_7_on_the_graph() -> None:
    e = rt.explain(lambda x, y, z: (x + y) * z, -2, 5, -4)  # type: ignore[operator]
    graph = e.view("graph", "dx")
    nodes = {node.name: (node.value, node.gradient) for node in graph.nodes}
    assert nodes == {
        "x": (-2, -4), "y": (5, -4), "z": (-4, 3), "a1": (3, -4), "f": (-12, 1),
    }  # fmt: skip
    assert {(x.source, x.target): (x.local, x.number) for x in graph.edges} == {
        ("x", "a1"): ("1", 1), ("y", "a1"): ("1", 1), ("a1", "f"): ("z", -4), ("z", "f"): ("a1", 3),
    }  # fmt: skip
    assert graph.array.item() == -4
    assert e.view("graph", "dz").array.item() == 3


def softmax_loss(rng: np.random.Generator, y: int) -> tuple[Explanation, np.ndarray]:  # type: ignore[type-arg]
    logits = rng.standard_normal(4)

    def loss(x: rt.Tensor) -> rt.Tensor:
        powers = F.exp(x)
        return -F.log(powers[y] / F.sum(powers))

    powers = np.exp(logits)
    return rt.explain(loss, logits), powers / powers.sum()  # type: ignore[operator]


def test_example_8_line_by_line(rng: np.random.Generator) -> None:
    e, f = softmax_loss(rng, 2)
    np.testing.assert_allclose(e.dx.numbers, f - np.eye(4)[2], atol=1e-12)
    lines = [line.text for line in e.steps("dx:2")]
    wanted = ["z = −ln(a3)", "∂z/∂a3 = −1/a3", "a3 = a1_2/a2", "∂a3/∂a1_2 = 1/a2",
              "δ_a1_2 = δ_a2 + δ_a3/a2", "δ_x2 = δ_a1_2·exp(x_2)"]  # fmt: skip
    places = [lines.index(line) for line in wanted]
    assert places == sorted(places)
    assert lines[-1].startswith("δ_x2 = −")
    assert e.prove().holds


def test_the_documents_errors_are_seen_in_the_terms() -> None:
    """000: y = y′ − b, not y′ − a. 001: 2λW. 002: no stride in the padding. 003: folding."""
    e = rt.explain.conv2d(input=(3, 4), kernel=(2, 3), padding="full", mode="convolution")
    pairs = [
        (cell.index[2:], *(ref.index[2:] for ref in term.cells))
        for cell in e.dx
        for term in cell.terms
    ]
    assert pairs
    assert all(x == xo - a and y == yo - b for (x, y), (a, b), (xo, yo) in pairs)
    assert not all(y == yo - a for (_, y), (a, _), (_, yo) in pairs)
    assert rt.explain.l2_penalty((2, 2), 0.1).dw[0, 0].equation == "δ_w00 = 0.2·δ·w_00"
    for stride in (1, 2, 3, 4):
        for padding in (0, 1, 2):
            view = rt.explain.conv2d((9, 9), (3, 3), stride=stride, padding=padding).view("gather")
            rest = (9 + 2 * padding - 3) % stride
            sides = [(axis.before, axis.after) for axis in view.axes]  # type: ignore[attr-defined]
            assert sides == [(2 - padding, 2 - padding + rest)] * 2


def test_001_the_factor_is_the_transposed_activation() -> None:
    e = rt.explain.linear(input=(3, 2), weight=(2, 2), bias=False)
    assert e.dw[0, 1].equation == "δ_w01 = x_01·δ_00 + x_11·δ_10 + x_21·δ_20"
