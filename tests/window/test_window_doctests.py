"""The examples in the docstrings run, and the floor stays one of integers."""

import doctest
import importlib
import pkgutil
import subprocess
import sys

import pytest

import rot180.window

MODULES = [
    "rot180.window",
    *(f"rot180.window.{module.name}" for module in pkgutil.iter_modules(rot180.window.__path__)),
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    failed, tried = doctest.testmod(importlib.import_module(name))
    assert failed == 0
    assert tried > 0


def test_everything_public_exists():
    for name in rot180.window.__all__:
        assert getattr(rot180.window, name).__doc__ or name == "PADDING_WORDS"


def test_no_numpy_is_needed():
    """A floor of integers: importing its modules loads no NumPy (the package root may)."""
    code = (
        "import sys, types, importlib.util as u\n"
        "root = types.ModuleType('rot180')\n"
        f"root.__path__ = [{str(next(iter(rot180.window.__path__)))!r} + '/..']\n"
        "sys.modules['rot180'] = root\n"
        "import rot180.window\n"
        "raise SystemExit('numpy' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
