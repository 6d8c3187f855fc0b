"""Pictures of what `compare` and `convs` measured, with the machine they were measured on.

python -m benchmarks.plots FOLDER       draw again what lies there
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt
from benchmarks import compare, convs
from benchmarks.machine import line

__all__ = ["plot_convs", "plot_steps"]

COLOURS = {"forward": "#1b6ca8", "dx": "#d1495b", "dw": "#3a7d44"}
BLUE, GREY, DARK = "#1b6ca8", "#8a8a8a", "#222222"


def _finish(figure: Any, about: dict[str, str], file: Path) -> None:
    text = "\n".join(textwrap.wrap(line(about), 110))
    figure.text(0.01, 0.012, text, fontsize=7, color=GREY, va="bottom")
    figure.tight_layout(rect=(0, 0.06, 1, 1))
    figure.savefig(file, dpi=130)
    plt.close(figure)


def plot_steps(kept: dict[str, Any], file: Path) -> None:
    """Bars of best PyTorch time ÷ ours, quartiles, and what it must be."""
    cells = kept["cells"]
    labels = [f"{c['network']}, batch {c['batch']}" for c in cells]
    places = range(len(cells))
    figure, axes = plt.subplots(figsize=(8, 1.4 + 0.36 * len(cells)))
    for y, c in zip(places, cells, strict=True):
        low, high = c["quartiles"]
        axes.barh(y, c["ratio"], color=BLUE, height=0.62)
        axes.plot([low, high], [y, y], color=DARK, linewidth=1.2)
        text = f"{c['ratio']:.1f} × {c['best']}"
        axes.annotate(
            text, (max(c["ratio"], high), y), (4, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
        bars = compare.BARS[c["network"]].get(c["batch"])
        if c["function"] == "training" and bars:
            axes.plot([bars[0]] * 2, [y - 0.4, y + 0.4], color="#d1495b", linewidth=1.6)
    axes.set_yticks(list(places), labels)
    axes.invert_yaxis()
    axes.axvline(1, color=GREY, linewidth=0.8)
    axes.set_xlim(0, 1.25 * max(max(c["ratio"], c["quartiles"][1]) for c in cells))
    axes.set_xlabel(
        "best PyTorch time ÷ rot180's (median of rounds; black: quartiles; red: the bar)"
    )
    axes.spines[["top", "right"]].set_visible(False)
    what = "A training step" if cells[0]["function"] == "training" else "Inference"
    axes.set_title(f"{what}: how many times faster than the best PyTorch variant", loc="left")
    _finish(figure, kept["machine"], file)


def plot_convs(kept: dict[str, Any], file: Path) -> None:
    """A dot for every convolution, by class."""
    cells = kept["cells"]
    families = list(dict.fromkeys(c["class"] for c in cells))
    figure, axes = plt.subplots(figsize=(8, 4.6))
    for at, family in enumerate(families):
        for shift, (what, colour) in zip((-0.22, 0, 0.22), COLOURS.items(), strict=True):
            some = [c["ratio"] for c in cells if c["class"] == family and c["what"] == what]
            label = what if at == 0 else None
            axes.scatter([at + shift] * len(some), some, s=22, color=colour, label=label, alpha=0.8)
        bar = convs.BARS[family][0]
        axes.plot([at - 0.4, at + 0.4], [bar, bar], color=DARK, linewidth=1.2)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.axhline(1, color=GREY, linewidth=0.8)
    axes.set_xticks(range(len(families)), families)
    axes.set_ylabel("best PyTorch (oneDNN) time ÷ rot180's")
    axes.legend(frameon=False, fontsize=8, ncols=3)
    axes.spines[["top", "right"]].set_visible(False)
    batch = cells[0]["batch"]
    axes.set_title(f"Single convolutions, batch {batch} (lines: the mean's bar)", loc="left")
    _finish(figure, kept["machine"], file)


def main() -> None:
    folder = Path(sys.argv[1])
    drawn = {"training": plot_steps, "inference": plot_steps, "convolutions": plot_convs}
    for name, draw in drawn.items():
        file = folder / f"{name}.json"
        if file.exists():
            draw(json.loads(file.read_text(encoding="utf-8")), folder / f"{name}.png")


if __name__ == "__main__":
    main()
