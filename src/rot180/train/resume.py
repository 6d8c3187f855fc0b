"""What a checkpoint holds of a running training, and how the training is put back to it.

Everything that the following batches depend on is here: weights and buffers, the optimiser, the
schedule, the random states (the library's generator; the loader's, which also holds its position
and serves the transforms), the callbacks, and the sums of the epoch that is not yet over.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import generator_state, set_generator_state
from rot180.errors import ArgumentError, DataError
from rot180.train.packing import pack, unpack

if TYPE_CHECKING:
    from rot180.train.loop import Loop
    from rot180.train.run import RunFolder

__all__ = ["restore_state", "save_state"]


def save_state(loop: Loop, run: RunFolder) -> None:
    """Write a checkpoint of a loop that stands between two updates.

    Raises:
        DataError: it cannot be written; the one before it is intact.
    """
    history = loop.history
    state = {
        "epoch": loop.epoch,
        "batch": loop.batch,
        "step": loop.step,
        "tally": loop.tally.state_dict(),
        "grad_norm": loop.grad_norm,
        "best": history.best,
        "best_epoch": history.best_epoch,
        "stopped": history.stopped,
        "history": history.epochs,
        "random": generator_state(),
        "optimizer": loop.optimizer.state_dict(),
        "schedule": None if loop.schedule is None else loop.schedule.state_dict(),
        "callbacks": [callback.state_dict() for callback in loop.callbacks],
        "loader": loop.train.state_dict() if hasattr(loop.train, "state_dict") else None,
        "metrics_size": run.sync_log(),
    }
    arrays: dict[str, Any] = {}
    packed = pack(state, "state", arrays)
    model = {name: np.asarray(value) for name, value in loop.model.state_dict().items()}
    run.save_checkpoint(model, arrays, packed)


def restore_state(loop: Loop, run: RunFolder) -> None:
    """Put a loop back to the newest complete checkpoint.

    Raises:
        DataError: there is none, or all are damaged.
        ArgumentError: it belongs to another model, optimiser, data set or list of callbacks.
    """
    found = run.checkpoints.load()
    for warning in found.warnings:
        loop.reporter.warn(warning)
    state = unpack(found.state, found.arrays)
    if state["batch"] and state["loader"] is None and not loop.settings.overfit_batches:
        raise ArgumentError(
            "fit: the checkpoint lies inside an epoch, but the batches have no state to restore",
            rule="train from a DataLoader, or resume from the end of an epoch",
        )
    if len(state["callbacks"]) != len(loop.callbacks):
        raise ArgumentError(
            "fit: resume with the callbacks of the first part",
            expected=str(len(state["callbacks"])),
            got=str(len(loop.callbacks)),
        )
    try:
        loop.model.load_state_dict(found.model)
        loop.optimizer.load_state_dict(state["optimizer"])
        if loop.schedule is not None:
            loop.schedule.load_state_dict(state["schedule"])
        if state["loader"] is not None:
            loop.train.load_state_dict(state["loader"])  # type: ignore[attr-defined]
        for callback, kept in zip(loop.callbacks, state["callbacks"], strict=True):
            callback.load_state_dict(kept)
        set_generator_state(state["random"])
        loop.epoch, loop.batch, loop.step = state["epoch"], state["batch"], state["step"]
        loop.tally.load_state_dict(state["tally"])
        loop.grad_norm = state["grad_norm"]
        loop.history.best, loop.history.best_epoch = state["best"], state["best_epoch"]
        loop.history.epochs, loop.history.stopped = state["history"], state["stopped"]
    except KeyError as error:
        raise DataError(f"checkpoint {found.path}: {error} is missing in state.json") from error
    run.rewind_log(state["metrics_size"])
    loop.reporter.note(
        f"resuming {run.path} after {loop.epoch} epochs"
        + (f" and {loop.batch} batches" if loop.batch else "")
    )
