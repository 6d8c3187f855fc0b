"""Bad input: one clear line, and nothing half-written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180 import ops as F
from rot180.errors import ArgumentError, NumericsError, Rot180Error, ShapeError
from rot180.explain import Explanation


def small() -> Explanation:
    return rt.explain.conv2d(input=(3, 3), kernel=(2, 2))  # type: ignore[no-any-return]


def says(action: Callable[[], Any], kind: type[Rot180Error], *words: str) -> None:
    with pytest.raises(kind) as caught:
        action()
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_indices() -> None:
    e = small()
    says(lambda: e.dx[3, 0], ArgumentError, "δ_x", "axis 0", "0 to 2", "got 3")
    says(lambda: e.dx[-1, 0], ArgumentError, "0 to 2", "got -1")
    says(lambda: e.dx[0], ArgumentError, "2 axes", "shape (3, 3)")
    says(lambda: e.dx[0, 0, 0], ArgumentError, "2 axes")
    says(lambda: e.dx[0.5, 0], ArgumentError, "integer")  # type: ignore[index]
    says(lambda: e.dx[0:2, 0], ArgumentError, "integer")  # type: ignore[index]
    one = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), base=1)
    says(lambda: one.dx[0, 1], ArgumentError, "1 to 3", "counted from 1")
    assert one.dx[1, 1].index == (0, 0, 0, 0)


def test_names_and_addresses() -> None:
    e = small()
    says(lambda: e["q"], ArgumentError, "'q'", "x, w, z, δ, δ_x, δ_w")
    says(lambda: e.cell("dx:a,b"), ArgumentError, "dx:1,2")
    says(lambda: e.cell("db:0"), ArgumentError, "no array 'db'")
    with pytest.raises(AttributeError, match="no array 'db'"):
        _ = e.db
    with pytest.raises(AttributeError):
        _ = rt.explain.nothing


def test_views() -> None:
    e = small()
    says(lambda: e.view("picture"), ArgumentError, "'picture'", "scatter, gather, matrix")
    says(lambda: e.view("gather", "dw"), ArgumentError, "δ_w", "no correlation")
    relu = rt.explain.relu((3,))
    says(lambda: relu.view("scatter"), ArgumentError, "graph")
    says(lambda: relu.view("matrix"), ArgumentError, "patch matrix")
    says(lambda: relu.view("duality"), ArgumentError, "two modes")


def test_windows_too_large_to_draw() -> None:
    e = rt.explain.conv2d(input=(96, 96), kernel=(5, 5), padding=2)
    for view in ("scatter", "network"):
        says(lambda view=view: e.view(view), ArgumentError, "too large to draw", "single cells")
    says(e.program, ArgumentError, "too large")
    says(e.prove, ArgumentError, "too large", "at most")
    wide = rt.explain.conv2d(input=(8, 32, 32), kernel=(8, 8, 3, 3))
    says(lambda: wide.view("matrix").toeplitz_array(), ArgumentError, "not written out")
    assert wide.dx[0, 5, 5].agrees


def test_numbers() -> None:
    bad = np.ones((3, 3))
    bad[1, 2] = np.nan
    says(lambda: rt.explain.conv2d(bad, (2, 2)), NumericsError, "x holds", "nan at", "(1, 2)")
    says(lambda: rt.explain.conv2d((3, 3), [[1, 2], [np.inf, 1]]), NumericsError, "w holds", "inf")
    says(lambda: rt.explain.relu(bad), NumericsError, "nan")
    says(lambda: rt.explain(F.relu, bad), NumericsError, "x holds")  # type: ignore[operator]
    nan_g = np.full((2, 2), np.nan)
    says(lambda: rt.explain.conv2d((3, 3), (2, 2), g=nan_g), NumericsError, "δ holds")
    says(lambda: rt.explain.conv2d("abc", (2, 2)), ArgumentError, "no array of numbers")


def test_shapes() -> None:
    says(lambda: rt.explain.conv2d((2, 2), (3, 3)), ShapeError, "no output", "(2 + 0 + 0 - 3)")
    says(lambda: rt.explain.conv2d((3, 3, 3, 3, 3), (2, 2)), ShapeError, "2 to 4")
    says(lambda: rt.explain.conv2d((3, 0), (2, 2)), ShapeError, "at least 1 cell")
    says(lambda: rt.explain.conv2d((3, 5, 5), (2, 2, 2, 2)), ShapeError, "channels")
    says(lambda: rt.explain.conv2d((3, 3), (2, 2), g=np.ones((3, 3))), ArgumentError, "upstream")
    says(lambda: rt.explain.linear((3,), (2, 4)), ShapeError, "features")
    says(lambda: rt.explain.max_pool2d((4, 4)), ArgumentError, "needs a kernel")


def test_functions() -> None:
    def own(x: Any) -> Any:
        return rt.function(lambda a: a * a, lambda g, a: 2 * g * a, "square")(x)

    explain: Any = rt.explain
    says(lambda: explain(own, np.ones(2)), ArgumentError, "square", "backward pass of its own")
    says(lambda: explain(lambda x: 3.0, np.ones(2)), ArgumentError, "must return a tensor")
    says(lambda: explain(lambda x: rt.tensor([1.0]), np.ones(2)), ArgumentError, "does not depend")
    says(lambda: explain(F.relu, np.array([1, 2])), ArgumentError, "floating point")
    says(lambda: explain.model(lambda x: x, np.ones(2), 0), ArgumentError, "no model")


def test_words() -> None:
    says(lambda: rt.explain.relu((2,), lang="fr"), ArgumentError, '"en" or "zh"', "'fr'")
    says(lambda: rt.explain.relu((2,), base=2), ArgumentError, "0 or 1")


@pytest.mark.parametrize("suffix", [".doc", "", ".jpeg"])
def test_unknown_suffix(tmp_path: Path, suffix: str) -> None:
    says(lambda: small().save(tmp_path / f"a{suffix}"), ArgumentError, "suffix", ".txt, .md, .tex")
    assert not list(tmp_path.iterdir())


def test_options_that_a_format_does_not_take(tmp_path: Path) -> None:
    says(lambda: small().save(tmp_path / "a.txt", view="gather"), ArgumentError, "no options")
    says(lambda: small().save(tmp_path / "a.html", colour=1), ArgumentError, "no option colour")
    assert not list(tmp_path.iterdir())


def test_nothing_is_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rot180.explain.save import write_whole

    target = tmp_path / "a.txt"
    target.write_text("as it was", "utf-8")

    def breaks(part: Path) -> None:
        part.write_text("half", "utf-8")
        raise OSError(28, "No space left on device")

    says(lambda: write_whole(target, breaks), ArgumentError, "cannot be written", "no space left")
    assert target.read_text("utf-8") == "as it was"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
    says(lambda: small().save(tmp_path / "none" / "a.txt"), ArgumentError, "no folder")
