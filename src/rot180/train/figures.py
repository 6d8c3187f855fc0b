"""Pictures of a training: curves, confusion matrix, mistakes. Each function returns a PNG.

Colours are Okabe and Ito's, which colour-blind people tell apart; numbers are written into the
pictures wherever they fit. Needs the `plot` extra.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["confusion_png", "curves_png", "mistakes_png"]

_LIGHT = {
    "paper": "#ffffff",
    "ink": "#1f2328",
    "soft": "#6e7781",
    "line": "#d8dee4",
    "train": "#0072b2",
    "val": "#d55e00",
    "rate": "#6e7781",
}
_DARK = {
    "paper": "#161b22",
    "ink": "#e6edf3",
    "soft": "#9aa4af",
    "line": "#30363d",
    "train": "#56b4e9",
    "val": "#f0a35e",
    "rate": "#9aa4af",
}


def _figure(width: float, height: float, theme: dict[str, str]) -> Any:
    """An empty figure in inches; no pyplot, so no window system and no global state.

    Everything is placed by hand: a layout that matplotlib computes draws all texts twice more.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("pictures", "matplotlib", "plot") from error
    figure = Figure(figsize=(width, height), facecolor=theme["paper"])
    FigureCanvasAgg(figure)
    return figure


@contextlib.contextmanager
def _boxes() -> Iterator[None]:
    """A class name in a script that the font lacks is drawn as boxes, which is no error."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")
        yield


def _png(figure: Any) -> bytes:
    buffer = io.BytesIO()
    with _boxes():
        figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()


def _style(axes: Any, theme: dict[str, str]) -> None:
    axes.set_facecolor(theme["paper"])
    axes.tick_params(colors=theme["soft"], labelsize=9)
    for name, spine in axes.spines.items():
        spine.set_visible(name in ("left", "bottom"))
        spine.set_color(theme["line"])
    axes.xaxis.label.set_color(theme["soft"])
    axes.yaxis.label.set_color(theme["soft"])


def curves_png(
    records: Sequence[dict[str, Any]],
    steps: Sequence[dict[str, Any]] = (),
    *,
    dark: bool = False,
) -> bytes:
    """Loss, error rate and learning rate over the epochs.

    Args:
        records: the epoch records of a run.
        steps: its step records; they give the learning rate, and the loss of single batches as a
            pale line.
        dark: light ink on dark paper.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    theme = _DARK if dark else _LIGHT
    panels = [("Loss", [("train_loss", "training"), ("val_loss", "validation")])]
    if any(r.get("train_accuracy") is not None for r in records):
        keys = [("train_accuracy", "training"), ("val_accuracy", "validation")]
        panels.append(("Error rate, %", keys))
    panels.append(("Learning rate", [("lr", "rate")]))
    width, height = 3.7, 3.1
    figure = _figure(width * len(panels), height, theme)
    # a step stands at the part of the epochs that it ends
    per_epoch = records[-1]["step"] / records[-1]["epoch"] if records and steps else 1.0
    for index, (title, keys) in enumerate(panels):
        left, right = (index + 0.62 / width) / len(panels), (index + 1 - 0.1 / width) / len(panels)
        axes = figure.add_axes((left, 0.5 / height, right - left, 1 - 0.82 / height))
        _style(axes, theme)
        axes.set_title(title, fontsize=11, loc="left", color=theme["ink"])
        axes.set_xlabel("epoch", fontsize=9)
        axes.grid(axis="y", color=theme["line"], linewidth=0.6)
        if title == "Learning rate" and len(steps) > 2:
            points = [(r["step"] / per_epoch, r["lr"]) for r in steps]
            axes.plot(*zip(*points, strict=True), color=theme["rate"], lw=1.6)
            drawn = 1
        else:
            drawn = sum(_curve(axes, records, key, name, theme) for key, name in keys)
        if title == "Loss":
            points = [(r["step"] / per_epoch, r["loss"]) for r in steps if r["loss"] is not None]
            if points:
                pale = {"color": theme["train"], "alpha": 0.35, "lw": 0.8, "zorder": 1}
                axes.plot(*zip(*points, strict=True), label="single batches", **pale)
        if title != "Learning rate":
            _log_axis(axes)
        axes.set_xlim(0 if steps else 0.5, max([r["epoch"] for r in records], default=1) + 0.5)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if drawn > 1:
            axes.legend(frameon=False, fontsize=9, labelcolor=theme["ink"])
    return _png(figure)


def _curve(
    axes: Any, records: Sequence[dict[str, Any]], key: str, name: str, theme: dict[str, str]
) -> bool:
    """Draw one key over the epochs; whether any record has it."""
    points = [(r["epoch"], r[key]) for r in records if r.get(key) is not None]
    if not points:
        return False
    epochs, values = np.array(points, dtype=np.float64).T
    if "accuracy" in key:
        values = 100 * (1 - values)
    color = theme[{"training": "train", "validation": "val"}.get(name, name)]
    style = "-" if name != "validation" else "--"
    marker = ("s" if name == "validation" else "o") if len(points) <= 40 else None
    axes.plot(epochs, values, style, color=color, label=name, marker=marker, ms=3, lw=1.6)
    return True


def _log_axis(axes: Any) -> None:
    """A logarithmic axis with plain numbers where values differ much; linear near a value of 0."""
    from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

    values = np.concatenate([line.get_ydata() for line in axes.lines] or [np.ones(1)])
    positive = values[values > 0]
    if not positive.size or positive.max() < 5 * positive.min():
        return
    low, high = positive.min(), positive.max()
    ticks = [m * 10.0**e for e in range(-9, 10) for m in (1, 2, 5)]
    if high > 300 * low:
        ticks = ticks[::3]
    # every tick is drawn, also one that cannot be seen
    ticks = [tick for tick in ticks if low / 2 < tick < 2 * high]
    if (values <= 0).any():
        axes.set_yscale("symlog", linthresh=low)
        ticks = [0.0, *(tick for tick in ticks if tick >= low)]
    else:
        axes.set_yscale("log")
    axes.yaxis.set_major_locator(FixedLocator(ticks))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))


def confusion_png(
    counts: NDArray[np.int64], classes: Sequence[str], *, dark: bool = False
) -> bytes:
    """The confusion matrix: true classes down, predicted across; right ones blue, wrong orange.

    Args:
        counts: (classes, classes), rows are true classes.
        classes: their names.
        dark: light ink on dark paper.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    theme = _DARK if dark else _LIGHT
    longest = max(len(name) for name in classes)
    size = len(classes)
    turned = 0 if longest <= 2 and size <= 20 else 90 if size > 20 else 40
    side = min(9.6, 0.42 * max(size, 6) + 0.8)
    names = min(_length(classes), 2.0)
    under = 0.15 + names * math.sin(math.radians(turned))
    width, height = side + names + 0.55, side + under + 0.75
    figure = _figure(width, height, theme)
    place = ((names + 0.45) / width, (under + 0.35) / height, side / width, side / height)
    axes = figure.add_axes(place)
    _style(axes, theme)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    colours = _cell_colours(shares, theme)
    axes.imshow(colours, aspect="equal", interpolation="nearest")
    edges = np.arange(0.5, size - 1)
    for lines in (axes.hlines, axes.vlines):
        lines(edges, -0.5, size - 0.5, colors=theme["line"], linewidth=0.5)
    total, right = int(counts.sum()), int(np.trace(counts))
    axes.set_title(
        f"{total - right:,} of {total:,} wrong: {100 * right / max(total, 1):.2f} % right",
        fontsize=11,
        loc="left",
        color=theme["ink"],
    )
    axes.set_xlabel("predicted", fontsize=10)
    axes.set_ylabel("true", fontsize=10)
    step = max(1, size // 40)
    ticks = range(0, size, step)
    align = {0: "center", 40: "right", 90: "center"}[turned]
    axes.set_xticks(ticks, [classes[i] for i in ticks], rotation=turned, ha=align, fontsize=9)
    axes.set_yticks(ticks, [classes[i] for i in ticks], fontsize=9)
    axes.tick_params(length=0)
    if size <= 25:
        for i, j in zip(*np.nonzero(counts), strict=True):
            bright = colours[i, j] @ (0.299, 0.587, 0.114) > 0.5
            color = "#1f2328" if bright else "#ffffff"
            small = 9 if np.max(counts) < 1000 else 7.5
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", color=color, size=small)
    return _png(figure)


def _length(names: Sequence[str]) -> float:
    """The length of the longest name as it is written at an axis, in inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    size, font = TextToPath().get_text_width_height_descent, FontProperties(size=9)
    with _boxes():
        return float(max(size(name, font, False)[0] for name in names)) / 72


def _cell_colours(shares: NDArray[np.float64], theme: dict[str, str]) -> NDArray[np.float64]:
    """RGB (classes, classes, 3): paper where nothing is, towards blue or orange with the share."""

    def rgb(name: str) -> NDArray[np.float64]:
        return np.array([int(theme[name][i : i + 2], 16) / 255 for i in (1, 3, 5)])

    diagonal = np.eye(len(shares), dtype=bool)
    # the square root lifts single mistakes, which are what one looks for
    strength = np.where(diagonal, shares, np.sqrt(shares) * 0.9)
    strength = np.where(shares > 0, 0.08 + 0.92 * strength, 0.0)[..., None]
    ink = np.where(diagonal[..., None], rgb("train"), rgb("val"))
    return np.asarray(rgb("paper") * (1 - strength) + ink * strength)


def mistakes_png(
    images: NDArray[np.uint8],
    captions: Sequence[tuple[str, str]],
    title: str,
    *,
    dark: bool = False,
) -> bytes:
    """A sheet of images, each with two lines under it: the true class, and the guess.

    Args:
        images: (N, C, H, W) with 1 or 3 channels, N >= 1.
        captions: N pairs of lines.
        title: above the sheet.
        dark: light ink on dark paper.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    theme = _DARK if dark else _LIGHT
    columns = min(6, max(len(images), 4))
    rows = -(-len(images) // columns)
    width, height = 1.5 * columns, 1.85 * rows + 0.4
    figure = _figure(width, height, theme)
    figure.text(0.1 / width, 1 - 0.1 / height, title, fontsize=11, color=theme["ink"], va="top")
    # one axes for the whole sheet, in inches from its upper left corner
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    for index, (image, caption) in enumerate(zip(images, captions, strict=True)):
        down, across = divmod(index, columns)
        x, y = 1.5 * across + 0.1, 1.85 * down + 0.45
        high, wide = 1.3 * np.array(image.shape[1:]) / max(image.shape[1:])
        left, top = x + (1.3 - wide) / 2, y + (1.3 - high) / 2
        right, bottom = left + wide, top + high
        pixels = image[0] if len(image) == 1 else image[:3].transpose(1, 2, 0)
        place = {"extent": (left, right, bottom, top), "interpolation": "nearest"}
        axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, **place)
        frame = ([left, right, right, left, left], [top, top, bottom, bottom, top])
        axes.plot(*frame, color=theme["line"], lw=0.8)
        lines = {"fontsize": 9, "color": theme["ink"], "ha": "center", "va": "top"}
        axes.text(x + 0.65, y + 1.33, "\n".join(caption), **lines)
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    return _png(figure)
