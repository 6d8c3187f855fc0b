"""A whole experiment from its config: data, model, training, run folder; and its use afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import rot180.data as datasets
from rot180.core import manual_seed
from rot180.errors import ArgumentError, DataError
from rot180.interop import load_model
from rot180.nn import summary
from rot180.ops import cross_entropy
from rot180.train.assemble import (
    augmentation,
    describe_input,
    load_images,
    make_optimizer,
    make_schedule,
    model_for,
)
from rot180.train.evaluation import judge, predict, probabilities
from rot180.train.fit import fit
from rot180.train.metrics import ConfusionMatrix
from rot180.train.recipes import merge, recipe
from rot180.train.report import write_report
from rot180.train.run import RunFolder
from rot180.train.settings import Settings
from rot180.train.step import how_it_runs, with_threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rot180.nn import Module
    from rot180.train.progress import Reporter
    from rot180.train.recipes import Config
    from rot180.train.settings import History

__all__ = [
    "Outcome",
    "evaluate_run",
    "predict_images",
    "run_example",
    "settled_config",
    "train_run",
]


@dataclass(frozen=True)
class Outcome:
    """What a finished training has come to.

    Attributes:
        run: its folder.
        history: the numbers of the epochs.
        metrics: the numbers of the weights in `model.safetensors` on the test images.
        parameters: how many the model has.
        missing: "" or which extra the pictures would have needed.
    """

    run: RunFolder
    history: History
    metrics: dict[str, float]
    parameters: int
    missing: str


def train_run(config: Config, path: Path, reporter: Reporter, *, resume: bool = False) -> Outcome:
    """Train as the config says and leave a complete run folder.

    The test images serve as validation images: their numbers are shown after every epoch. Nothing
    is chosen by them, unless `train.keep` is "best" or `train.early_stop` is used.

    Args:
        config: all settings, see `recipes`.
        path: the new run folder, or the one to continue.
        reporter: told how it goes.
        resume: continue; a run that was killed before its first checkpoint begins anew.

    Raises:
        DataError, ArgumentError, ShapeError, NumericsError: as `fit`; data or a run folder that
            is not as it should be.
    """
    train, test = load_images(config, "train"), load_images(config, "test")
    if train.image_shape != test.image_shape or train.classes != test.classes:
        raise DataError(
            "training and test images differ in shape or classes",
            expected=f"{train.image_shape}, {len(train.classes)} classes",
            got=f"{test.image_shape}, {len(test.classes)} classes",
        )
    about = describe_input(train)
    manual_seed(config["train"]["seed"])
    model = model_for(config, about)
    options = config["train"]
    optimizer = make_optimizer(config["optim"], model)
    normalise = datasets.Normalize(about["mean"], about["std"])
    batches = datasets.DataLoader(
        train,
        batch_size=config["data"]["batch_size"],
        shuffle=True,
        generator=options["seed"],
        transform=datasets.Compose([*augmentation(config["data"]), normalise]),
    )
    checking = datasets.DataLoader(test, batch_size=256, transform=normalise)
    settings = {
        "epochs": options["epochs"],
        "clip_grad_norm": options["clip_grad_norm"] or None,
        "accumulate_grad_batches": options["accumulate_grad_batches"],
        "overfit_batches": options["overfit_batches"],
        "limit_train_batches": options["limit_train_batches"] or None,
        "fast_dev_run": options["fast_dev_run"],
        "keep": options["keep"],
        "checkpoint_every": options["checkpoint_every"] or None,
        "log_every_n_steps": options["log_every_n_steps"],
        "detect_anomaly": options["detect_anomaly"],
        "schedule_interval": "batch" if config["schedule"]["name"] == "cosine" else None,
        "eager": options["eager"],
    }
    # Made before the run folder, so that a wrong setting leaves none behind.
    schedule = make_schedule(config, optimizer, len(batches))
    threads = options["threads"]
    if resume:
        run = RunFolder.open(path)
        resume = run.checkpoints.any()
        run.rewind_log(run.sync_log() if resume else 0)
        # as many as in the first part, for the same bits
        threads = threads or run.config.get("run", {}).get("threads", 0)
    else:
        with with_threads(threads):
            how = how_it_runs(Settings(**settings), optimizer)
        run = RunFolder.create(path, {**config, "input": about, "run": how})
    smoothing = options["label_smoothing"]
    with with_threads(threads):
        history = fit(
            model,
            batches,
            checking,
            loss=partial(cross_entropy, label_smoothing=smoothing) if smoothing else cross_entropy,
            optimizer=optimizer,
            schedule=schedule,
            early_stop=options["early_stop"] or None,
            run_folder=run,
            resume=resume,
            progress=reporter,
            **settings,
        )
        load_model(model, run.model_path)
        metrics, scores, labels = judge(model, checking, eager=options["eager"])
    name = config["data"]["name"]
    missing = write_report(
        run,
        scores,
        labels,
        test.images,
        test.classes,
        summary=str(summary(model, train.image_shape)),
        attribution=datasets.DATASETS[name].attribution if name in datasets.DATASETS else "",
    )
    parameters = sum(parameter.size for parameter in model.parameters())
    return Outcome(run, history, metrics, parameters, missing)


def settled_config(run: RunFolder) -> Config:
    """The config of a run made by `train_run`, every setting present and of its type.

    Raises:
        DataError: of another kind of run, or not as it should be.
    """
    try:
        return merge(recipe(str(run.config["data"]["name"])), run.config)
    except (KeyError, TypeError, ArgumentError) as error:
        raise DataError(
            f"{run.path}: config.toml is not that of a run made by rot180 train", got=str(error)
        ) from error


def _trained(run: RunFolder) -> tuple[Module, dict[str, Any]]:
    """The model of a run with its weights, and the table `input`."""
    config, about = settled_config(run), run.config.get("input")
    keys = ("channels", "rows", "columns", "mean", "std", "classes")
    if not isinstance(about, dict) or not all(key in about for key in keys):
        raise DataError(
            f"{run.path}: its config.toml does not describe the model's input",
            expected=f"a table input with {', '.join(keys)}",
        )
    model = model_for(config, about)
    load_model(model, run.model_path)
    return model, about


def _with_images(
    run: RunFolder, name: str | None, root: str | None, split: str
) -> tuple[Module, dict[str, Any], datasets.ImageSet]:
    """The model of a run, the table `input`, and images that fit it."""
    model, about = _trained(run)
    options = settled_config(run)["data"]
    options["name"] = name or options["name"]
    options["root"] = options["root"] if root is None else root
    if options["name"] not in datasets.DATASETS and not options["size"]:
        options["size"] = (about["rows"], about["columns"])
    images = load_images({"data": options}, split)
    shape = (about["channels"], about["rows"], about["columns"])
    if images.image_shape != shape or len(images.classes) != len(about["classes"]):
        raise DataError(
            f"{images.name} does not fit the model of {run.path}",
            expected=f"images {shape}, {len(about['classes'])} classes",
            got=f"{images.image_shape}, {len(images.classes)} classes",
        )
    return model, about, images


def run_example(
    path: Path, number: int, *, root: str | None = None, split: str = "test"
) -> tuple[Module, Any, int, dict[str, Any]]:
    """One image as the model of a run sees it.

    Args:
        path: the run folder.
        number: which image of the split, counted from 0.
        root: where the data lies; None: where it lay.
        split: "test", "train" or "all".

    Returns:
        The model, the normalised image (C, rows, columns), its class, and the table `input`.

    Raises:
        DataError: no run folder, damaged weights, data that is not there, or no such image.
    """
    model, about, images = _with_images(RunFolder.open(path), None, root, split)
    if not 0 <= number < len(images):
        raise DataError(
            f"no image {number} in {images.name}",
            expected=f"0 to {len(images) - 1}",
            got=str(number),
        )
    normalise = datasets.Normalize(about["mean"], about["std"])
    image = normalise(images.images[number][np.newaxis])[0]
    return model, image, int(images.labels[number]), about


def evaluate_run(
    path: Path,
    *,
    name: str | None = None,
    root: str | None = None,
    split: str = "test",
    eager: bool = False,
) -> dict[str, Any]:
    """A run's model on its test images, or on other data with the same classes.

    Args:
        path: the run folder.
        name: another data set or folder; None: the one it was trained on.
        root: where the data lies; None: where it lay.
        split: "test", "train" or "all".
        eager: run operation by operation; a run that was trained so is measured so.

    Returns:
        "loss", "accuracy", "top5_accuracy", "images", "classes" (name to share recognised) and
        "confusion" (rows are true classes).

    Raises:
        DataError: no run folder, damaged weights, data that is not there or of other classes.
    """
    run = RunFolder.open(path)
    model, about, images = _with_images(run, name, root, split)
    eager = eager or settled_config(run)["train"]["eager"]
    normalise = datasets.Normalize(about["mean"], about["std"])
    batches = datasets.DataLoader(images, batch_size=256, transform=normalise)
    metrics, scores, labels = judge(model, batches, eager=eager)
    matrix = ConfusionMatrix(len(about["classes"]))
    matrix.update(scores.argmax(axis=1), labels)
    return {
        **metrics,
        "images": len(images),
        "data": images.name,
        "classes": dict(zip(about["classes"], matrix.recall().tolist(), strict=True)),
        "confusion": matrix.counts.tolist(),
    }


def predict_images(
    path: Path, files: Sequence[Path], *, invert: bool = False
) -> list[dict[str, Any]]:
    """What a run's model sees in pictures.

    Args:
        path: the run folder.
        files: pictures of any kind and size that Pillow reads; they are scaled to the model's.
        invert: swap light and dark first (dark ink on white paper for a model of MNIST).

    Returns:
        Per picture "file", "class", "probability" and "probabilities" (class to share).

    Raises:
        MissingExtraError: Pillow is not installed.
        DataError: no run folder, or a picture that cannot be read.
    """
    model, about = _trained(RunFolder.open(path))
    normalise = datasets.Normalize(about["mean"], about["std"])
    size = (about["rows"], about["columns"])
    results = []
    for file in files:
        image = datasets.read_image(file, about["channels"], size)
        if invert:
            image = 255 - image
        x = normalise(image[np.newaxis])
        # a few pictures are through before anything is compiled
        scores, _ = predict(model, [(x, np.zeros(1, np.int64))], eager=True)
        shares = probabilities(scores[0].astype(np.float64))
        results.append(
            {
                "file": str(file),
                "class": about["classes"][int(np.argmax(shares))],
                "probability": float(np.max(shares)),
                "probabilities": dict(zip(about["classes"], shares.tolist(), strict=True)),
            }
        )
    return results
