"""Small classic networks for images, by one signature: f(in_channels, num_classes, input_size).

`input_size` is the number of rows and columns, or a pair (rows, columns); images of another size do
not fit afterwards, except for resnet20. All end in logits, for `CrossEntropyLoss`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import rot180.nn.functional as F
from rot180.nn.activation import ReLU
from rot180.nn.arguments import image_size
from rot180.nn.containers import Sequential
from rot180.nn.conv import Conv2d
from rot180.nn.dropout import Dropout
from rot180.nn.linear import Flatten, Identity, Linear
from rot180.nn.module import Module
from rot180.nn.norm import BatchNorm2d
from rot180.nn.pool import AdaptiveAvgPool2d, MaxPool2d
from rot180.window import Window

if TYPE_CHECKING:
    import numpy as np

    from rot180.core import ArrayLike, Tensor

__all__ = ["BasicBlock", "ResNet", "cnn", "lenet5", "mnist3", "resnet20", "vgg6"]

InputSize: TypeAlias = int | tuple[int, int]

_HALVE = Window.of((2, 2), stride=2)


def _halved(sizes: tuple[int, int], name: str) -> tuple[int, int]:
    rows, columns = _HALVE.output_size(sizes, op=name)
    return rows, columns


def lenet5(
    in_channels: int = 1,
    num_classes: int = 10,
    input_size: InputSize = 28,
    *,
    generator: np.random.Generator | None = None,
) -> Sequential:
    """LeNet-5 with ReLU and max pools: 6 and 16 filters of 5 × 5, then 120, 84 and the classes.

    LeCun, Bottou, Bengio and Haffner, 1998. For images from 12 × 12.

    Args:
        in_channels: channels of the images.
        num_classes: number of logits.
        input_size: rows and columns of the images.
        generator: where the first values come from; the default generator when not given.

    Raises:
        ShapeError: the images are too small; names the layer and the arithmetic.

    >>> sum(p.size for p in lenet5().parameters())
    61706
    """
    sizes = _halved(image_size("lenet5", input_size), "lenet5: first pool")
    inner = Window.of((5, 5)).output_size(sizes, op="lenet5: second convolution")
    rows, columns = _halved((inner[0], inner[1]), "lenet5: second pool")
    features = Sequential(
        Conv2d(in_channels, 6, 5, padding=2, generator=generator),
        ReLU(),
        MaxPool2d(2),
        Conv2d(6, 16, 5, generator=generator),
        ReLU(),
        MaxPool2d(2),
    )
    classifier = Sequential(
        Linear(16 * rows * columns, 120, generator=generator),
        ReLU(),
        Linear(120, 84, generator=generator),
        ReLU(),
        Linear(84, num_classes, generator=generator),
    )
    return Sequential({"features": features, "flatten": Flatten(), "classifier": classifier})


def cnn(
    in_channels: int = 1,
    num_classes: int = 10,
    input_size: InputSize = 28,
    *,
    generator: np.random.Generator | None = None,
) -> Sequential:
    """A small network for small images: two convolutions, pools down to at most 7 × 7, two layers.

    32 and 64 filters of 3 × 3, a max pool, more convolutions of 64 filters and pools while there
    are more than 7 rows or columns, then 128 hidden features; dropout of a quarter before both
    linear layers. For images from 2 × 2.

    Args:
        in_channels: channels of the images.
        num_classes: number of logits.
        input_size: rows and columns of the images.
        generator: where the first values come from; the default generator when not given.

    Raises:
        ShapeError: the images are too small.
    """
    sizes = _halved(image_size("cnn", input_size), "cnn: first pool")
    parts: list[Module] = [
        Conv2d(in_channels, 32, 3, padding=1, generator=generator),
        ReLU(),
        Conv2d(32, 64, 3, padding=1, generator=generator),
        ReLU(),
        MaxPool2d(2),
    ]
    while max(sizes) > 7 and min(sizes) > 1:
        parts += [Conv2d(64, 64, 3, padding=1, generator=generator), ReLU(), MaxPool2d(2)]
        sizes = _halved(sizes, "cnn: pool")
    classifier = Sequential(
        Dropout(0.25),
        Linear(64 * sizes[0] * sizes[1], 128, generator=generator),
        ReLU(),
        Dropout(0.25),
        Linear(128, num_classes, generator=generator),
    )
    features = Sequential(*parts)
    return Sequential({"features": features, "flatten": Flatten(), "classifier": classifier})


def mnist3(
    in_channels: int = 1,
    num_classes: int = 10,
    input_size: InputSize = 28,
    *,
    generator: np.random.Generator | None = None,
) -> Sequential:
    """Three convolutions of 3 × 3 with 16, 32 and 64 filters, each with ReLU and a max pool.

    Then 128, 64 and the classes: what introductions train on MNIST. For images from 8 × 8.

    Args:
        in_channels: channels of the images.
        num_classes: number of logits.
        input_size: rows and columns of the images.
        generator: where the first values come from; the default generator when not given.

    Raises:
        ShapeError: the images are too small; names the pool and the arithmetic.

    >>> mnist3().classifier[0].in_features
    576
    """
    sizes = image_size("mnist3", input_size)
    parts: list[Module] = []
    before = in_channels
    for number, filters in enumerate((16, 32, 64), start=1):
        parts += [
            Conv2d(before, filters, 3, padding=1, generator=generator),
            ReLU(),
            MaxPool2d(2),
        ]
        before = filters
        sizes = _halved(sizes, f"mnist3: pool {number}")
    classifier = Sequential(
        Linear(before * sizes[0] * sizes[1], 128, generator=generator),
        ReLU(),
        Linear(128, 64, generator=generator),
        ReLU(),
        Linear(64, num_classes, generator=generator),
    )
    features = Sequential(*parts)
    return Sequential({"features": features, "flatten": Flatten(), "classifier": classifier})


def vgg6(
    in_channels: int = 1,
    num_classes: int = 10,
    input_size: InputSize = 28,
    *,
    generator: np.random.Generator | None = None,
) -> Sequential:
    """Six convolutions of 3 × 3 with 32, 32, 64, 64, 128, 128 filters, a max pool after each pair.

    After Simonyan and Zisserman, 2015; starts from He's values. For images from 8 × 8.

    Args:
        in_channels: channels of the images.
        num_classes: number of logits.
        input_size: rows and columns of the images.
        generator: where the first values come from; the default generator when not given.

    Raises:
        ShapeError: the images are too small; names the pool and the arithmetic.
    """
    sizes = image_size("vgg6", input_size)
    parts: list[Module] = []
    before = in_channels
    for number, filters in enumerate((32, 64, 128), start=1):
        for _ in range(2):
            parts += [
                Conv2d(before, filters, 3, padding=1, init="he", generator=generator),
                ReLU(),
            ]
            before = filters
        parts.append(MaxPool2d(2))
        sizes = _halved(sizes, f"vgg6: pool {number}")
    classifier = Linear(before * sizes[0] * sizes[1], num_classes, generator=generator)
    features = Sequential(*parts)
    return Sequential({"features": features, "flatten": Flatten(), "classifier": classifier})


class BasicBlock(Module):
    """relu(bn(conv(relu(bn(conv(x))))) + shortcut(x)), the block of small residual networks.

    Args:
        in_channels: channels of x.
        filters: channels of the result.
        stride: of the first convolution; where it or the channels change the shape, the shortcut is
            a 1 × 1 convolution with batch norm.
        generator: where the first values come from; the default generator when not given.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        stride: int = 1,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.conv1 = Conv2d(
            in_channels,
            filters,
            3,
            stride=stride,
            padding=1,
            bias=False,
            init="he",
            generator=generator,
        )
        self.bn1 = BatchNorm2d(filters)
        self.conv2 = Conv2d(
            filters, filters, 3, padding=1, bias=False, init="he", generator=generator
        )
        self.bn2 = BatchNorm2d(filters)
        self.shortcut: Module = Identity()
        if stride != 1 or in_channels != filters:
            project = Conv2d(
                in_channels,
                filters,
                1,
                stride=stride,
                bias=False,
                init="he",
                generator=generator,
            )
            self.shortcut = Sequential(project, BatchNorm2d(filters))

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, in_channels, H, W) to (N, filters, H / stride, W / stride)."""
        inner = F.relu(self.bn1(self.conv1(input)))
        return F.relu(self.bn2(self.conv2(inner)) + self.shortcut(input))


class ResNet(Module):
    """A residual network for small images: three stages of 16, 32 and 64 filters.

    He, Zhang, Ren and Sun, 2016, section 4.2, with projections where the shape changes (option B).

    Args:
        blocks: blocks in each stage; the network has 6·blocks + 2 layers.
        in_channels: channels of the images.
        num_classes: number of logits.
        generator: where the first values come from; the default generator when not given.
    """

    def __init__(
        self,
        blocks: int,
        in_channels: int = 3,
        num_classes: int = 10,
        *,
        generator: np.random.Generator | None = None,
    ) -> None:
        self.conv1 = Conv2d(
            in_channels, 16, 3, padding=1, bias=False, init="he", generator=generator
        )
        self.bn1 = BatchNorm2d(16)
        stages = [
            Sequential(
                BasicBlock(before, filters, stride, generator=generator),
                *(BasicBlock(filters, filters, generator=generator) for _ in range(blocks - 1)),
            )
            for before, filters, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        ]
        self.layer1, self.layer2, self.layer3 = stages
        self.pool = AdaptiveAvgPool2d(1)
        self.flatten = Flatten()
        self.fc = Linear(64, num_classes, generator=generator)

    def forward(self, input: ArrayLike) -> Tensor:
        """(N, in_channels, H, W) to logits (N, num_classes)."""
        x = F.relu(self.bn1(self.conv1(input)))
        x = self.layer3(self.layer2(self.layer1(x)))
        logits: Tensor = self.fc(self.flatten(self.pool(x)))
        return logits


def resnet20(
    in_channels: int = 1,
    num_classes: int = 10,
    input_size: InputSize = 28,
    *,
    generator: np.random.Generator | None = None,
) -> ResNet:
    """The residual network with 20 layers for CIFAR-10, about 0.27 million parameters.

    Args:
        in_channels: channels of the images.
        num_classes: number of logits.
        input_size: rows and columns; checked, but the network takes images of any size.
        generator: where the first values come from; the default generator when not given.
    """
    image_size("resnet20", input_size)
    return ResNet(3, in_channels, num_classes, generator=generator)
