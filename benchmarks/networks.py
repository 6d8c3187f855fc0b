"""The networks of `rot180.nn.models`, written in PyTorch with the same state-dict keys."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["INPUTS", "POOL", "SEQUENTIAL", "STAGES", "images", "twin"]

INPUTS = {"lenet5": (1, 28), "mnist3": (1, 28), "vgg6": (3, 32), "resnet20": (3, 32)}
"""Channels, and rows and columns, that each network is timed with."""

POOL = (0, 2, 0)

SEQUENTIAL: dict[str, tuple[tuple[tuple[int, int, int], ...], tuple[int, ...]]] = {
    "lenet5": (((6, 5, 2), POOL, (16, 5, 0), POOL), (120, 84)),
    "mnist3": (((16, 3, 1), POOL, (32, 3, 1), POOL, (64, 3, 1), POOL), (128, 64)),
    "vgg6": (
        (
            (32, 3, 1), (32, 3, 1), POOL,
            (64, 3, 1), (64, 3, 1), POOL,
            (128, 3, 1), (128, 3, 1), POOL,
        ),
        (),
    ),
}  # fmt: skip
"""Convolutions (filters, kernel, padding), each with a ReLU, and pools; then hidden features."""

STAGES = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
"""Of the residual network: channels before, filters, stride of the first of three blocks."""


def images(name: str, batch: int) -> tuple[np.ndarray, np.ndarray]:
    """A batch for a network, always the same: images (N, C, H, W), labels below 10."""
    channels, size = INPUTS[name]
    rng = np.random.default_rng(0)
    x = rng.standard_normal((batch, channels, size, size)).astype(np.float32)
    return x, rng.integers(0, 10, batch)


def twin(name: str, channels: int = 1, classes: int = 10, size: int = 28) -> Any:
    """The network of the same name written in PyTorch, with the same keys."""
    from collections import OrderedDict

    from torch import nn as t

    if name == "resnet20":
        return _resnet20(channels, classes)
    convolutions, hidden = SEQUENTIAL[name]
    features: list[Any] = []
    for filters, kernel, padding in convolutions:
        if not filters:
            features.append(t.MaxPool2d(kernel))
            size //= kernel
            continue
        features += [t.Conv2d(channels, filters, kernel, padding=padding), t.ReLU()]
        channels, size = filters, size + 2 * padding - kernel + 1
    linear: list[Any] = []
    before = channels * size**2
    for width in hidden:
        linear += [t.Linear(before, width), t.ReLU()]
        before = width
    last = t.Linear(before, classes)
    classifier = t.Sequential(*linear, last) if linear else last
    parts = {"features": t.Sequential(*features), "flatten": t.Flatten(), "classifier": classifier}
    return t.Sequential(OrderedDict(parts))


def _resnet20(channels: int, classes: int) -> Any:
    from torch import nn as t
    from torch.nn.functional import relu

    class Block(t.Module):
        def __init__(self, before: int, filters: int, stride: int) -> None:
            super().__init__()
            self.conv1 = t.Conv2d(before, filters, 3, stride, 1, bias=False)
            self.bn1 = t.BatchNorm2d(filters)
            self.conv2 = t.Conv2d(filters, filters, 3, 1, 1, bias=False)
            self.bn2 = t.BatchNorm2d(filters)
            project = t.Conv2d(before, filters, 1, stride, bias=False)
            changed = stride != 1 or before != filters
            self.shortcut = (
                t.Sequential(project, t.BatchNorm2d(filters)) if changed else t.Identity()
            )

        def forward(self, x: Any) -> Any:
            inner = relu(self.bn1(self.conv1(x)))
            return relu(self.bn2(self.conv2(inner)) + self.shortcut(x))

    class ResNet(t.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = t.Conv2d(channels, 16, 3, 1, 1, bias=False)
            self.bn1 = t.BatchNorm2d(16)
            self.layer1, self.layer2, self.layer3 = (
                t.Sequential(Block(a, b, s), Block(b, b, 1), Block(b, b, 1)) for a, b, s in STAGES
            )
            self.fc = t.Linear(64, classes)

        def forward(self, x: Any) -> Any:
            x = relu(self.bn1(self.conv1(x)))
            return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))

    return ResNet()
