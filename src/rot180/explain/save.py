"""Writing an explanation to a file: the suffix picks the format, and nothing is half-written."""

from __future__ import annotations

import inspect
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rot180.errors import ArgumentError
from rot180.explain.report import as_latex, as_markdown

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["save", "write_whole"]

_TEXT: dict[str, Callable[[Any], str]] = {".txt": str, ".md": as_markdown, ".tex": as_latex}
_FIGURES = (".svg", ".png", ".pdf")
_FILMS = (".gif", ".mp4")


def save(e: Explanation, path: str | Path, **options: Any) -> Path:
    """See `Explanation.save`."""
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix in _TEXT:
        if options:
            raise ArgumentError(f"explain: {suffix} has no options", got=", ".join(options))
        text = _TEXT[suffix](e)
        write_whole(target, lambda part: part.write_text(text + "\n", "utf-8"))
    elif suffix == ".html":
        from rot180.explain.page import render

        page = render(e, **_accepted(render, suffix, options))
        write_whole(target, lambda part: part.write_text(page, "utf-8"))
    elif suffix in _FIGURES:
        from rot180.explain.figures import draw

        write_whole(target, lambda part: draw(e, part, **_accepted(draw, suffix, options)))
    elif suffix in _FILMS:
        from rot180.explain.figures import animate

        write_whole(target, lambda part: animate(e, part, **_accepted(animate, suffix, options)))
    else:
        known = ", ".join((*_TEXT, ".html", *_FIGURES, *_FILMS))
        raise ArgumentError(
            f"explain: unknown suffix of {target.name!r}", expected=known, got=repr(suffix)
        )
    return target


def _accepted(function: Callable[..., Any], suffix: str, options: dict[str, Any]) -> dict[str, Any]:
    """The options, or an ArgumentError that names what this format does not take."""
    taken = inspect.signature(function).parameters.values()
    unknown = set(options) - {p.name for p in taken}
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in taken):
        raise ArgumentError(f"explain: {suffix} takes no option {', '.join(sorted(unknown))}")
    return options


def write_whole(target: Path, write: Callable[[Path], object]) -> None:
    """Write to a temporary name beside the target and rename: the whole file, or none.

    Args:
        target: the file.
        write: writes the file it is given, which has the target's suffix.

    Raises:
        ArgumentError: no such folder, or one that cannot be written into.
    """
    if not target.parent.is_dir():
        raise ArgumentError(f"explain: no folder {str(target.parent)!r} to write into")
    part: Path | None = None
    try:
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}-", suffix=target.suffix, dir=target.parent
        )
        os.close(handle)
        part = Path(name)
        write(part)
        part.chmod(0o644)
        part.replace(target)
    except OSError as error:
        raise ArgumentError(
            f"explain: {str(target)!r} cannot be written",
            got=(error.strerror or str(error)).lower(),
        ) from error
    finally:
        if part is not None:
            part.unlink(missing_ok=True)
