"""LeNet-5 on MNIST, five epochs: `rot180 train mnist --model lenet5` beside PyTorch programs.

python -m benchmarks.mnist_lenet5 --root FOLDER [--epochs 5] [--seeds 0 1 2] [--output FOLDER]
"""

from __future__ import annotations

from benchmarks import pairs


def main(arguments: list[str] | None = None) -> None:
    pairs.main(__doc__ or "", "mnist", "lenet5", 5, [0, 1, 2], arguments)


if __name__ == "__main__":
    main()
