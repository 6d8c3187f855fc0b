"""The gallery in the documentation is what the code draws today, and it is small."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rot180.errors import ArgumentError
from rot180.explain.figures.gallery import WINDOWS, write_gallery

image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")

KEPT = Path(__file__).resolve().parents[3] / "docs" / "pictures" / "gallery"


def pixels(path: Path) -> list[Any]:
    with image.open(path) as picture:
        found = []
        for i in range(getattr(picture, "n_frames", 1)):
            picture.seek(i)
            found.append(np.asarray(picture.convert("RGB"), float))
        return found


def test_the_files_are_those_of_the_six_windows_and_small() -> None:
    kept = {path.name: path.stat().st_size for path in KEPT.iterdir()}
    assert set(kept) == {
        f"{name}{end}" for name in WINDOWS for end in (".png", "_forward.gif", "_backward.gif")
    }
    assert max(kept.values()) < 150_000
    assert sum(kept.values()) < 1_500_000


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n == "max_pool" else pytest.mark.slow) for n in WINDOWS],
)
def test_drawn_anew_it_is_the_same(name: str, tmp_path: Path) -> None:
    for path in write_gallery(tmp_path, name):
        new, old = pixels(path), pixels(KEPT / path.name)
        assert len(new) == len(old)
        for one, other in zip(new, old, strict=True):
            # Other versions of matplotlib may set letters a little differently.
            assert max(abs(a - b) for a, b in zip(one.shape, other.shape, strict=True)) <= 4
            height, width = (min(a, b) for a, b in zip(one.shape[:2], other.shape, strict=False))
            assert np.abs(one[:height, :width] - other[:height, :width]).mean() < 6


def test_an_unknown_window_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        write_gallery(tmp_path, "round")
    assert str(caught.value) == (
        "explain: the gallery has no window 'round'; expected plain, padded, remainder, dilated, "
        "transposed, max_pool"
    )


def test_the_command(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rot180.explain.figures", str(tmp_path / "nowhere"), "plain"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert said.stderr.startswith("explain: no folder")
    assert said.stderr.count("\n") == 1
