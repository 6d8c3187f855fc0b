"""A sheet to draw on, measured in cells: squares, letters, lines; the paper grows with them.

The y axis points down, as rows of an array do. matplotlib is imported here and nowhere else; there
is no pyplot, so no window system and no global state.
"""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rot180.errors import ArgumentError, MissingExtraError
from rot180.explain.figures.colours import ARRAYS, DARK, LIGHT, ink_on

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["UNIT", "Look", "Sheet", "load"]

UNIT = 0.5
"""The side of a cell in inches."""

_STYLE = {"svg.fonttype": "path", "svg.hashsalt": "rot180", "pdf.fonttype": 42}
_CHINESE = ("notosanscjk", "sourcehansans", "wqy", "simhei", "msyh", "pingfang", "heiti",
            "droidsansfallback", "notosanssc")  # fmt: skip


def load(name: str) -> Any:
    """A module of matplotlib.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        return importlib.import_module(f"matplotlib.{name}")
    except ImportError:
        raise MissingExtraError("figures", "matplotlib", "explain") from None


@functools.cache
def _fonts(lang: str) -> list[str]:
    if lang == "en":
        return ["DejaVu Sans"]
    manager = load("font_manager")
    files = sorted(manager.findSystemFonts())  # matplotlib's own list may be older than a font
    words = {file: Path(file).stem.lower().replace("-", "") for file in files}
    found = next(
        (kept for word in _CHINESE if (kept := [f for f in files if word in words[f]])), []
    )
    if not found:
        raise ArgumentError(
            "explain: no font with Chinese letters is installed",
            expected="one such as Noto Sans CJK SC",
            rule='install one, or draw with lang="en"',
        )
    usual = [f for f in found if words[f].endswith(("regular", "bold"))] or found[:1]
    for file in usual:
        manager.fontManager.addfont(file)
    return ["DejaVu Sans", manager.FontProperties(fname=usual[-1]).get_name()]


class Look(NamedTuple):
    """How one cell looks.

    Attributes:
        text: what is written in it.
        face: its colour, "" for that of the paper's cells.
        edge: its border.
        width: of the border, in points.
        kind: "cell", or the kind of a slot that is none: "padding", "dilation", ...
        strip: a bar along its lower edge, "" for none.
        bold: whether it is the cell that is looked at.
    """

    text: str = ""
    face: str = ""
    edge: str = ""
    width: float = 1.0
    kind: str = "cell"
    strip: str = ""
    bold: bool = False


class Sheet:
    """Something to draw on.

    Attributes:
        lang: "en" or "zh".
        paper: the colours of the paper.
        right: how far the drawing reaches to the right, in cells.
        bottom: how far it reaches down.
    """

    def __init__(self, lang: str = "en", dark: bool = False) -> None:
        self.lang = lang
        self.dark = dark
        self.paper = DARK if dark else LIGHT
        self.fonts = _fonts(lang)
        self._left = self._top = 0.0
        self.right = self.bottom = 0.0
        self._figure = load("figure").Figure(facecolor=self.paper.paper)
        load("backends.backend_agg").FigureCanvasAgg(self._figure)
        self._axes = self._figure.add_axes((0, 0, 1, 1))
        self._axes.axis("off")
        self._patches = load("patches")

    def reach(self, x: float, y: float) -> None:
        """Let the paper hold this point."""
        self._left, self.right = min(self._left, x), max(self.right, x)
        self._top, self.bottom = min(self._top, y), max(self.bottom, y)

    def cell(self, x: float, y: float, look: Look, size: float = 1.0) -> None:
        """A square with its upper left corner at (x, y)."""
        paper = self.paper
        zero = look.kind != "cell"
        face = look.face or (paper.zero if zero else paper.cell)
        edge = look.edge or (paper.line if look.kind == "padding" or not zero else "none")
        gap = 0.05 * size
        hatch = "" if look.face else {"remainder": "////", "dilation": "...."}.get(look.kind, "")
        dashed = look.kind == "padding" and not look.face and not look.edge

        def box(face: str, edge: str, width: float, hatch: str = "") -> None:
            patch = self._patches.FancyBboxPatch(
                (x + gap, y + gap), size - 2 * gap, size - 2 * gap,
                boxstyle=f"round,pad=0,rounding_size={0.12 * size}",
                facecolor=face, edgecolor=edge, linewidth=width, hatch=hatch or None,
                linestyle=(0, (2.5, 2)) if dashed else "solid",
                zorder=3 if look.width > 2 else 2,
            )  # fmt: skip
            self._axes.add_artist(patch)

        if hatch:  # a hatch has the colour of the edge, so the frame is drawn apart
            box(face, paper.line, 0.0, hatch)
            box("none", edge, look.width)
        else:
            box(face, edge, look.width)
        if look.strip:
            bar = self._patches.Rectangle(
                (x + 2.4 * gap, y + size - 3.6 * gap), size - 4.8 * gap, 1.7 * gap,
                facecolor=look.strip, linewidth=0, zorder=4,
            )  # fmt: skip
            self._axes.add_artist(bar)
        if look.text:
            ink = ink_on(look.face) if look.face else paper.soft if zero else paper.ink
            room = 3.0 if look.bold else 3.4
            points = 14.0 * size * min(1.0, room / max(1, _length(look.text)))
            y_text = y + size * (0.47 if look.strip else 0.5)
            self.text(x + size / 2, y_text, look.text, points, ink, bold=look.bold, inside=True)
        self.reach(x, y)
        self.reach(x + size, y + size)

    def text(
        self, x: float, y: float, text: str, points: float = 13, ink: str = "", *,
        align: str = "center", vertical: str = "center_baseline", bold: bool = False,
        halo: bool = False, inside: bool = False,
    ) -> float:  # fmt: skip
        """Letters at a point; returns their width in cells, 0 for letters inside a cell."""
        drawn = self._axes.text(
            x, y, text, fontsize=points, color=ink or self.paper.ink, ha=align, va=vertical,
            fontweight="bold" if bold else "normal", fontfamily=self.fonts,
            math_fontfamily="stix", zorder=6,
        )  # fmt: skip
        if halo:
            effects = load("patheffects")
            drawn.set_path_effects([effects.withStroke(linewidth=4, foreground=self.paper.paper)])
        if inside:
            return 0.0
        width = self.width(text, points, bold)
        start = {"left": x, "center": x - width / 2, "right": x - width}[align]
        height = points / 72 / UNIT
        self.reach(start, y - height)
        self.reach(start + width, y + height * 0.7)
        return width

    def width(self, text: str, points: float, bold: bool = False) -> float:
        """How wide letters are, in cells."""
        return _width(text, bold, tuple(self.fonts)) * points / 72 / UNIT

    def line(
        self, points: Sequence[tuple[float, float]], ink: str, width: float = 1.5,
        opacity: float = 1.0, arrow: bool = False, rise: float = 0.0,
    ) -> None:  # fmt: skip
        """A line through points, or an arrow from the first to the last, in a bow of this height.

        The height of a bow is measured from the middle between both ends.
        """
        if arrow:
            (x1, y1), (x2, y2) = points[0], points[-1]
            bow = f"arc3,rad={-2 * rise / max(abs(x2 - x1), 1e-9)}"
            self.reach((x1 + x2) / 2, (y1 + y2) / 2 - rise)
            self._axes.add_artist(
                self._patches.FancyArrowPatch(
                    (x1, y1), (x2, y2), connectionstyle=bow, arrowstyle="-|>",
                    mutation_scale=12, color=ink, linewidth=width, shrinkA=0, shrinkB=0, zorder=1,
                )
            )  # fmt: skip
        else:
            xs, ys = zip(*points, strict=True)
            self._axes.plot(xs, ys, color=ink, linewidth=width, alpha=opacity, zorder=1,
                            solid_capstyle="round")  # fmt: skip
        for x, y in points:
            self.reach(x, y)

    def bar(self, x: float, y: float, width: float, height: float, face: str) -> None:
        """A filled rectangle."""
        self._axes.add_artist(
            self._patches.Rectangle((x, y), width, height, facecolor=face, linewidth=0, zorder=1)
        )
        self.reach(x, y)
        self.reach(x + width, y + height)

    def picture(self, x: float, y: float, side: float, plane: NDArray[Any], most: float) -> None:
        """A plane of numbers as a map: blue below 0, orange above, paper at 0.

        Args:
            x: left edge.
            y: upper edge.
            side: the length of its longer side, in cells.
            plane: the numbers, two axes.
            most: the number of the full colour.
        """
        colours = [ARRAYS["x"][self.dark], self.paper.cell, ARRAYS["w"][self.dark]]
        scale = load("colors").LinearSegmentedColormap.from_list("δ", colours)
        rows, columns = plane.shape
        cell = side / max(rows, columns)
        wide, high = columns * cell, rows * cell
        self._axes.imshow(plane, cmap=scale, vmin=-most or -1, vmax=most or 1, aspect="auto",
                          interpolation="nearest", extent=(x, x + wide, y + high, y))  # fmt: skip
        frame = self._patches.Rectangle((x, y), wide, high, facecolor="none", linewidth=0.6,
                                        edgecolor=self.paper.line, zorder=3)  # fmt: skip
        self._axes.add_artist(frame)
        self.reach(x, y)
        self.reach(x + wide, y + high)

    def box(self, x: float, y: float, width: float, height: float, edge: str) -> None:
        """A rounded frame."""
        self._axes.add_artist(
            self._patches.FancyBboxPatch(
                (x, y), width, height, boxstyle="round,pad=0,rounding_size=0.15",
                facecolor=self.paper.cell, edgecolor=edge, linewidth=1.6, zorder=2,
            )
        )  # fmt: skip
        self.reach(x, y)
        self.reach(x + width, y + height)

    def _fit(self, margin: float) -> None:
        left, right = self._left - margin, self.right + margin
        top, bottom = self._top - margin, self.bottom + margin
        self._axes.set_xlim(left, right)
        self._axes.set_ylim(bottom, top)
        self._figure.set_size_inches((right - left) * UNIT, (bottom - top) * UNIT)

    def save(self, path: Path, dots: int = 160) -> None:
        """Write the sheet; the suffix picks the format. The same drawing gives the same bytes."""
        self._fit(0.4)
        suffix = path.suffix.lower()
        metadata: dict[str, Any] = {
            ".svg": {"Date": None, "Creator": None},
            ".pdf": {"CreationDate": None, "ModDate": None, "Creator": None, "Producer": None},
        }.get(suffix, {"Software": None})
        with importlib.import_module("matplotlib").rc_context(_STYLE):
            self._figure.savefig(path, format=suffix[1:], dpi=dots, metadata=metadata)

    def image(self, dots: int = 100) -> NDArray[np.uint8]:
        """The sheet as pixels, (height, width, 3); both sides are even, as films want them."""
        import numpy as np

        self._fit(0.4)
        width, height = self._figure.get_size_inches()
        even = [2 * round(side * dots / 2) / dots for side in (width, height)]
        self._figure.set_size_inches(*even)
        self._figure.set_dpi(dots)
        self._figure.canvas.draw()
        pixels: NDArray[np.uint8] = np.asarray(self._figure.canvas.buffer_rgba())[..., :3].copy()
        return pixels[: pixels.shape[0] // 2 * 2, : pixels.shape[1] // 2 * 2]


@functools.lru_cache(maxsize=4096)
def _width(text: str, bold: bool, fonts: tuple[str, ...]) -> float:
    """The width of letters of size 1."""
    if not text.strip():
        return 0.25 * len(text)
    weight = "bold" if bold else "normal"
    prop = load("font_manager").FontProperties(
        size=100, weight=weight, family=list(fonts), math_fontfamily="stix"
    )
    with warnings.catch_warnings():
        # Letters that only the second font has are measured as boxes, which are as wide.
        warnings.filterwarnings("ignore", message="Glyph")
        path = load("textpath").TextPath((0, 0), text, prop=prop)
    return float(path.get_extents().x1) / 100


def _length(text: str) -> int:
    """About how many letters wide a text is; a formula's signs do not count."""
    if not text.startswith("$"):
        return len(text)
    plain = text.replace(r"\delta", "d").replace(r"\mathrm", "")
    return max(1, round(0.8 * sum(c not in "${}_^\\" for c in plain)))
