"""Options that several verbs share, and printing as text or JSON."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import click

__all__ = ["as_json", "emit_json", "number_or_text", "sizes"]

as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


def emit_json(value: Any) -> None:
    """Print a value as JSON; NaN and infinity become null."""
    try:
        text = json.dumps(value, allow_nan=False, indent=1)
    except ValueError:
        from rot180.train import strict_json

        text = json.dumps(strict_json(value), allow_nan=False, indent=1)
    click.echo(text)


class _Sizes(click.ParamType):  # type: ignore[type-arg]
    """Sizes such as 28, 28x28 or 3,3."""

    name = "sizes"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        try:
            return tuple(int(part) for part in str(value).replace("x", ",").split(","))
        except ValueError:
            self.fail(f"{value!r} is no size such as 28, 28x28 or 28,28", param, ctx)


sizes = _Sizes()


def number_or_text(text: str) -> int | float | str:
    """12 as an int, 0.5 as a float, 30s as it is."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text
