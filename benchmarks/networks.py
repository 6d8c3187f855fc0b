"""The networks of `rot180.nn.models`, written in PyTorch with the same state-dict keys."""

from __future__ import annotations

from typing import Any

__all__ = ["INPUTS", "twin"]

INPUTS = {"lenet5": (1, 28), "vgg6": (3, 32), "resnet20": (3, 32)}
"""Channels, and rows and columns, that each network is timed with."""


def twin(name: str, channels: int = 1, classes: int = 10, size: int = 28) -> Any:
    """The network of the same name written in PyTorch, with the same keys."""
    from collections import OrderedDict

    from torch import nn as t

    if name == "resnet20":
        return _resnet20(channels, classes)
    if name == "lenet5":
        inside = (size // 2 - 4) // 2
        features = [
            t.Conv2d(channels, 6, 5, padding=2), t.ReLU(), t.MaxPool2d(2),
            t.Conv2d(6, 16, 5), t.ReLU(), t.MaxPool2d(2),
        ]  # fmt: skip
        classifier = t.Sequential(
            t.Linear(16 * inside**2, 120), t.ReLU(), t.Linear(120, 84), t.ReLU(),
            t.Linear(84, classes),
        )  # fmt: skip
    else:
        features, before = [], channels
        for filters in (32, 64, 128):
            for _ in range(2):
                features += [t.Conv2d(before, filters, 3, padding=1), t.ReLU()]
                before = filters
            features.append(t.MaxPool2d(2))
        classifier = t.Linear(before * (size // 8) ** 2, classes)
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
            shapes = ((16, 16, 1), (16, 32, 2), (32, 64, 2))
            self.layer1, self.layer2, self.layer3 = (
                t.Sequential(Block(a, b, s), Block(b, b, 1), Block(b, b, 1)) for a, b, s in shapes
            )
            self.fc = t.Linear(64, classes)

        def forward(self, x: Any) -> Any:
            x = relu(self.bn1(self.conv1(x)))
            return self.fc(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))

    return ResNet()
