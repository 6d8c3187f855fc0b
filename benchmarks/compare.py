"""Whole training steps beside PyTorch and JAX: the same work in turn, each in its own process.

    python -m benchmarks.compare [--quick] [--inference] [--networks lenet5 ...]
        [--batches 1 64 128] [--variants channels_last ...] [--rounds 9] [--output FOLDER]

For each network and batch size a table says the median time of each side; the ratio, best PyTorch
time ÷ ours, where best is the variant whose median is least, as the median of all rounds with its
quartiles; the most memory that each process held; and what our first step took, with an empty
cache and with a full one (from `compile(...)` on: no imports). Numbers and a picture go to the
folder. A real-time priority keeps other programs out, from all sides alike: `chrt -r 5`, and never
-f, since oneDNN's threads wait for each other without giving a processor away: where two that are
never interrupted want the same one, the machine stands still.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, line
from benchmarks.networks import INPUTS
from benchmarks.turns import Side, Worker, ratio, take_turns

__all__ = ["BARS", "OURS", "RESULTS", "VARIANTS", "cell", "main", "table"]

RESULTS = Path(__file__).parent / "results"

OURS = Side("rot180", "benchmarks.ours")
VARIANTS = {
    side.name: side
    for side in (
        Side("eager", "benchmarks.theirs"),
        Side("channels_last", "benchmarks.theirs", {"channels_last": True}),
        Side("compile", "benchmarks.theirs", {"channels_last": True, "compiled": True}),
        Side("jax", "benchmarks.theirs_jax", {}, {"JAX_PLATFORMS": "cpu"}),
    )
}
"""PyTorch in NCHW, with channels last, by `torch.compile`, and JAX."""

BARS = {
    "lenet5": {1: (8, 15), 64: (2.5, 4), 128: (2.5, 4)},
    "mnist3": {1: (6, 12), 64: (2.3, 3.5), 128: (2.3, 3.5)},
    "vgg6": {1: (2, 3), 64: (2.2, 3), 128: (2.2, 3)},
    "resnet20": {1: (4, 6), 64: (1.8, 2.5), 128: (1.8, 2.5)},
}
"""What the ratio of training steps must be, and is aimed at."""


def first_steps(function: str, name: str, batch: int, threads: int) -> dict[str, float]:
    """Seconds of our first step with an empty cache, and in a new process with a full one."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        side = Side(OURS.name, OURS.module, {}, {"XDG_CACHE_HOME": folder})
        for state in ("cold", "warm"):
            worker = Worker(side, threads)
            found[state] = worker.make(function, name=name, batch=batch)
            worker.close()
    return found


def cell(
    function: str, name: str, batch: int, sides: list[Side], rounds: int, turn: float, threads: int
) -> dict[str, Any]:
    """One network and batch size, all sides.

    Args:
        function: "training" or "inference".
        name: the network.
        batch: images in a batch.
        sides: besides ours; one that cannot do the work is left out, and told.
        rounds: how often each side has its turn.
        turn: seconds that a turn should take.
        threads: of each side.
    """
    first = first_steps(function, name, batch, threads)
    workers = [Worker(side, threads) for side in (OURS, *sides)]
    failed = {}
    for worker in workers:  # one after the other: two that compute at once would share processors
        worker.ask((function, {"name": name, "batch": batch}))
        if not worker.answers():
            failed[worker.side.name] = worker.fault
    if OURS.name in failed:
        raise RuntimeError(failed[OURS.name])
    able = [w for w in workers if not w.fault]
    times = take_turns(able, rounds, turn)
    peaks = {worker.side.name: worker.peak() for worker in able}
    for worker in workers:
        worker.close()
    medians = {side: statistics.median(found) for side, found in times.items()}
    torch = [side.name for side in sides if side.module.endswith("theirs") and side.name in times]
    best = min(torch, key=medians.__getitem__)
    middle, low, high = ratio(times[best], times[OURS.name])
    return {
        "function": function, "network": name, "batch": batch, "best": best,
        "ratio": middle, "quartiles": (low, high), "seconds": medians, "rounds": times,
        "peak_bytes": peaks, "first_step": first, "failed": failed,
    }  # fmt: skip


def table(cells: list[dict[str, Any]], names: list[str]) -> str:
    """The cells in Markdown; names are the sides besides ours."""
    heads = ["network", "batch", "rot180", *names, "best ÷ rot180", "quartiles", "must / aim"]
    heads += ["peak memory", "best's", "first step cold", "warm"]
    rows = [heads, ["---", *["--:"] * (len(heads) - 1)]]
    for c in cells:
        bars = BARS[c["network"]].get(c["batch"]) if c["function"] == "training" else (1, 1)
        sides = [OURS.name, *names]
        rows.append(
            [
                c["network"],
                str(c["batch"]),
                *(f"{c['seconds'][s] * 1e3:.3g} ms" if s in c["seconds"] else "–" for s in sides),
                f"**{c['ratio']:.2f}**",
                "{:.2f}–{:.2f}".format(*c["quartiles"]),
                "{:g} / {:g}".format(*bars) if bars else "–",
                f"{c['peak_bytes'][OURS.name] / 2**20:.0f} MiB",
                f"{c['peak_bytes'][c['best']] / 2**20:.0f} MiB",
                f"{c['first_step']['cold']:.2f} s",
                f"{c['first_step']['warm']:.2f} s",
            ]
        )
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    failed = {f"{side}: {why}" for c in cells for side, why in c["failed"].items()}
    return "\n".join([text, *(f"\nDid not run: {why}" for why in sorted(failed))])


def available() -> list[str]:
    """The variants whose package is installed."""
    return [
        name
        for name in VARIANTS
        if importlib.util.find_spec("jax" if name == "jax" else "torch") is not None
    ]


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--inference", action="store_true", help="predictions, not training steps")
    parser.add_argument("--networks", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--variants", nargs="+", default=available(), choices=list(VARIANTS))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--turn", type=float, default=0.15, help="seconds of a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="few rounds, nothing is kept")
    parser.add_argument("--output", type=Path, help="folder for numbers and picture")
    given = parser.parse_args(arguments)
    if not {"eager", "channels_last", "compile"} & set(given.variants):
        parser.error("--variants: at least one of PyTorch's")
    function = "inference" if given.inference else "training"
    batches = given.batches or ([1, 64] if given.inference else [1, 64, 128])
    rounds, turn = (3, 0.05) if given.quick else (given.rounds, given.turn)
    output = given.output or (None if given.quick else RESULTS)
    about = describe(given.threads)
    sides = [VARIANTS[name] for name in given.variants]
    cells = []
    for name in given.networks:
        for batch in batches:
            cells.append(cell(function, name, batch, sides, rounds, turn, given.threads))
            rows = table(cells, given.variants).splitlines()
            print("\n".join(rows if len(cells) == 1 else rows[len(cells) + 1 :]), flush=True)
    print(f"\n{line(about)}")
    if output is not None:
        from benchmarks.plots import plot_steps

        output.mkdir(parents=True, exist_ok=True)
        kept = {"machine": about, "cells": cells}
        text = json.dumps(kept, indent=1, default=list) + "\n"
        (output / f"{function}.json").write_text(text, encoding="utf-8")
        plot_steps(kept, output / f"{function}.png")


if __name__ == "__main__":
    main()
