"""Figures: every view of every kind of operation, drawn whole or not at all, twice the same."""

from __future__ import annotations

import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import nn
from rot180.errors import ArgumentError, MissingExtraError
from rot180.explain import Explanation, Ref
from rot180.explain.figures import FIGURES, figure
from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.colours import ARRAYS, array_colour, ink_on, tap_colours
from rot180.explain.figures.panels import kernel_taps, lights

pytest.importorskip("matplotlib")

Make = Callable[[], Explanation]

CONV: dict[str, Make] = {
    "plain": lambda: rt.explain.conv2d(input=(3, 3), kernel=(2, 2)),
    "remainder": lambda: rt.explain.conv2d(input=(5, 4), kernel=(3, 2), stride=2, padding=1),
    "channels": lambda: rt.explain.conv2d(input=(2, 3, 3), kernel=(2, 2, 2, 2), bias=True),
    "one axis": lambda: rt.explain.conv1d(input=(6,), kernel=(3,), dilation=2, base=1),
    "crop": lambda: rt.explain.conv2d(input=(5, 5), kernel=(2, 2), padding=-1),
    "transposed": lambda: rt.explain.conv_transpose2d(
        input=(2, 2), kernel=(3, 3), stride=2, output_padding=1
    ),
}
OTHERS: dict[str, tuple[Make, tuple[str, ...]]] = {
    "max": (lambda: rt.explain.max_pool2d(input=(4, 4), kernel=2), ("forward", "scatter")),
    "mean": (lambda: rt.explain.avg_pool2d(input=(4, 4), kernel=2), ("forward", "gather")),
    "linear": (lambda: rt.explain.linear(input=(3,)), ("matrix", "network")),
    "entropy": (lambda: rt.explain.cross_entropy(input=(2, 3), target=[0, 2]), ("graph",)),
    "norm": (lambda: rt.explain.batch_norm(input=(2, 2, 2)), ("graph", "report")),
    "graph": (lambda: rt.explain(lambda x, y, z: (x + y) * z, -2, 5, -4), ("graph",)),
}


def looks(monkeypatch: pytest.MonkeyPatch, e: Explanation, *args: Any, **options: Any) -> list[Any]:
    """How the cells of a figure look, in the order in which they are drawn."""
    found: list[Any] = []
    draw = Sheet.cell

    def cell(sheet: Sheet, x: float, y: float, look: Any, size: float = 1.0) -> None:
        found.append(look)
        draw(sheet, x, y, look, size)

    monkeypatch.setattr(Sheet, "cell", cell)
    figure(e, *args, **options)
    return found


@pytest.mark.parametrize("name", CONV)
@pytest.mark.parametrize("view", FIGURES)
def test_every_view_of_convolutions(name: str, view: str, tmp_path: Path) -> None:
    path = CONV[name]().save(tmp_path / "figure.png", view=view)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", OTHERS)
def test_views_of_other_operations(name: str, tmp_path: Path) -> None:
    make, views = OTHERS[name]
    for view in ("cells", *views):
        assert make().save(tmp_path / f"{view}.svg", view=view).stat().st_size > 3_000


@pytest.mark.parametrize("suffix", ["svg", "png", "pdf"])
def test_the_same_figure_is_the_same_file(suffix: str, tmp_path: Path) -> None:
    one, two = (CONV["plain"]().save(tmp_path / f"{i}.{suffix}") for i in (1, 2))
    assert one.read_bytes() == two.read_bytes()


def test_only_the_sources_are_lit(monkeypatch: pytest.MonkeyPatch) -> None:
    e = CONV["remainder"]()
    cell = e.cell("dx:1,1")
    drawn = looks(monkeypatch, e, "cells", cell=cell)
    assert sum(look.face.startswith("#") for look in drawn) == len(cell.sources)
    (chosen,) = (look for look in drawn if look.bold)
    assert chosen.text == str(int(cell.value)).replace("-", "−")


def test_one_product_has_one_colour_and_it_is_the_taps() -> None:
    e = CONV["remainder"]()
    taps = kernel_taps(e)
    for cell in e.dx:
        lit = lights(e, cell)
        for term in cell.terms:
            weight, g = sorted(term.cells, key=lambda ref: ref.name)
            assert lit[weight] == lit[g] == taps[weight]
    for cell in e.z:
        lit = lights(e, cell)
        assert all(lit[ref] == taps[ref] for ref in cell.sources if ref.name == "w")


def test_what_is_no_cell_is_seen_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    e = rt.explain.conv2d(input=(6, 6), kernel=(3, 3), stride=2)
    drawn = looks(monkeypatch, e, "gather", "dx")
    slots = e.view("gather", "dx").slots.ravel()
    for kind in ("padding", "dilation", "remainder"):
        expected = sum(slot.kind == kind for slot in slots) + 1  # one in the legend
        assert sum(look.kind == kind for look in drawn) == expected


def test_scatter_stamps_the_plain_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    e = CONV["plain"]()
    drawn = looks(monkeypatch, e, "scatter", "dx")
    stamped = [look.face for look in drawn if look.edge == "none"]
    assert stamped == tap_colours(4) * 4  # four cells of δ, each through w in its own order


def test_the_matrix_shares_colours_and_cuts_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    e = CONV["plain"]()
    drawn = looks(monkeypatch, e, "matrix", "z")
    entries = [look for look in drawn if look.face]
    assert len(entries) == 16
    assert {look.face for look in entries} == set(tap_colours(4))
    assert sum(look.kind == "none" for look in drawn) == 4 * 9 - 16


def test_colours() -> None:
    assert len(set(ARRAYS.values())) == len(ARRAYS)
    assert array_colour("δ_w") == array_colour("δ") != array_colour("w")
    assert array_colour("conv1.weight") == array_colour("w1") == array_colour("w")
    for dark in (False, True):
        for count in (1, 4, 9, 25, 49):
            colours = tap_colours(count, dark)
            assert len(set(colours)) == count
            assert all(ink_on(colour) in ("#000000", "#ffffff") for colour in colours)
    assert lights(rt.explain.relu(input=(2,)), rt.explain.relu(input=(2,)).cell("z:0"))[
        Ref("x", (0,))
    ]


def test_a_model_on_one_page(tmp_path: Path) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    m = rt.explain.model(net, np.ones((1, 4, 4), np.float32), 1)
    path = m.save(tmp_path / "model.pdf")
    assert path.read_bytes().startswith(b"%PDF")


def test_chinese(tmp_path: Path) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), lang="zh")
    said = ""
    try:
        e.save(tmp_path / "figure.svg")
    except ArgumentError as error:  # a machine without such letters says so
        said = str(error)
    assert bool(said) != (tmp_path / "figure.svg").exists()
    assert not said or "no font with Chinese letters is installed" in said


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (CONV["plain"], {"view": "film"}, ("explain: unknown view 'film'; expected cells, forward, "
         "gather, scatter, matrix, network, graph, duality, report, got 'film'")),
        (OTHERS["linear"][0], {"view": "duality"}, ("explain: linear has no two modes; expected a "
         "convolution or transposed convolution")),
        (CONV["plain"], {"cell": "dx:3,0"}, ("explain: index out of range in δ_x, axis 0; expected "
         "0 to 2, got 3. Rule: indices are counted from 0 in this explanation.")),
        (lambda: rt.explain.conv2d(input=(40, 40), kernel=(3, 3)), {}, ("explain: conv2d is too "
         "large to draw: 6106 cells, more than 2500. Rule: explain a smaller window.")),
        (lambda: rt.explain.conv2d(input=(9, 9), kernel=(2, 2)), {"view": "network"}, ("explain: "
         "network of conv2d is too large to draw: 81 nodes and 256 edges, more than 64 and 800. "
         "Rule: explain a smaller window.")),
        (lambda: rt.explain.conv2d(input=(8, 8), kernel=(2, 2)), {"view": "scatter"}, ("explain: "
         "scatter of conv2d is too large to draw: 49 source cells, more than 36. "
         "Rule: save it as .gif: a film shows one after another.")),
    ],
)  # fmt: skip
def test_refused_in_one_line(make: Make, options: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        make().save(tmp_path / "figure.svg", **options)
    assert str(caught.value) == words
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_place_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "figure.svg").mkdir()
    with pytest.raises(ArgumentError, match="cannot be written; got ") as caught:
        CONV["plain"]().save(tmp_path / "figure.svg")
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.svg"]


@pytest.mark.skipif(sys.platform == "win32", reason="folders have no such permission")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir()
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        probe = folder / "probe"
        try:
            probe.touch()
        except PermissionError:
            with pytest.raises(ArgumentError, match="explain: ") as caught:
                CONV["plain"]().save(folder / "figure.svg")
            assert "\n" not in str(caught.value)
            assert not list(folder.iterdir())
        else:
            pytest.skip("this user may write anywhere")
    finally:
        folder.chmod(stat.S_IRWXU)


def test_matplotlib_is_an_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError) as caught:
        CONV["plain"]().save(tmp_path / "figure.svg")
    assert str(caught.value) == (
        'figures need matplotlib, which is not installed: python -m pip install "rot180[explain]"'
    )
    assert not list(tmp_path.iterdir())
