"""Public names and signatures are pinned; the import is quick and pulls nothing large.

To accept a change of the surface on purpose: `python tests/test_surface.py`.
"""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

GOLDEN = Path(__file__).with_name("golden") / "surface.txt"
PLACES = [
    "rot180",
    "rot180.nn",
    "rot180.nn.functional",
    "rot180.optim",
    "rot180.optim.lr_scheduler",
    "rot180.data",
    "rot180.interop",
    "rot180.train",
    "rot180.check",
    "rot180.explain",
    "rot180.window",
    "rot180.core",
    "rot180.errors",
]


def surface() -> str:
    lines = []
    for place in PLACES:
        module = importlib.import_module(place)
        lines.append(f"[{place}]")
        lines.extend(name + _signature(getattr(module, name)) for name in sorted(module.__all__))
        lines.append("")
    return "\n".join(lines)


def _signature(thing: object) -> str:
    if inspect.isclass(thing) and issubclass(thing, BaseException):
        return ""
    if not callable(thing) or not getattr(thing, "__module__", "").startswith("rot180"):
        return ""
    try:
        parameters = inspect.signature(thing).parameters.values()
    except ValueError:
        return "(...)"
    return str(inspect.Signature([_bare(p) for p in parameters]))


def _bare(parameter: inspect.Parameter) -> inspect.Parameter:
    """Without annotation, and with a default that prints the same in every process."""
    default = parameter.default
    if callable(default) and default is not inspect.Parameter.empty:
        default = _Name(getattr(default, "__name__", type(default).__name__))
    return parameter.replace(annotation=inspect.Parameter.empty, default=default)


class _Name(str):
    __slots__ = ()
    __repr__ = str.__str__


def test_surface_is_the_pinned_one() -> None:
    assert surface() == GOLDEN.read_text("utf-8")


HEAVY = ["matplotlib", "llvmlite", "scipy", "PIL", "torch", "onnx", "rich", "click", "pooch"]


def test_import_pulls_nothing_large() -> None:
    code = f"import rot180, sys; print([m for m in {HEAVY} if m in sys.modules])"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == "[]"


@pytest.mark.parametrize("floor", ["check", "explain", "nn", "optim", "data", "train", "interop"])
def test_floors_are_found_under_the_root(floor: str) -> None:
    code = f"import rot180; print(rot180.{floor}.__name__)"
    out = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert out.strip() == f"rot180.{floor}"


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(surface(), "utf-8")
