"""`fit` and `Trainer`: two spellings of one training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.data import DataLoader
from rot180.errors import ArgumentError
from rot180.ops import cross_entropy
from rot180.optim import Adam
from rot180.train.callbacks import Callback, EarlyStop
from rot180.train.evaluation import evaluate, predict
from rot180.train.loop import Loop
from rot180.train.progress import Reporter
from rot180.train.run import RunFolder
from rot180.train.settings import History, Settings
from rot180.train.step import how_it_runs

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from rot180.nn import Module
    from rot180.train.evaluation import Batches, Loss

__all__ = ["Trainer", "fit"]


def fit(
    model: Module,
    train: Any,
    val: Any = None,
    *,
    loss: Loss = cross_entropy,
    optimizer: Any = None,
    schedule: Any = None,
    epochs: int = 10,
    batch_size: int = 32,
    validation_split: float = 0.0,
    callbacks: Sequence[Callback] = (),
    early_stop: EarlyStop | int | None = None,
    run_folder: RunFolder | Path | str | None = None,
    resume: bool = False,
    progress: Reporter | str = "auto",
    **settings: Any,
) -> History:
    """Train a model.

    Args:
        model: trained in place.
        train: a `DataLoader` (or anything that gives batches (x, y) again and again and has a
            length), an `ImageSet`, or a pair of arrays (images (N, ...), labels (N,)).
        val: the same for validation after each epoch; None: no validation.
        loss: (output, y) to a scalar, the mean over the batch.
        optimizer: an optimiser of the model's parameters, or a function of the parameters that
            makes one; None: Adam with its defaults.
        schedule: a learning-rate schedule, or a function of the optimiser that makes one.
        epochs: passes over the training data.
        batch_size: for an `ImageSet` or a pair of arrays.
        validation_split: the share of such training data that is set aside for validation.
        callbacks: `Callback`s, called in this order.
        early_stop: an `EarlyStop`, or the epochs that `val_loss` may go without improvement.
        run_folder: where metrics, weights and checkpoints go; None: nothing is written.
        resume: continue from the newest checkpoint of `run_folder`, with the same bits as a
            training that was never interrupted.
        progress: "auto", "bar", "lines", "quiet", or a `Reporter`.
        **settings: the fields of `Settings`: clip_grad_norm and clip_grad_value (in this order
            after accumulation, value before norm); accumulate_grad_batches (batches per update,
            whose gradients are averaged); fast_dev_run (one batch of everything, to find
            mistakes); overfit_batches (train on the first so many batches only);
            limit_train_batches and limit_val_batches (a number or a share); log_every_n_steps;
            log_grad_norms (per parameter, in metrics.jsonl); detect_anomaly (name the operation
            of the first NaN, slower); checkpoint_every (updates, or a time such as "30s", beside
            every epoch); keep ("last" or "best": which weights model.safetensors holds);
            schedule_interval ("batch" or "epoch", when None what suits the schedule); eager
            (run every step operation by operation; otherwise it is compiled, except for what a
            compiled step cannot do, which is said: accumulate_grad_batches above 1,
            detect_anomaly, an optimiser with a step of its own).

    Returns:
        The numbers of every epoch.

    Raises:
        NumericsError: the loss or the weights are no longer finite; says which batch and operation.
        ArgumentError: an argument outside its values.
        ShapeError: images that do not fit the model, with the arithmetic.
        TraceError: a model that cannot be compiled, since it looks at values; names the line.
        DataError: labels out of range, nothing to train on, a run folder that cannot be written.
        TrainingInterrupted: Ctrl-C with a run folder, after everything was saved.

    >>> from rot180 import nn
    >>> from rot180.data import digits
    >>> model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    >>> history = fit(model, digits("train"), digits("test"), epochs=2, progress="quiet")
    >>> history.epochs[-1]["val_accuracy"] > 0.5
    True
    """
    unknown = settings.keys() - Settings.__dataclass_fields__.keys()
    if unknown:
        raise ArgumentError(
            f"fit: no argument {sorted(unknown)[0]!r}",
            expected=", ".join(Settings.__dataclass_fields__),
        )
    options = Settings(epochs=epochs, **settings)
    if validation_split:
        if val is not None:
            raise ArgumentError(
                "fit: validation_split", rule="give val or validation_split, not both"
            )
        train, val = _divide(train, validation_split)
    if optimizer is None:
        optimizer = Adam
    if not hasattr(optimizer, "param_groups"):
        optimizer = optimizer(model.parameters())
    if schedule is not None and not hasattr(schedule, "state_dict"):
        schedule = schedule(optimizer)
    if isinstance(early_stop, int):
        early_stop = EarlyStop(early_stop)
    if run_folder is not None and not isinstance(run_folder, RunFolder):
        run_folder = (
            RunFolder.open(run_folder)
            if resume
            else RunFolder.create(run_folder, {"run": how_it_runs(options, optimizer)})
        )
    loop = Loop(
        model,
        optimizer,
        schedule,
        loss,
        _batches(train, batch_size, shuffle=True),
        None if val is None else _batches(val, max(batch_size, 256), shuffle=False),
        options,
        [*callbacks, *([early_stop] if early_stop is not None else [])],
        run_folder,
        progress if isinstance(progress, Reporter) else Reporter(progress),
    )
    if resume:
        loop.restore()
    return loop.run()


class Trainer:
    """The same training under the names that users of Lightning know.

    Args:
        max_epochs: passes over the training data.
        callbacks: `Callback`s.
        fast_dev_run: one batch of everything.
        overfit_batches: train on the first so many batches only.
        limit_train_batches: a number or a share.
        limit_val_batches: a number or a share.
        gradient_clip_val: the largest norm (or value) of the gradients.
        gradient_clip_algorithm: "norm" or "value".
        accumulate_grad_batches: batches per update.
        detect_anomaly: name the operation of the first NaN.
        log_every_n_steps: updates between lines in metrics.jsonl.
        default_root_dir: the run folder.
        enable_progress_bar: False is quiet.

    >>> Trainer(max_epochs=3, gradient_clip_val=1.0).settings["clip_grad_norm"]
    1.0
    """

    def __init__(
        self,
        max_epochs: int = 10,
        *,
        callbacks: Sequence[Callback] = (),
        fast_dev_run: bool = False,
        overfit_batches: int = 0,
        limit_train_batches: int | float | None = None,
        limit_val_batches: int | float | None = None,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str = "norm",
        accumulate_grad_batches: int = 1,
        detect_anomaly: bool = False,
        log_every_n_steps: int = 50,
        default_root_dir: Path | str | None = None,
        enable_progress_bar: bool = True,
    ) -> None:
        if gradient_clip_algorithm not in ("norm", "value"):
            raise ArgumentError(
                "Trainer: gradient_clip_algorithm",
                expected='"norm" or "value"',
                got=repr(gradient_clip_algorithm),
            )
        self.settings: dict[str, Any] = {
            "epochs": max_epochs,
            "fast_dev_run": fast_dev_run,
            "overfit_batches": overfit_batches,
            "limit_train_batches": limit_train_batches,
            "limit_val_batches": limit_val_batches,
            f"clip_grad_{gradient_clip_algorithm}": gradient_clip_val,
            "accumulate_grad_batches": accumulate_grad_batches,
            "detect_anomaly": detect_anomaly,
            "log_every_n_steps": log_every_n_steps,
        }
        self.callbacks = callbacks
        self.run_folder = default_root_dir
        self.progress = "auto" if enable_progress_bar else "quiet"

    def fit(self, model: Module, train: Any, val: Any = None, **arguments: Any) -> History:
        """Train: see `fit`, whose other arguments (loss, optimizer, ...) may be given here."""
        given = {
            **self.settings,
            "callbacks": self.callbacks,
            "run_folder": self.run_folder,
            "progress": self.progress,
            **arguments,
        }
        return fit(model, train, val, **given)

    def evaluate(
        self, model: Module, data: Any, *, loss: Loss = cross_entropy, eager: bool = False
    ) -> dict[str, float]:
        """The model's numbers on data: see `evaluate`."""
        return evaluate(model, _batches(data, 256, shuffle=False), loss=loss, eager=eager)

    def predict(self, model: Module, data: Any, *, eager: bool = False) -> NDArray[Any]:
        """The model's outputs for data (N, ...), in order."""
        return predict(model, _batches(data, 256, shuffle=False), eager=eager)[0]


class _Pairs:
    """A pair of arrays as a data set."""

    def __init__(self, x: NDArray[Any], y: NDArray[Any]) -> None:
        if len(x) != len(y):
            raise ArgumentError(
                "fit: one label per image", expected=f"{len(x)} labels", got=str(len(y))
            )
        self.x, self.y = x, y

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.x[index], self.y[index]


def _is_pair(data: Any) -> bool:
    return isinstance(data, tuple) and len(data) == 2 and all(hasattr(d, "shape") for d in data)


def _batches(data: Any, batch_size: int, *, shuffle: bool) -> Batches:
    """What was given, as batches."""
    if _is_pair(data):
        data = _Pairs(*(np.asarray(part) for part in data))
    elif not hasattr(data, "image_shape"):
        if not hasattr(data, "__len__") or not hasattr(data, "__iter__"):
            raise ArgumentError(
                "fit: the data can be gone through only once, or cannot be counted",
                expected="a DataLoader, an ImageSet, a pair of arrays, or a list of batches",
                got=type(data).__name__,
            )
        batches: Batches = data
        return batches
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle, generator=0)


def _divide(data: Any, share: float) -> tuple[Any, Any]:
    """Training and validation part of an `ImageSet` or a pair of arrays, always the same."""
    if not 0 < share < 1 or not (_is_pair(data) or hasattr(data, "subset")):
        raise ArgumentError(
            "fit: validation_split",
            expected="a share between 0 and 1 of an ImageSet or a pair of arrays",
            got=f"{share!r} of {type(data).__name__}",
        )
    count = len(data[0]) if _is_pair(data) else len(data)
    order = np.random.Generator(np.random.PCG64(0)).permutation(count)
    parts = np.split(order, [count - max(1, round(count * share))])
    if _is_pair(data):
        x, y = (np.asarray(part) for part in data)
        return (x[parts[0]], y[parts[0]]), (x[parts[1]], y[parts[1]])
    return data.subset(parts[0]), data.subset(parts[1])
