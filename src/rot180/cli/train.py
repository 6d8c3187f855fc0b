"""`rot180 train`."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from rot180.cli.options import as_json, emit_json, number_or_text

__all__ = ["train"]

_OPTIONS: dict[str, tuple[str, Any, str]] = {
    # option: (table.key, type, help)
    "--model": (
        "model.name",
        str,
        "lenet5, cnn, mnist3, vgg6, resnet20, package.module:function or file.py:function.",
    ),
    "--epochs": ("train.epochs", click.IntRange(1), "Passes over the training images."),
    "--batch-size": ("data.batch_size", click.IntRange(1), "Images per update."),
    "--lr": ("optim.lr", float, "Learning rate (the highest, with a schedule)."),
    "--optimizer": ("optim.name", str, "sgd, adam, adamw, rmsprop or adagrad."),
    "--momentum": ("optim.momentum", float, "Momentum (sgd, rmsprop)."),
    "--weight-decay": ("optim.weight_decay", float, "Weight decay."),
    "--schedule": ("schedule.name", str, "onecycle, cosine, step, plateau or none."),
    "--seed": ("train.seed", click.IntRange(0), "Of weights, order, augmentation and dropout."),
    "--data": ("data.root", str, "Folder in which a data set lies that is not embedded."),
    "--size": ("data.size", click.IntRange(1), "Scale the images to size x size."),
    "--clip-grad-norm": ("train.clip_grad_norm", float, "Largest norm of the gradient; 0: off."),
    "--accumulate-grad-batches": (
        "train.accumulate_grad_batches",
        click.IntRange(1),
        "Batches per update.",
    ),
    "--label-smoothing": ("train.label_smoothing", float, "Of the loss, from 0 to 1."),
    "--early-stop": (
        "train.early_stop",
        click.IntRange(0),
        "Epochs without a better loss; 0: off.",
    ),
    "--keep": ("train.keep", click.Choice(["last", "best"]), "Which weights to keep."),
    "--checkpoint-every": (
        "train.checkpoint_every",
        number_or_text,
        'Updates, or a time such as "30s".',
    ),
    "--threads": ("train.threads", click.IntRange(0), "Of the compiled step; 0: all processors."),
    "--overfit-batches": ("train.overfit_batches", click.IntRange(0), "Train on so many only."),
    "--limit-train-batches": (
        "train.limit_train_batches",
        number_or_text,
        "A number, or a share as 0.1.",
    ),
}
_FLAGS = {
    "--fast-dev-run": ("train.fast_dev_run", "One batch of everything, to find mistakes."),
    "--detect-anomaly": ("train.detect_anomaly", "Name the operation of the first NaN; slower."),
    "--eager": ("train.eager", "Run operation by operation instead of compiled; slower."),
}


def _with_options(command: Any) -> Any:
    for name, (_, text) in reversed(_FLAGS.items()):
        command = click.option(name, is_flag=True, default=None, help=text)(command)
    for name, (_, kind, text) in reversed(_OPTIONS.items()):
        command = click.option(name, type=kind, default=None, help=text)(command)
    return command


@contextlib.contextmanager
def _few_collections() -> Iterator[None]:
    """Look for garbage in cycles more seldom: a training makes none, and every look takes time."""
    before = gc.get_threshold()
    gc.set_threshold(20_000, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


@click.command()
@click.argument("dataset", required=False, metavar="[DATASET|FOLDER]")
@_with_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The new run folder.")
@click.option("--resume", type=click.Path(path_type=Path), help="Continue this run exactly.")
@click.option("--config", type=click.Path(path_type=Path), help="A TOML file of settings.")
@click.option("--set", "settings", multiple=True, help="A setting, such as optim.lr=0.01.")
@click.option("--quiet", is_flag=True, help="No progress.")
@as_json
@_few_collections()
def train(
    dataset: str | None,
    output: Path | None,
    resume: Path | None,
    config: Path | None,
    settings: tuple[str, ...],
    quiet: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on images and leave a run folder.

    DATASET is digits (embedded), mnist, fashion_mnist or cifar10; FOLDER holds one folder of
    pictures per class. What is not said is taken from the data set's recipe; --config, --set and
    the other options are laid over it in this order. The test images are shown after every epoch.
    """
    wishes = {name: value for name, value in options.items() if value is not None}
    if resume is not None:
        extra = list(wishes) + ["output"] * (output is not None)
        extra += ["config"] * (config is not None) + ["set"] * bool(settings)
        if dataset is not None or extra:
            given = f"--{extra[0].replace('_', '-')}" if extra else dataset
            raise click.UsageError(f"--resume continues a run as it is: {given} cannot be changed")
    elif dataset is None:
        raise click.UsageError("which data? try: rot180 train digits")

    from rot180.train import Reporter, RunFolder, TrainingInterrupted, settled_config, train_run

    reporter = Reporter("quiet" if quiet else "auto", sys.stderr if as_json else sys.stdout)
    if resume is not None:
        path, settled = resume, settled_config(RunFolder.open(resume))
    else:
        settled = _settle(str(dataset), config, settings, wishes)
        path = output or _new_path(settled)
    try:
        outcome = train_run(settled, path, reporter, resume=resume is not None)
    except TrainingInterrupted as stop:
        # here, since click would put an empty line before it
        click.echo(str(stop), err=True)
        click.get_current_context().exit(130)
    _show(outcome, settled, quiet, as_json)


def _settle(
    dataset: str, config: Path | None, settings: tuple[str, ...], wishes: dict[str, Any]
) -> dict[str, Any]:
    from rot180.data import DATASETS
    from rot180.train import merge, parse_setting, read_toml, recipe

    settled = recipe(dataset)
    if config is not None:
        settled = merge(settled, read_toml(config))
    for text in settings:
        settled = merge(settled, parse_setting(text))
    paths = {**{k: v[0] for k, v in _OPTIONS.items()}, **{k: v[0] for k, v in _FLAGS.items()}}
    for option, path in paths.items():
        value = wishes.get(option[2:].replace("-", "_"))
        if value is not None:
            table, _, key = path.partition(".")
            settled = merge(settled, {table: {key: value}})
    data = settled["data"]
    # absolute, so that the run can be resumed and measured from any folder
    if data["root"]:
        data["root"] = str(Path(data["root"]).resolve())
    if data["name"] not in DATASETS and Path(data["name"]).is_dir():
        data["name"] = str(Path(data["name"]).resolve())
    return settled


def _new_path(settled: dict[str, Any]) -> Path:
    from rot180.train import next_run_path

    model = settled["model"]["name"].rpartition(":")[2]
    return next_run_path(Path("runs"), f"{Path(settled['data']['name']).name}-{model}")


def _show(outcome: Any, settled: dict[str, Any], quiet: bool, as_json: bool) -> None:
    metrics, history = outcome.metrics, outcome.history
    if as_json:
        emit_json(
            {
                "run": str(outcome.run.path),
                "data": settled["data"]["name"],
                "model": settled["model"]["name"],
                "parameters": outcome.parameters,
                "epochs": len(history.epochs),
                "seconds": round(history.seconds, 3),
                **outcome.run.config.get("run", {}),
                "stopped": history.stopped,
                **{f"test_{name}": value for name, value in metrics.items()},
                "history": history.epochs,
                "missing": outcome.missing,
            }
        )
    elif not quiet:
        click.echo(
            f"test accuracy {100 * metrics['accuracy']:.2f} %  loss {metrics['loss']:.4f}  "
            f"{outcome.parameters:,} parameters  {history.seconds:.1f} s"
        )
        click.echo(f"run folder {outcome.run.path}: begin with report.html")
    if outcome.missing:
        click.echo(outcome.missing, err=True)
