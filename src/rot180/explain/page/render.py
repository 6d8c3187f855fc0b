"""The page put together: template, style, script, data."""

from __future__ import annotations

import html
import json
import re
from importlib import resources
from typing import TYPE_CHECKING, Any

from rot180.errors import ArgumentError
from rot180.explain.page.data import page_data
from rot180.explain.page.words import page_words

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["notebook", "render"]

_SCRIPTS = (
    "arithmetic", "writing", "grids", "views", "drawings", "panel", "page", "stage", "events",
)  # fmt: skip


def render(e: Explanation, view: str | None = None) -> str:
    """A whole page: open it in any browser.

    Args:
        e: the explanation.
        view: the view that is shown first: "cells" (default), "gather", "scatter", "matrix",
            "network", "graph" or "duality".

    Raises:
        ArgumentError: an unknown view, one that this operation does not have, or too much for a
            page.
    """
    data = page_data(e, view)
    words = page_words(e.lang)
    parts = {
        "lang": {"en": "en", "zh": "zh-Hans"}[e.lang],
        "title": html.escape(e.title),
        "style": _read("page.css"),
        "script": "\n".join(_read(f"{name}.js") for name in _SCRIPTS),
        "data": _as_json({**data, "words": words}),
    }
    parts |= {f"say {key}": html.escape(text) for key, text in words.items()}
    return re.sub(r"\{\{([^}]+)\}\}", lambda found: parts[found[1]], _read("page.html"))


def notebook(e: Explanation, view: str | None = None) -> str:
    """The page in a frame of its own, so that a notebook's style and the page's do not mix.

    Args:
        e: the explanation.
        view: the view that is shown first.

    Returns:
        The frame; for what is too large for a page the line that says so.
    """
    try:
        inside = html.escape(render(e, view), quote=True)
    except ArgumentError as error:
        return f"<p>{html.escape(str(error))}</p>"
    return (
        f'<iframe title="{html.escape(e.title)}" srcdoc="{inside}" '
        'style="width: 100%; height: 720px; border: 0; border-radius: 8px"></iframe>'
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _as_json(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text
