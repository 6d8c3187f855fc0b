"""The user's line: which line of somebody else's code is running us."""

from __future__ import annotations

import sysconfig
import traceback
from pathlib import Path

__all__ = ["users_line"]

_NOT_THE_USERS = (
    str(Path(__file__).resolve().parents[1]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib", "scripts")),
)


def users_line(error: BaseException | None = None) -> str:
    """File and line of the user's call that is running, or that an error came from; "" for none."""
    frames = (
        traceback.extract_stack() if error is None else traceback.extract_tb(error.__traceback__)
    )
    for frame in reversed(frames):
        if not frame.filename.startswith(_NOT_THE_USERS):
            return f"{frame.filename}, line {frame.lineno}: {frame.line or '?'}"
    return ""
