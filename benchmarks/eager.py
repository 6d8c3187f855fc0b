"""A training step, rot180 eager beside PyTorch eager: the same work, in turn.

    python -m benchmarks.eager [--networks lenet5 vgg6 resnet20] [--batch 64] [--rounds 15]

Prints the median time of each, and of the ratio of neighbouring rounds the median and the range.
Needs PyTorch (extra `bench`).
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

import numpy as np
import torch
from benchmarks.networks import INPUTS, twin

import rot180 as rt
import rot180.nn.functional as F
from rot180 import nn, optim

Step = Callable[[], None]

FORMATS = {"torch": torch.contiguous_format, "torch channels_last": torch.channels_last}


def our_step(name: str, x: np.ndarray, y: np.ndarray) -> Step:
    channels, size = INPUTS[name]
    rt.manual_seed(0)
    model = getattr(nn.models, name)(in_channels=channels, num_classes=10, input_size=size)
    optimizer = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def their_step(name: str, x: np.ndarray, y: np.ndarray, memory: torch.memory_format) -> Step:
    channels, size = INPUTS[name]
    model = twin(name, channels, 10, size).to(memory_format=memory)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    inputs, targets = torch.tensor(x).to(memory_format=memory), torch.tensor(y)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs), targets).backward()
        optimizer.step()

    return step


def serve(side: str, name: str, batch: int, pipe: Connection) -> None:
    """One side in a process of its own: for each number that comes, the median of so many steps."""
    channels, size = INPUTS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels, size, size)).astype(np.float32)
    y = rng.integers(0, 10, batch)
    step = our_step(name, x, y) if side == "rot180" else their_step(name, x, y, FORMATS[side])
    while repeats := pipe.recv():
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        pipe.send(statistics.median(times))


def compare(name: str, batch: int, rounds: int) -> None:
    """Both sides in turn, each in its own process: idle threads of one must not slow the other."""
    pipes, workers = {}, []
    for side in ("rot180", *FORMATS):
        pipes[side], theirs = multiprocessing.Pipe()
        workers.append(multiprocessing.Process(target=serve, args=(side, name, batch, theirs)))
        workers[-1].start()

    def seconds(side: str, repeats: int) -> float:
        pipes[side].send(repeats)
        return float(pipes[side].recv())

    for side in pipes:
        seconds(side, 3)
    repeats = max(1, round(0.3 / max(seconds(side, 2) for side in pipes)))
    times: dict[str, list[float]] = {side: [] for side in pipes}
    for _ in range(rounds):
        for side, found in times.items():
            found.append(seconds(side, repeats))
    for side, found in times.items():
        ratios = sorted(a / b for a, b in zip(times["rot180"], found, strict=True))
        print(
            f"{name:9} batch {batch:4}  {side:20} {statistics.median(found) * 1e3:9.2f} ms   "
            f"rot180 takes {statistics.median(ratios):5.2f} × ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )
    for side, worker in zip(pipes, workers, strict=True):
        pipes[side].send(0)
        worker.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    multiprocessing.set_start_method("spawn")
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in options.networks:
        compare(name, options.batch, options.rounds)


if __name__ == "__main__":
    main()
