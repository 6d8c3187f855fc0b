"""The parts of an experiment, each made from its table of the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import rot180.data as datasets
from rot180.errors import ArgumentError, DataError
from rot180.optim import (
    SGD,
    Adagrad,
    Adam,
    AdamW,
    CosineAnnealingLR,
    LinearWarmup,
    OneCycleLR,
    ReduceLROnPlateau,
    RMSprop,
    SequentialLR,
    StepLR,
)
from rot180.train.models import build_model

if TYPE_CHECKING:
    from rot180.nn import Module
    from rot180.train.recipes import Config

__all__ = [
    "augmentation",
    "describe_input",
    "load_images",
    "make_optimizer",
    "make_schedule",
    "model_for",
]


def make_optimizer(options: dict[str, Any], model: Module) -> Any:
    """The optimiser that the table `optim` names.

    Raises:
        ArgumentError: an unknown one, or a setting outside its values.
    """
    rate, decay, momentum = options["lr"], options["weight_decay"], options["momentum"]
    parameters = model.parameters()
    name = options["name"]
    if name == "sgd":
        nesterov = options["nesterov"] and momentum > 0
        return SGD(parameters, lr=rate, momentum=momentum, weight_decay=decay, nesterov=nesterov)
    if name == "rmsprop":
        return RMSprop(parameters, lr=rate, weight_decay=decay, momentum=momentum)
    kinds = {"adam": Adam, "adamw": AdamW, "adagrad": Adagrad}
    if name not in kinds:
        raise ArgumentError(
            f"unknown optimiser {name!r}", expected=", ".join(["sgd", "rmsprop", *kinds])
        )
    return kinds[name](parameters, lr=rate, weight_decay=decay)


def make_schedule(config: Config, optimizer: Any, batches: int) -> Any:
    """The schedule that the table `schedule` names, for so many batches per epoch, or None.

    Raises:
        ArgumentError: an unknown one.
    """
    options, train = config["schedule"], config["train"]
    epochs = train["epochs"]
    if train["overfit_batches"]:
        batches = min(batches, train["overfit_batches"])
    updates = -(-batches // train["accumulate_grad_batches"])
    total, name = epochs * updates, options["name"]
    if name == "none":
        return None
    if name == "onecycle":
        rate = config["optim"]["lr"]
        momentum = bool({"betas", "momentum"} & optimizer.param_groups[0].keys())
        return OneCycleLR(
            optimizer,
            rate,
            total_steps=total,
            pct_start=options["warmup"],
            cycle_momentum=momentum,
        )
    if name == "cosine":
        rising = round(options["warmup"] * total)
        if not 0 < rising < total:
            return CosineAnnealingLR(optimizer, total)
        parts = [LinearWarmup(optimizer, rising), CosineAnnealingLR(optimizer, total - rising)]
        return SequentialLR(optimizer, parts, [rising])
    if name == "step":
        return StepLR(optimizer, options["step_size"], options["gamma"])
    if name == "plateau":
        return ReduceLROnPlateau(optimizer, factor=options["gamma"])
    raise ArgumentError(
        f"unknown schedule {name!r}", expected="onecycle, cosine, step, plateau or none"
    )


def augmentation(options: dict[str, Any]) -> list[Any]:
    """The random transforms that the table `data` asks for, in their order."""
    steps: list[Any] = []
    if options["rotate"]:
        steps.append(datasets.Rotate(options["rotate"]))
    if options["pad_crop"]:
        steps.append(datasets.PadCrop(options["pad_crop"]))
    if options["flip"]:
        steps.append(datasets.HorizontalFlip(options["flip"]))
    return steps


def load_images(config: Config, split: str) -> datasets.ImageSet:
    """The images of one split that the table `data` names.

    Raises:
        DataError: not there, damaged or empty.
        ArgumentError: neither a data set nor a folder.
    """
    options = config["data"]
    name, root, size = options["name"], options["root"] or None, options["size"] or None
    if name in datasets.DATASETS and size is not None:
        found = datasets.load(name, split, root=root)
        scaled = datasets.Resize(size)(found.images)
        found = datasets.ImageSet(scaled, found.labels, found.classes, found.name)
    else:
        found = datasets.load(name, split, root=root, size=size)
    if not len(found):
        raise DataError(f"{options['name']}: no images in the split {split!r}")
    return found


def describe_input(images: datasets.ImageSet) -> dict[str, Any]:
    """The table `input` of the config: all that a later program needs to feed the model."""
    channels, rows, columns = images.image_shape
    return {
        "channels": channels,
        "rows": rows,
        "columns": columns,
        "mean": list(images.mean),
        "std": [deviation or 1.0 for deviation in images.std],
        "classes": list(images.classes),
    }


def model_for(config: Config, about: dict[str, Any]) -> Module:
    """The model that the table `model` names, for the images that the table `input` describes."""
    rows, columns = about["rows"], about["columns"]
    size = rows if rows == columns else (rows, columns)
    return build_model(config["model"]["name"], about["channels"], len(about["classes"]), size)
