"""A training step, rot180 eager beside PyTorch eager: same work, alternating, one process.

    python -m benchmarks.eager [--networks lenet5 vgg6 resnet20] [--batch 64] [--rounds 15]

Prints the median time of each, and of the ratio of neighbouring rounds the median and the range.
Needs PyTorch (extra `bench`).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from benchmarks.networks import INPUTS, twin

import rot180 as rt
import rot180.nn.functional as F
from rot180 import nn, optim

Step = Callable[[], None]


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


def seconds(step: Step, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        step()
    return (time.perf_counter() - start) / repeats


def compare(name: str, batch: int, rounds: int) -> None:
    channels, size = INPUTS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels, size, size)).astype(np.float32)
    y = rng.integers(0, 10, batch)
    steps = {
        "rot180": our_step(name, x, y),
        "torch": their_step(name, x, y, torch.contiguous_format),
        "torch channels_last": their_step(name, x, y, torch.channels_last),
    }
    repeats = max(1, round(0.2 / max(seconds(step, 2) for step in steps.values())))
    times: dict[str, list[float]] = {key: [] for key in steps}
    for _ in range(rounds):
        for key, step in steps.items():
            times[key].append(seconds(step, repeats))
    ours = times["rot180"]
    for key, theirs in times.items():
        ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
        print(
            f"{name:9} batch {batch:4}  {key:20} {statistics.median(theirs) * 1e3:9.2f} ms   "
            f"rot180 takes {statistics.median(ratios):5.2f} × ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--networks", nargs="+", default=list(INPUTS), choices=list(INPUTS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print(f"NumPy {np.__version__}, PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for name in options.networks:
        compare(name, options.batch, options.rounds)


if __name__ == "__main__":
    main()
