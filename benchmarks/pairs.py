"""`rot180 train` beside a PyTorch program that does the same: wall time and accuracy.

Each program is a process of its own; the time is that of the whole process, imports, reading the
data, testing and writing included. They run in turn.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.machine import describe, line

import rot180
from rot180.train import recipe

__all__ = ["main"]

SIDES = ("rot180", "PyTorch", "PyTorch compile")


def _command(side: str, root: Path, config: dict[str, Any], threads: int, run: Path) -> list[str]:
    if side == "rot180":
        settings = [
            f"--set={table}.{key}={json.dumps(value)}"
            for table, values in config.items()
            for key, value in values.items()
            if (table, key) not in (("data", "name"), ("data", "root"))
        ]
        name = config["data"]["name"]
        command = [sys.executable, "-m", "rot180", "train", name, "--data", str(root)]
        return [*command, "--output", str(run), "--quiet", "--json", *settings]
    command = [sys.executable, "-m", "benchmarks.torch_program", "--data", str(root)]
    command += ["--recipe", json.dumps(config), "--threads", str(threads)]
    return [*command, "--compiled"] if side == "PyTorch compile" else command


def _run(side: str, root: Path, config: dict[str, Any], threads: int) -> dict[str, Any]:
    """One training: accuracy, seconds of the process, seconds that it says it trained."""
    with tempfile.TemporaryDirectory() as folder:
        command = _command(side, root, config, threads, Path(folder) / "run")
        start = time.perf_counter()
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        wall = time.perf_counter() - start
    said = json.loads(done.stdout)
    return {
        "side": side,
        "seed": config["train"]["seed"],
        "seconds": wall,
        "training_seconds": said["seconds"],
        "accuracy": said["test_accuracy"],
    }


def _table(runs: list[dict[str, Any]], sides: list[str]) -> str:
    """Medians of seconds, means of accuracy, and both beside the fastest PyTorch program's."""

    def of(side: str, key: str) -> list[float]:
        return [run[key] for run in runs if run["side"] == side]

    walls = {side: statistics.median(of(side, "seconds")) for side in sides}
    best = min((side for side in sides if side != "rot180"), key=walls.__getitem__)
    rows = [
        f"| program | wall time | of {best}'s | training | test accuracy | single runs |",
        "| --- | --: | --: | --: | --: | --- |",
    ]
    for side in sides:
        accuracies = of(side, "accuracy")
        rows.append(
            f"| {side} | {walls[side]:.1f} s | {100 * walls[side] / walls[best]:.0f} % | "
            f"{statistics.median(of(side, 'training_seconds')):.1f} s | "
            f"{100 * statistics.fmean(accuracies):.2f} % | "
            f"{', '.join(f'{100 * a:.2f}' for a in accuracies)} |"
        )
    return "\n".join(rows)


def main(
    about: str, dataset: str, model: str, epochs: int, seeds: list[int], arguments: list[str] | None
) -> None:
    """Run all programs for all seeds.

    Args:
        about: what the file that calls says of itself.
        dataset: its name.
        model: its name.
        epochs: by default.
        seeds: by default.
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(
        description=about, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, required=True, help="where the data set lies")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--seeds", nargs="+", type=int, default=seeds)
    parser.add_argument("--sides", nargs="+", default=list(SIDES), choices=SIDES)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--output", type=Path, help="folder for the numbers")
    given = parser.parse_args(arguments)
    if "rot180" not in given.sides or len(given.sides) < 2:
        parser.error("--sides: rot180 and another")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    for module in (rot180.__file__, __file__):  # as pip does where it installs a package
        compileall.compile_dir(Path(module).parent, quiet=1)
    runs = []
    for seed in given.seeds:
        config = recipe(dataset)
        config["model"]["name"] = model
        config["train"] |= {"epochs": given.epochs, "seed": seed}
        for side in given.sides:
            runs.append(_run(side, given.root, config, given.threads))
            print(f"{side}, seed {seed}: {runs[-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    machine = describe(given.threads)
    print(f"{_table(runs, given.sides)}\n\n{dataset}, {model}, {given.epochs} epochs", end=", ")
    print(line(machine))
    if given.output is not None:
        given.output.mkdir(parents=True, exist_ok=True)
        kept = {"machine": machine, "epochs": given.epochs, "runs": runs}
        file = given.output / f"{dataset}_{model}.json"
        file.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
