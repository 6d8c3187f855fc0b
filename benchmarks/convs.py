"""Single convolutions beside oneDNN (through PyTorch): forward and both gradients.

    python -m benchmarks.convs [--quick] [--classes 3x3 ...] [--batch 16] [--rounds 7]
        [--output FOLDER]

The shapes are those of real networks. Ours is a program of one convolution whose operands stand in
planes, as they do inside a step: the conversions at its edges are not timed, and small ones are
done several times in a call. PyTorch's operands have one format, NCHW or channels last, whichever
is faster. Prints the ratio, best PyTorch time ÷ ours, of every shape, and by class the geometric
mean and the least.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.compare import OURS, RESULTS, VARIANTS
from benchmarks.machine import describe, line
from benchmarks.turns import Worker, ratio, take_turns

__all__ = ["BARS", "SHAPES", "Shape", "main", "measure", "summary"]

WHAT = ("forward", "dx", "dw")

BARS = {
    "3x3": (2.0, None), "1x1": (1.0, 0.8), "strided": (1.0, 0.8), "5x5": (1.0, 0.8),
    "7x7": (1.0, 0.8), "first": (1.0, 0.8), "dilated": (1.0, 0.8), "depthwise": (1.5, None),
}  # fmt: skip
"""By class what the geometric mean must be, and the least."""


@dataclass(frozen=True)
class Shape:
    """A convolution of a network: channels and rows (= columns) go in, filters come out."""

    channels: int
    filters: int
    size: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1

    def __str__(self) -> str:
        extras = (("s", self.stride, 1), ("d", self.dilation, 1), ("g", self.groups, 1))
        more = "".join(f" {letter}{value}" for letter, value, usual in extras if value != usual)
        return f"{self.channels}→{self.filters} {self.kernel}×{self.kernel}{more}, {self.size}²"

    def products(self, batch: int) -> int:
        """Multiplications of the definition."""
        reach = self.dilation * (self.kernel - 1)
        out = (self.size + 2 * self.padding - reach - 1) // self.stride + 1
        return batch * self.filters * (self.channels // self.groups) * self.kernel**2 * out**2


SHAPES: dict[str, dict[str, list[Shape]]] = {
    "3x3": {
        "ResNet-50": [
            Shape(64, 64, 56, 3, 1, 1), Shape(128, 128, 28, 3, 1, 1),
            Shape(256, 256, 14, 3, 1, 1), Shape(512, 512, 7, 3, 1, 1),
        ],
        "VGG-16": [Shape(64, 128, 112, 3, 1, 1), Shape(512, 512, 14, 3, 1, 1)],
        "VGG-6": [Shape(32, 32, 32, 3, 1, 1), Shape(64, 128, 8, 3, 1, 1)],
        "ResNet-20": [
            Shape(16, 16, 32, 3, 1, 1), Shape(32, 32, 16, 3, 1, 1), Shape(64, 64, 8, 3, 1, 1),
        ],
    },
    "1x1": {
        "ResNet-50": [
            Shape(64, 256, 56, 1), Shape(512, 128, 28, 1), Shape(1024, 256, 14, 1),
            Shape(512, 2048, 7, 1),
        ],
        "MobileNet": [Shape(32, 64, 112, 1), Shape(512, 512, 14, 1)],
    },
    "strided": {
        "ResNet-50": [
            Shape(128, 128, 56, 3, 2, 1), Shape(512, 512, 14, 3, 2, 1), Shape(256, 512, 56, 1, 2),
        ],
        "ResNet-20": [
            Shape(16, 32, 32, 3, 2, 1), Shape(32, 64, 16, 3, 2, 1), Shape(16, 32, 32, 1, 2),
        ],
    },
    "5x5": {
        "LeNet-5": [Shape(6, 16, 14, 5)],
        "GoogLeNet": [Shape(16, 32, 28, 5, 1, 2), Shape(24, 64, 14, 5, 1, 2)],
        "AlexNet": [Shape(64, 192, 27, 5, 1, 2)],
    },
    "7x7": {
        "OpenPose": [Shape(128, 128, 23, 7, 1, 3)],
        "Inception": [Shape(64, 64, 17, 7, 1, 3)],
        "CBAM": [Shape(2, 1, 56, 7, 1, 3)],
    },
    "first": {
        "LeNet-5": [Shape(1, 6, 28, 5, 1, 2)],
        "mnist3": [Shape(1, 16, 28, 3, 1, 1)],
        "CIFAR": [Shape(3, 16, 32, 3, 1, 1), Shape(3, 32, 32, 3, 1, 1)],
        "VGG-16": [Shape(3, 64, 112, 3, 1, 1)],
        "ResNet-50": [Shape(3, 64, 224, 7, 2, 3)],
        "MobileNet": [Shape(3, 32, 224, 3, 2, 1)],
    },
    "dilated": {
        "DeepLab": [Shape(256, 256, 28, 3, 1, 2, 2), Shape(64, 64, 28, 3, 1, 4, 4)],
        "WaveNet-like": [Shape(32, 32, 32, 3, 1, 2, 2)],
    },
    "depthwise": {
        "MobileNet": [
            Shape(32, 32, 112, 3, 1, 1, 1, 32), Shape(64, 64, 112, 3, 2, 1, 1, 64),
            Shape(128, 128, 56, 3, 1, 1, 1, 128), Shape(256, 256, 28, 3, 1, 1, 1, 256),
            Shape(512, 512, 14, 3, 1, 1, 1, 512), Shape(1024, 1024, 7, 3, 1, 1, 1, 1024),
        ],
    },
}  # fmt: skip

QUICK = {"3x3": ["ResNet-20"], "first": ["CIFAR"], "strided": ["ResNet-20"]}


def measure(
    family: str, network: str, shape: Shape, workers: list[Worker], batch: int, threads: int,
    rounds: int, turn: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """Forward and both gradients of a shape; the first worker is ours."""
    found = []
    times_of_ours = max(1, min(20, 100_000_000 // shape.products(batch)))
    for what in WHAT:
        asked = {"what": what, "batch": batch, **asdict(shape)}
        for worker in workers:
            more = {"threads": threads, "times": times_of_ours} if worker is workers[0] else {}
            worker.make("convolution", **asked, **more)
        times = take_turns(workers, rounds, turn)
        medians = {side: statistics.median(taken) for side, taken in times.items()}
        best = min((side for side in medians if side != OURS.name), key=medians.__getitem__)
        middle, low, high = ratio(times[best], times[OURS.name])
        found.append(
            {
                "class": family, "network": network, "shape": str(shape), "what": what,
                "batch": batch, "best": best, "ratio": middle, "quartiles": (low, high),
                "seconds": medians,
                "gflops": 2e-9 * shape.products(batch) / medians[OURS.name],
            }
        )  # fmt: skip
    return found


def summary(cells: list[dict[str, Any]]) -> str:
    """By class geometric mean and least ratio, with the bars, in Markdown."""
    rows = [
        "| class | mean | must | least | must | where |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    for family in dict.fromkeys(c["class"] for c in cells):
        some = [c for c in cells if c["class"] == family]
        mean = math.exp(statistics.fmean(math.log(c["ratio"]) for c in some))
        least = min(some, key=lambda c: float(c["ratio"]))
        bar, floor = BARS[family]
        where = f"{least['what']} of {least['network']}'s {least['shape']}"
        rows.append(
            f"| {family} | **{mean:.2f}** | {bar:g} | {least['ratio']:.2f} | "
            f"{'–' if floor is None else f'{floor:g}'} | {where} |"
        )
    return "\n".join(rows)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--classes", nargs="+", default=list(SHAPES), choices=list(SHAPES))
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--turn", type=float, default=0.04, help="seconds of a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="few small ones, nothing is kept")
    parser.add_argument("--output", type=Path, help="folder for numbers and picture")
    given = parser.parse_args(arguments)
    rounds, turn = (3, 0.02) if given.quick else (given.rounds, given.turn)
    output = given.output or (None if given.quick else RESULTS)
    about = describe(given.threads)
    sides = (OURS, VARIANTS["eager"], VARIANTS["channels_last"])
    workers = [Worker(side, given.threads) for side in sides]
    cells: list[dict[str, Any]] = []
    print("| class | network | shape | ratio of forward | of dx | of dw | GFLOP/s |")
    print("| --- | --- | --- | --: | --: | --: | --- |")
    for family in given.classes:
        for network, shapes in SHAPES[family].items():
            if given.quick and network not in QUICK.get(family, []):
                continue
            for shape in shapes:
                found = measure(
                    family, network, shape, workers, given.batch, given.threads, rounds, turn
                )
                cells += found
                ratios = " | ".join(f"{c['ratio']:.2f}" for c in found)
                speeds = ", ".join(f"{c['gflops']:.0f}" for c in found)
                print(f"| {family} | {network} | {shape} | {ratios} | {speeds} |", flush=True)
    for worker in workers:
        worker.close()
    print(f"\n{summary(cells)}\n\nbatch {given.batch}, {line(about)}")
    if output is not None:
        from benchmarks.plots import plot_convs

        output.mkdir(parents=True, exist_ok=True)
        kept = {"machine": about, "cells": cells}
        text = json.dumps(kept, indent=1, default=list) + "\n"
        (output / "convolutions.json").write_text(text, encoding="utf-8")
        plot_convs(kept, output / "convolutions.png")


if __name__ == "__main__":
    main()
