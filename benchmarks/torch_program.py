"""The training that `rot180 train` does, as a PyTorch user would write it to be fast on a CPU.

    python -m benchmarks.torch_program --data FOLDER --recipe JSON [--compiled]

All images in one tensor, channels last; batches are gathered by index, crops and mirror images
too; the fused optimiser; nothing is looked at within an epoch. After every epoch the test images,
as `rot180 train` does it. Prints a JSON object. The recipe is that of `rot180.train.recipe`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks.networks import twin

from rot180.data import ImageSet, load

__all__ = ["Images", "main", "train"]


class Images:
    """A data set in one tensor: pixels (N, H, W, C) with a border of zeros, labels (N,).

    Args:
        given: the images.
        padding: rows and columns of the border.
        mean, std: by channel, from 0 to 1.
    """

    def __init__(
        self, given: ImageSet, padding: int, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        pixels = torch.from_numpy(given.images).permute(0, 2, 3, 1)
        self.size = tuple(pixels.shape[1:3])
        self.labels = torch.from_numpy(given.labels).long()
        self._scale = 1 / (255 * torch.tensor(std))
        self._shift = -torch.tensor(mean) / torch.tensor(std)
        if padding:  # the border is black, as the images are before they are normalised
            self.pixels = torch.nn.functional.pad(pixels, (0, 0, *[padding] * 4)).contiguous()
        else:
            self.pixels = self._normal(pixels.contiguous())
        self.padding = padding

    def __len__(self) -> int:
        return len(self.labels)

    def _normal(self, pixels: torch.Tensor) -> torch.Tensor:
        return torch.addcmul(self._shift, pixels.float(), self._scale)

    def batch(self, chosen: torch.Tensor) -> torch.Tensor:
        """Some images as they are, (N, C, H, W) with channels last in memory."""
        return self.pixels[chosen].permute(0, 3, 1, 2)

    def augmented(self, chosen: torch.Tensor, flip: float) -> torch.Tensor:
        """Some images at random places within their border, some of them mirrored."""
        count, (height, width) = len(chosen), self.size
        top, left = torch.randint(0, 2 * self.padding + 1, (2, count, 1))
        rows, columns = top + torch.arange(height), torch.arange(width).repeat(count, 1)
        mirrored = torch.rand(count, 1) < flip
        columns = left + torch.where(mirrored, width - 1 - columns, columns)
        pixels = self.pixels[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        return self._normal(pixels).permute(0, 3, 1, 2)


def _optimizer(options: dict[str, Any], model: torch.nn.Module) -> Any:
    shared = {"lr": options["lr"], "weight_decay": options["weight_decay"], "fused": True}
    if options["name"] == "adamw":
        return torch.optim.AdamW(model.parameters(), **shared)
    if options["name"] == "sgd":
        more = {"momentum": options["momentum"], "nesterov": options["nesterov"]}
        return torch.optim.SGD(model.parameters(), **shared, **more)
    raise ValueError(f"no twin of the optimiser {options['name']!r} here")


def _he(model: torch.nn.Module) -> None:
    """Convolutions start from He's values, as in our residual networks."""
    for module in model.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")


def _refuse_others(recipe: dict[str, Any]) -> None:
    """Only what is done here as `rot180 train` does it may be asked for."""
    data, options = recipe["data"], recipe["train"]
    asked = {
        "rotate": data["rotate"],
        "size": data["size"],
        "flip without pad_crop": data["flip"] and not data["pad_crop"],
        "another schedule": recipe["schedule"]["name"] != "onecycle",
        "label_smoothing": options["label_smoothing"],
        "clip_grad_norm": options["clip_grad_norm"],
        "accumulate_grad_batches": options["accumulate_grad_batches"] != 1,
    }
    missing = [name for name, wanted in asked.items() if wanted]
    if missing:
        raise ValueError(f"the PyTorch program does not do: {', '.join(missing)}")


def train(root: Path, recipe: dict[str, Any], compiled: bool) -> dict[str, Any]:
    """Train and test.

    Args:
        root: where the data set lies.
        recipe: the tables of `rot180.train.recipe`.
        compiled: whether by `torch.compile`.
    """
    _refuse_others(recipe)
    data, options = recipe["data"], recipe["train"]
    started = time.perf_counter()
    torch.manual_seed(options["seed"])
    images = [load(data["name"], split, root=root) for split in ("train", "test")]
    mean, std = images[0].mean, images[0].std
    learned = Images(images[0], data["pad_crop"], mean, std)
    tested = Images(images[1], 0, mean, std)
    channels, size, _ = images[0].image_shape
    model = twin(recipe["model"]["name"], channels, len(images[0].classes), size)
    if recipe["model"]["name"] == "resnet20":
        _he(model)
    model = model.to(memory_format=torch.channels_last)
    optimizer = _optimizer(recipe["optim"], model)
    updates = -(-len(learned) // data["batch_size"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        recipe["optim"]["lr"],
        total_steps=options["epochs"] * updates,
        pct_start=recipe["schedule"]["warmup"],
    )
    cross_entropy = torch.nn.functional.cross_entropy

    def loss_of(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return cross_entropy(model(x), y)

    if compiled:
        loss_of = torch.compile(loss_of, dynamic=False)
    accuracies = []
    for _ in range(options["epochs"]):
        model.train()
        for chosen in torch.randperm(len(learned)).split(data["batch_size"]):
            random = data["pad_crop"] > 0
            x = learned.augmented(chosen, data["flip"]) if random else learned.batch(chosen)
            optimizer.zero_grad(set_to_none=True)
            loss_of(x, learned.labels[chosen]).backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.inference_mode():
            right = [
                model(tested.batch(chosen)).argmax(1) == tested.labels[chosen]
                for chosen in torch.arange(len(tested)).split(256)
            ]
        accuracies.append(torch.cat(right).float().mean().item())
    return {
        "test_accuracy": accuracies[-1],
        "accuracies": accuracies,
        "seconds": time.perf_counter() - started,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--recipe", type=json.loads, required=True)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(json.dumps(train(given.data, given.recipe, given.compiled)))


if __name__ == "__main__":
    main()
