"""The page as a file: whole, self-contained, escaped, in two languages; or refused."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180.errors import ArgumentError
from rot180.explain.page import notebook, render


def data_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_needs_nothing_else() -> None:
    page = render(rt.explain.conv2d(input=(4, 4), kernel=(3, 3)))
    assert "{{" not in page.split('id="data">')[0]
    addresses = set(re.findall(r"https?://[^\s\"'`)]+", page))
    assert addresses == {"http://www.w3.org/1998/Math/MathML", "http://www.w3.org/2000/svg"}
    assert "default-src 'none'" in page
    assert not re.search(r"<(link|img|iframe)\b|\bsrc=|@import|fetch\(|import\(", page)
    assert len(page) < 120_000


def test_nothing_in_the_data_ends_the_script() -> None:
    def named(x: Any) -> Any:
        return x * x

    named.__name__ = "</script><b>&\u2028"
    page = render(rt.explain(named, np.array([1.0, 2.0])))
    assert page.count("</script>") == 2
    assert "<b>" not in page
    assert data_of(page)["title"] == named.__name__
    assert f'<h1 id="title">{html.escape(named.__name__)}</h1>' in page


def test_infinite_numbers_are_words() -> None:
    e = rt.explain(rt.log, np.array([0.0, 1.0]))
    numbers = data_of(render(e))["arrays"]
    assert numbers["z"]["numbers"] == ["-Infinity", 0.0]
    assert numbers["δ_x"]["numbers"][0] in ("Infinity", "-Infinity")


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_languages(lang: str) -> None:
    page = render(rt.explain.max_pool2d(input=(4, 4), kernel=2, lang=lang))
    assert f'<html lang="{ {"en": "en", "zh": "zh-Hans"}[lang] }">' in page
    words = data_of(page)["words"]
    assert words["view gather"] == {"en": "Gather", "zh": "收集"}[lang]
    other = {"en": "误差敏感项", "zh": "upstream gradient"}[lang]
    assert other not in page


def test_the_views_are_those_of_the_operation() -> None:
    def views(e: Any) -> list[str]:
        found: list[str] = data_of(render(e))["views"]
        return found

    everything = ["cells", "gather", "scatter", "matrix", "network", "graph", "duality"]
    assert views(rt.explain.conv2d(input=(3, 3), kernel=(2, 2))) == everything
    assert views(rt.explain.max_pool2d(input=(4, 4), kernel=2)) == [
        "cells", "scatter", "matrix", "network", "graph",
    ]  # fmt: skip
    assert views(rt.explain.relu(input=(3,))) == ["cells", "graph"]


def test_a_notebook_gets_a_frame() -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    found = re.search(r'srcdoc="([^"]*)"', notebook(e))
    assert found is not None
    assert html.unescape(found[1]) == render(e)
    assert e._repr_html_() == notebook(e)


def test_a_notebook_says_in_its_place_what_is_too_large() -> None:
    e = rt.explain.conv2d(input=(60, 60), kernel=(3, 3))
    assert e._repr_html_().startswith("<p>explain: conv2d is too large to draw: 13946 cells")


def test_a_first_view() -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    assert data_of(render(e, view="gather"))["view"] == "gather"
    with pytest.raises(ArgumentError) as caught:
        render(e, view="film")
    assert str(caught.value) == (
        "explain: the page of conv2d has no view 'film'; expected cells, gather, scatter, matrix, "
        "network, graph, duality, got 'film'"
    )


def test_too_large_a_window_is_one_line_and_no_file(tmp_path: Path) -> None:
    e = rt.explain.conv2d(input=(60, 60), kernel=(3, 3))
    with pytest.raises(ArgumentError) as caught:
        e.save(tmp_path / "large.html")
    assert str(caught.value) == (
        "explain: conv2d is too large to draw: 13946 cells, more than 4000. "
        "Rule: explain a smaller window, or single cells."
    )
    assert not list(tmp_path.iterdir())


def test_saved_whole(tmp_path: Path) -> None:
    e = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
    assert e.save(tmp_path / "page.html", view="scatter").read_text("utf-8") == render(e, "scatter")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
