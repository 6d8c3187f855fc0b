"""The pytest plugin, in a process of its own: what another project sees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = """
import numpy as np


def backward(g, x):
    return g * (x > 0)


def test_right(rot180_diagnose):
    assert rot180_diagnose("relu", backward).name == "right"


def test_wrong(rot180_diagnose):
    rot180_diagnose("relu", lambda g, x: g)


def test_right_gradient(rot180_gradients):
    assert rot180_gradients((np.sin, lambda g, x: g * np.cos(x)), np.ones(3))


def test_wrong_gradient(rot180_gradients):
    rot180_gradients((np.sin, lambda g, x: g * np.sin(x)), np.ones(3))
"""


def test_another_project(tmp_path: Path) -> None:
    (tmp_path / "test_mine.py").write_text(TESTS, encoding="utf-8")
    words = ["-m", "pytest", "-q", "-p", "rot180.check.pytest_plugin", "-p", "no:cacheprovider"]
    out = subprocess.run(
        [sys.executable, *words, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONIOENCODING": "utf-8"},
    ).stdout
    assert "2 failed, 2 passed" in out
    assert "dx: activation derivative missing" in out
    assert "fix: multiply by the derivative" in out
    assert "cells of input 0 differ" in out
    assert "Traceback" not in out


def test_the_entry_point_is_declared() -> None:
    project = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text("utf-8")
    assert '[project.entry-points.pytest11]\nrot180 = "rot180.check.pytest_plugin"' in project
