"""ResNet-20 on CIFAR-10, 30 epochs: `rot180 train cifar10` beside PyTorch programs.

One cycle, random crops and mirror images in both, from He's values.

    python -m benchmarks.cifar_resnet20 --root FOLDER [--epochs 30] [--seeds 0 1] [--output FOLDER]
"""

from __future__ import annotations

from benchmarks import pairs


def main(arguments: list[str] | None = None) -> None:
    pairs.main(__doc__ or "", "cifar10", "resnet20", 30, [0, 1], arguments)


if __name__ == "__main__":
    main()
