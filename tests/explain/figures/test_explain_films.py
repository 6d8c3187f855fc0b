"""Films: a frame for each step of the window, forward and backward, as GIF, MP4 and pixels."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rot180 as rt
from rot180.errors import ArgumentError, MissingExtraError
from rot180.explain.figures import frames

pytest.importorskip("matplotlib")


def conv() -> Any:
    return rt.explain.conv2d(input=(3, 3), kernel=(2, 2))


@pytest.mark.parametrize(
    ("make", "of", "view", "count"),
    [
        (conv, "z", None, 4),
        (conv, "dx", None, 9),
        (conv, "dx", "scatter", 4),
        (conv, "dw", None, 4),
        (lambda: rt.explain.max_pool2d(input=(4, 4), kernel=2), "z", None, 4),
        (lambda: rt.explain.max_pool2d(input=(4, 4), kernel=2), "dx", None, 4),
        (lambda: rt.explain.avg_pool2d(input=(4, 4), kernel=2), "dx", None, 16),
        (lambda: rt.explain.conv_transpose2d(input=(2, 2), kernel=(2, 2)), "z", None, 9),
        (lambda: rt.explain.conv1d(input=(5,), kernel=(3,), stride=2), "dx", None, 5),
        (lambda: rt.explain.linear(input=(2,)), "dx", None, 2),
    ],
)
def test_a_frame_for_each_step(make: Any, of: str, view: str | None, count: int) -> None:
    found = list(frames(make(), of, view=view, dots=40))
    assert len(found) == count
    assert len({frame.shape for frame in found}) == 1
    height, width, colours = found[0].shape
    assert (height % 2, width % 2, colours) == (0, 0, 3)
    for one, other in itertools.pairwise(found):
        assert (one != other).any()


def test_gif(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    path = conv().save(tmp_path / "film.gif", dots=40, seconds=0.5)
    drawn = list(frames(conv(), dots=40))
    with image.open(path) as film:
        assert film.n_frames == len(drawn)
        assert film.info["loop"] == 0
        for i, frame in enumerate(drawn):
            film.seek(i)
            assert film.info["duration"] == (2000 if i == len(drawn) - 1 else 500)
            seen = np.asarray(film.convert("RGB"), int)
            assert np.abs(seen - frame).mean() < 2  # the palette has every colour of the drawing
    assert path.stat().st_size < 30_000


def test_mp4(tmp_path: Path) -> None:
    ffmpeg = pytest.importorskip("imageio_ffmpeg")
    path = conv().save(tmp_path / "film.mp4", of="z", dots=40, seconds=0.2)
    reader = ffmpeg.read_frames(str(path))
    about = next(reader)
    first = next(frames(conv(), "z", dots=40))
    assert about["size"] == (first.shape[1], first.shape[0])
    assert about["duration"] == pytest.approx(0.2 * (3 + 4), abs=0.06)
    seen = np.frombuffer(next(reader), np.uint8).reshape(first.shape).astype(int)
    assert np.abs(seen - first).mean() < 4
    reader.close()


@pytest.mark.parametrize(
    ("make", "options", "words"),
    [
        (lambda: rt.explain.conv2d(input=(20, 20), kernel=(3, 3)), {}, ("explain: a film of conv2d "
         "is too long: 400 frames, more than 256. Rule: explain a smaller window.")),
        (conv, {"view": "matrix"}, ("explain: no film of view 'matrix'; expected gather or "
         "scatter, got 'matrix'")),
        (conv, {"seconds": 0}, "explain: seconds of a step; expected 0.02 to 60, got 0"),
        (lambda: rt.explain.relu(input=(3,)), {}, ("explain: δ_x of relu has no view of this kind; "
         "expected a form with a source and a kernel, or a recorded choice. "
         'Rule: the view "graph" shows every operation.')),
    ],
)  # fmt: skip
def test_refused_in_one_line(make: Any, options: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ArgumentError) as caught:
        make().save(tmp_path / "film.gif", **options)
    assert str(caught.value) == words
    assert not list(tmp_path.iterdir())


def test_a_writer_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    pytest.importorskip("PIL.Image")

    def broken(self: Any, path: Path, **options: Any) -> None:
        Path(path).write_bytes(b"half")
        raise OSError("no space left on device")

    monkeypatch.setattr("PIL.Image.Image.save", broken)
    with pytest.raises(ArgumentError) as caught:
        conv().save(tmp_path / "film.gif", dots=40)
    where = repr(str(tmp_path / "film.gif"))
    assert str(caught.value) == (f"explain: {where} cannot be written; got no space left on device")
    assert not list(tmp_path.iterdir())


def test_the_writer_of_mp4_is_an_extra(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(MissingExtraError, match=r"films as .mp4 need imageio-ffmpeg"):
        conv().save(tmp_path / "film.mp4", dots=40)
    assert not list(tmp_path.iterdir())
