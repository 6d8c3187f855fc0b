"""The same training twice: do our loss curves follow PyTorch's?

Same initial weights (copied by name), same batches, SGD with momentum 0.9, on the embedded digits
enlarged to each network's input. Prints the largest relative difference of the losses.

float64 shows that the formulas are the same. In float32 two correct programs drift apart: sooner
or later one rounding decides a ReLU or a max pool the other way, which moves a gradient by a whole
cell's share (for resnet20 by almost 1 % at the very first step), and training multiplies that. So
do PyTorch's own two convolutions on a CPU, with oneDNN and without: `--control` prints by how much.
The learning rates are what keeps that multiplication small over 200 steps, in each precision.

    python -m benchmarks.loss_curves [--nets lenet5 vgg6 resnet20] [--steps 200] [--control]
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.networks import twin

from rot180 import nn, optim
from rot180 import ops as F
from rot180.core import tensor
from rot180.data import digits
from rot180.nn import models

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["NETS", "TOLERANCE", "Comparison", "compare"]

TOLERANCE = {"float64": 1e-9, "float32": 1e-3}
"""Largest relative difference of losses over 200 steps that the project promises."""


@dataclass(frozen=True)
class Net:
    """A network, and how it is trained here.

    Attributes:
        make: our factory.
        size: rows and columns of its input.
        lr: learning rate for each data type.
    """

    make: Callable[..., nn.Module]
    size: int
    lr: dict[str, float]


NETS = {
    "lenet5": Net(models.lenet5, 28, {"float64": 1e-2, "float32": 1e-2}),
    "vgg6": Net(models.vgg6, 32, {"float64": 1e-2, "float32": 1e-4}),
    "resnet20": Net(models.resnet20, 32, {"float64": 3e-3, "float32": 1e-5}),
}

MOMENTUM = 0.9


@dataclass(frozen=True)
class Comparison:
    """Two loss curves, and the seconds that each side took.

    Attributes:
        control: PyTorch's curve without oneDNN, where it was asked for.
    """

    ours: np.ndarray
    theirs: np.ndarray
    control: np.ndarray | None
    seconds: tuple[float, float]

    @property
    def difference(self) -> float:
        """The largest relative difference of our losses from PyTorch's."""
        return _relative(self.ours, self.theirs)

    @property
    def control_difference(self) -> float:
        """The largest relative difference of PyTorch's losses from PyTorch's."""
        return _relative(self.theirs if self.control is None else self.control, self.theirs)


def _relative(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.max(np.abs(a - b) / np.abs(b)))


def batches(
    size: int, batch: int, steps: int, dtype: str, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Digits enlarged bilinearly, from 0 to 1, in an order that depends on the seed only."""
    train = digits("train")
    images = F.interpolate(train.images / 255.0, size=(size, size), mode="bilinear").numpy()
    order = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = order.choice(len(train), batch, replace=False)
        yield images[chosen].astype(dtype), train.labels[chosen]


def train_ours(
    model: nn.Module, lr: float, data: Iterator[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    optimizer = optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM)
    losses = []
    for x, y in data:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(tensor(x)), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses, np.float64)


def train_theirs(
    model: Any, lr: float, data: Iterator[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    import torch

    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM)
    losses = []
    for x, y in data:
        optimizer.zero_grad()
        logits = model(torch.from_numpy(x))
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return np.array(losses, np.float64)


def compare(
    name: str,
    dtype: str = "float64",
    steps: int = 200,
    batch: int = 8,
    size: int | None = None,
    lr: float | None = None,
    control: bool = False,
) -> Comparison:
    """Train both sides and return their curves.

    Args:
        name: a key of `NETS`.
        dtype: "float64" or "float32".
        steps: batches to train on.
        batch: images in a batch.
        size: rows and columns, the network's own by default.
        lr: learning rate, the one of `NETS` by default.
        control: whether to train PyTorch's network without oneDNN, too.
    """
    import torch

    net = NETS[name]
    rows, rate = size or net.size, lr or net.lr[dtype]
    ours = net.make(1, 10, rows, generator=np.random.default_rng(1))
    ours = ours.double() if dtype == "float64" else ours
    weights = {k: torch.from_numpy(v.numpy().copy()) for k, v in ours.state_dict().items()}

    def theirs(onednn: bool) -> np.ndarray:
        model = twin(name, size=rows).to(getattr(torch, dtype))
        model.load_state_dict(weights)
        data = batches(rows, batch, steps, dtype)
        if onednn:
            return train_theirs(model, rate, data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a setting that is not touched here
            with torch.backends.mkldnn.flags(enabled=False):
                return train_theirs(model, rate, data)

    start = time.perf_counter()
    our_losses = train_ours(ours, rate, batches(rows, batch, steps, dtype))
    middle = time.perf_counter()
    their_losses = theirs(True)
    end = time.perf_counter()
    again = theirs(False) if control else None
    return Comparison(our_losses, their_losses, again, (middle - start, end - middle))


HEAD = f"{'net':10}{'type':8}{'lr':>7}{'steps':>7}{'difference':>12}{'bound':>8}{'control':>10}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--nets", nargs="+", default=list(NETS), choices=list(NETS))
    parser.add_argument("--dtypes", nargs="+", default=list(TOLERANCE), choices=list(TOLERANCE))
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--size", type=int, help="rows and columns, instead of the network's own")
    parser.add_argument("--lr", type=float, help="learning rate, instead of the network's own")
    parser.add_argument("--control", action="store_true", help="PyTorch against PyTorch, too")
    given = parser.parse_args()
    print(f"{HEAD}{'loss':>18}{'seconds':>16}")
    for name in given.nets:
        for dtype in given.dtypes:
            rate = given.lr or NETS[name].lr[dtype]
            c = compare(
                name, dtype, given.steps, given.batch, given.size, rate, control=given.control
            )
            cells = [
                f"{name:10}{dtype:8}{rate:7.0e}{given.steps:7}{c.difference:12.1e}",
                f"{TOLERANCE[dtype]:8.0e}",
                f"{c.control_difference:10.1e}" if given.control else f"{'':10}",
                f"{c.theirs[0]:9.3f} to {c.theirs[-1]:.3f}",
                f"{c.seconds[0]:7.1f} to {c.seconds[1]:5.1f}",
            ]
            print("".join(cells), flush=True)


if __name__ == "__main__":
    main()
