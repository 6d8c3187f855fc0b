"""Films: the window moves, forward or backward, and the cells come out one after another."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rot180.errors import ArgumentError, MissingExtraError
from rot180.explain.figures.canvas import Sheet
from rot180.explain.figures.colours import (
    ARRAYS,
    DARK,
    LIGHT,
    Paper,
    ink_on,
    mixed,
    tap_colours,
)
from rot180.explain.figures.overview import heading
from rot180.explain.figures.scatter import draw_part
from rot180.explain.figures.windows import choice, draw_windows
from rot180.explain.views import Gather, Scatter

if TYPE_CHECKING:
    from rot180.explain.explanation import Explanation

__all__ = ["animate", "frames"]

FRAMES = 256
"""So many frames are drawn at most."""

Image = NDArray[np.uint8]


def frames(
    e: Explanation, of: str | None = None, *, view: str | None = None, symbols: bool = False,
    dark: bool = False, dots: int = 72,
) -> Iterator[Image]:  # fmt: skip
    """The frames of a film, one for each step of the window; the last one is the whole result.

    Args:
        e: the explanation.
        of: the array that comes out: "z" is the forward window, "dx" (default) the backward one.
        view: "gather": target by target through the kernel as it is read; "scatter": source by
            source. By default gather where the array is a correlation.
        symbols: write names into the cells instead of numbers.
        dark: light ink on dark paper.
        dots: pixels per inch; a cell is half an inch wide.

    Yields:
        Images (height, width, 3), all of one size with even sides.

    Raises:
        ArgumentError: the array has no window, or too many frames.
    """
    count, draw = _scenes(e, of, view, symbols)
    if count > FRAMES:
        raise ArgumentError(
            f"explain: a film of {e.title} is too long",
            arithmetic=f"{count} frames, more than {FRAMES}",
            rule="explain a smaller window",
        )
    for number in range(count):
        sheet = Sheet(e.lang, dark)
        draw(sheet, number, heading(sheet, e) - 0.2)
        yield sheet.image(dots)


def _scenes(
    e: Explanation, of: str | None, view: str | None, symbols: bool
) -> tuple[int, Callable[[Sheet, int, float], float]]:
    """How many frames there are, and what draws one of them."""
    if view not in (None, "gather", "scatter"):
        raise ArgumentError(
            f"explain: no film of view {view!r}", expected="gather or scatter", got=repr(view)
        )
    name = e[of].name if of is not None else _main(e)
    cells = list(e[name])
    if view != "scatter":
        try:
            gather = Gather(e, name)
        except ArgumentError:
            if view == "gather":
                raise
        else:
            return len(cells), lambda sheet, i, y: draw_windows(
                sheet, gather, cells[i], y, symbols=symbols, until=i
            )
        if cells[0].candidates:
            return len(cells), lambda sheet, i, y: choice(
                sheet, e, cells[i], y, symbols=symbols, until=i
            )
    scatter = Scatter(e, name)
    return len(scatter.parts), lambda sheet, i, y: draw_part(sheet, scatter, i, y, symbols=symbols)


def _main(e: Explanation) -> str:
    return "δ_x" if "δ_x" in e.values else next(
        name for name, value in e.values.items() if value.role == "output"
    )  # fmt: skip


def animate(
    e: Explanation, path: Path, of: str | None = None, *, view: str | None = None,
    symbols: bool = False, dark: bool = False, dots: int = 72, seconds: float = 0.6,
) -> None:  # fmt: skip
    """Write a film; the suffix of the path picks GIF or MP4.

    Args:
        e: the explanation.
        path: where to.
        of: see `frames`.
        view: see `frames`.
        symbols: see `frames`.
        dark: see `frames`.
        dots: see `frames`.
        seconds: how long each step is seen; the last one is seen four times as long.

    Raises:
        ArgumentError: see `frames`.
        MissingExtraError: Pillow or imageio-ffmpeg is not installed.
    """
    if not 0.02 <= seconds <= 60:
        raise ArgumentError("explain: seconds of a step", expected="0.02 to 60", got=str(seconds))
    path = Path(path)
    images = list(frames(e, of, view=view, symbols=symbols, dark=dark, dots=dots))
    if path.suffix.lower() == ".mp4":
        _write_mp4(path, images, seconds)
    else:
        paper = DARK if dark else LIGHT
        taps = math.prod(e.window.kernel) if e.window is not None else 9
        _write_gif(path, images, seconds, _palette(paper, taps))


def _write_gif(path: Path, images: list[Image], seconds: float, colours: list[int]) -> None:
    try:
        pillow = importlib.import_module("PIL.Image")
    except ImportError:
        raise MissingExtraError("films", "pillow", "explain") from None
    pictures = [pillow.fromarray(image) for image in images]
    palette = pillow.new("P", (1, 1))
    palette.putpalette(colours)
    flat = [picture.quantize(palette=palette, dither=pillow.Dither.NONE) for picture in pictures]
    times = [round(seconds * 1000)] * len(flat)
    times[-1] *= 4
    flat[0].save(path, format="GIF", save_all=True, append_images=flat[1:], duration=times, loop=0,
                 optimize=True, disposal=1)  # fmt: skip


def _palette(paper: Paper, taps: int) -> list[int]:
    """One palette for all frames, so that nothing flickers: every colour and its soft edges."""
    dark = paper is DARK
    strong = [*(pair[dark] for pair in ARRAYS.values()), *tap_colours(taps, dark)]
    grounds = (paper.paper, paper.zero)
    soft = [mixed(ink, ground, share) for ink in (paper.ink, paper.soft) for ground in grounds
            for share in (0.35, 0.7)]  # fmt: skip
    soft.append(mixed(paper.ink, paper.among, 0.5))
    soft += [mixed(colour, paper.paper, 0.5) for colour in strong]
    soft += [mixed(colour, ink_on(colour), 0.5) for colour in tap_colours(taps, dark)]
    colours = list(dict.fromkeys([*paper, "#ffffff", *strong, *soft]))[:256]
    return [int(colour[i : i + 2], 16) for colour in colours for i in (1, 3, 5)]


def _write_mp4(path: Path, images: list[Image], seconds: float) -> None:
    try:
        ffmpeg = importlib.import_module("imageio_ffmpeg")
    except ImportError:
        raise MissingExtraError("films as .mp4", "imageio-ffmpeg", "explain") from None
    height, width = images[0].shape[:2]
    rate = 20  # players want a usual rate; a step is seen in many equal frames
    writer = ffmpeg.write_frames(
        str(path), (width, height), fps=rate, codec="libx264", quality=None, macro_block_size=2,
        output_params=["-crf", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart"],
        ffmpeg_log_level="error",
    )  # fmt: skip
    writer.send(None)
    for number, image in enumerate(images):
        last = number == len(images) - 1
        for _ in range(max(1, round(seconds * rate)) * (4 if last else 1)):
            writer.send(np.ascontiguousarray(image))
    writer.close()
