"""Resuming: the same bits as a training that was never interrupted, whatever interrupted it."""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from rot180 import nn
from rot180.core import manual_seed
from rot180.data import Compose, DataLoader, Normalize, Rotate, digits
from rot180.errors import ArgumentError, DataError
from rot180.optim import SGD, Adam, OneCycleLR
from rot180.train import Callback, EarlyStop, RunFolder, fit

MODEL = """
from rot180 import nn

def tiny(in_channels, num_classes, input_size):
    return nn.Sequential(
        nn.Conv2d(in_channels, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(4 * (input_size // 2) ** 2, num_classes),
    )
"""


def tiny():
    names = {}
    exec(MODEL, names)
    return names["tiny"](1, 10, 8)


class CrashError(Exception):
    pass


class CrashAt(Callback):
    """Raises after so many batches of this process, once."""

    def __init__(self, batches):
        self.left = batches

    def on_batch_end(self, loop):
        self.left -= 1
        if self.left == 0:
            raise CrashError


def train(path, crash=0, resume=False, optimizer="adam", **options):
    """One process's part of a training with everything random in it."""
    manual_seed(3)
    model = tiny()
    images = digits("train").subset(np.arange(160))
    normalise = Normalize(images.mean, images.std)
    transform = Compose([Rotate(15.0), normalise])
    loader = DataLoader(images, batch_size=20, shuffle=True, generator=5, transform=transform)
    val = DataLoader(images.subset(np.arange(40)), batch_size=40, transform=normalise)
    made = {"adam": Adam, "sgd": lambda p: SGD(p, lr=0.05, momentum=0.9)}[optimizer](
        model.parameters()
    )
    options.setdefault("schedule", OneCycleLR(made, 0.01, total_steps=24))
    return fit(
        model,
        loader,
        val,
        optimizer=made,
        epochs=3,
        callbacks=[CrashAt(crash)],
        early_stop=EarlyStop(9, "val_accuracy"),
        run_folder=RunFolder.open(path) if resume else RunFolder.create(path, {"a": {"b": 1}}),
        resume=resume,
        progress="quiet",
        **{"checkpoint_every": 1, "log_every_n_steps": 3, **options},
    )


def result(path):
    """All that must agree: weights, the whole last checkpoint, metrics without times."""
    run = RunFolder.open(path)
    newest = run.checkpoints.load()
    records = [
        {key: value for key, value in record.items() if key != "seconds"}
        for record in run.records()
    ]
    state = dict(newest.state)
    state["history"] = None  # holds times; the records hold the same
    del state["metrics_size"]
    return {
        "model": run.model_path.read_bytes(),
        "checkpoint": {name: value.tobytes() for name, value in newest.model.items()},
        "arrays": {name: value.tobytes() for name, value in newest.arrays.items()},
        "state": state,
        "records": records,
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    train(path)
    return result(path)


@pytest.mark.parametrize("at", [1, 5, 7, 8, 9, 16, 17, 23])
def test_a_crash_after_any_batch(tmp_path, whole, at):
    path = tmp_path / "run"
    with pytest.raises(CrashError):
        train(path, crash=at)
    if at == 1:  # before the first checkpoint: nothing to resume
        with pytest.raises(DataError, match="no checkpoint"):
            train(path, resume=True)
        return
    train(path, resume=True)
    assert result(path) == whole


def test_a_crash_in_every_third_batch(tmp_path, whole):
    path, parts = tmp_path / "run", 0
    while True:
        try:
            train(path, crash=3, resume=parts > 0)
            break
        except CrashError:
            parts += 1
    assert parts == 11
    assert result(path) == whole


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "sgd", "accumulate_grad_batches": 3, "schedule": None},
        {"overfit_batches": 4, "schedule": None},
        {"limit_train_batches": 5, "clip_grad_norm": 0.1, "schedule": None},
        {"keep": "best"},
    ],
)
def test_with_other_settings(tmp_path, options):
    train(tmp_path / "whole", **options)
    with pytest.raises(CrashError):
        train(tmp_path / "run", crash=8, **options)
    train(tmp_path / "run", resume=True, **options)
    assert result(tmp_path / "run") == result(tmp_path / "whole")


def test_resuming_a_finished_run_changes_nothing(tmp_path, whole):
    path = tmp_path / "run"
    train(path)
    train(path, resume=True)
    assert result(path) == whole


def test_a_full_disk_in_the_middle(tmp_path, whole):
    path = tmp_path / "run"
    original, calls = os.fsync, []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) > 50:
            raise OSError(28, "No space left on device")
        original(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", fsync)
        with pytest.raises(DataError, match="No space left on device"):
            train(path)
    train(path, resume=True)
    assert result(path) == whole


def test_a_damaged_newest_checkpoint_costs_one_warning(tmp_path, whole, capsys):
    path = tmp_path / "run"
    with pytest.raises(CrashError):
        train(path, crash=13)
    newest = (path / "checkpoint" / "LAST").read_text(encoding="ascii").strip()
    weights = path / "checkpoint" / newest / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    train(path, resume=True)
    assert capsys.readouterr().err.count("\n") == 1
    assert result(path)["model"] == whole["model"]
    assert result(path)["records"] == whole["records"]


def test_what_does_not_belong_together_is_refused(tmp_path):
    path = tmp_path / "run"
    with pytest.raises(CrashError):
        train(path, crash=5)
    run = RunFolder.open(path)
    images = digits("train").subset(np.arange(160))
    with pytest.raises(ArgumentError, match="callbacks of the first part"):
        fit(tiny(), images, run_folder=run, resume=True, progress="quiet")
    with pytest.raises(ArgumentError):
        fit(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 10)),
            images,
            callbacks=[CrashAt(0)],
            early_stop=EarlyStop(9, "val_accuracy"),
            run_folder=run,
            resume=True,
            progress="quiet",
        )


# ------------------------------------------------------------------ whole processes

# without matplotlib, for the time that drawing would take
PROGRAM = "import sys; sys.modules['matplotlib.figure'] = None; from rot180.cli import main; main()"
COMMAND = [sys.executable, "-c", PROGRAM, "train"]
FRESH = ["digits", "--epochs", "2", "--limit-train-batches", "12", "--checkpoint-every", "2"]


no_windows = pytest.mark.skipif(os.name == "nt", reason="Windows has other signals")


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "mine.py"
    path.write_text(MODEL, encoding="utf-8")
    return [*FRESH, "--model", f"{path}:tiny"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory, model_file):
    path = tmp_path_factory.mktemp("uninterrupted") / "run"
    subprocess.run([*COMMAND, *model_file, "-o", str(path), "--quiet"], check=True, timeout=60)
    return result(path)


def kill_until_done(path, model_file, kills, seed):
    """Start, kill -9 at a random moment, resume, and so on; then let it finish."""
    draw = random.Random(seed)
    killed = 0
    for _ in range(kills):
        known = (path / "config.toml").exists()
        tail = ["--resume", str(path)] if known else [*model_file, "-o", str(path)]
        process = subprocess.Popen([*COMMAND, *tail, "--quiet"], stderr=subprocess.PIPE)
        # from the moment the work begins, which is what is to be hit
        mark = path / "checkpoint"
        before = mark.stat().st_mtime_ns if mark.exists() else None
        deadline = time.monotonic() + 20
        while process.poll() is None and time.monotonic() < deadline:
            if mark.exists() and mark.stat().st_mtime_ns != before:
                break
            time.sleep(0.001)
        time.sleep(draw.uniform(0, 0.03))
        process.kill()
        _, said = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), said.decode()
        killed += process.returncode == -signal.SIGKILL
    done = subprocess.run(
        [*COMMAND, "--resume", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\n") == 1  # only that there are no pictures
    return killed


@no_windows
def test_kill_9_a_few_times(tmp_path, model_file, uninterrupted):
    path = tmp_path / "run"
    killed = kill_until_done(path, model_file, kills=4, seed=1)
    assert killed >= 2
    assert result(path) == uninterrupted


@no_windows
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(10))
def test_kill_9_many_times(tmp_path, model_file, uninterrupted, seed):
    path = tmp_path / "run"
    kill_until_done(path, model_file, kills=8, seed=seed)
    assert result(path) == uninterrupted


@no_windows
def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path, model_file, uninterrupted):
    path = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, *model_file, "-o", str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (path / "checkpoint" / "LAST").exists() and process.poll() is None:
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"rot180 train --resume {path}" in err
    assert err.count("\n") == 1
    assert "Ctrl-C" in out
    subprocess.run([*COMMAND, "--resume", str(path), "--quiet"], check=True, timeout=60)
    assert result(path) == uninterrupted


def test_nothing_is_pickled(tmp_path):
    train(tmp_path / "run")
    suffixes = {p.suffix for p in pathlib.Path(tmp_path).rglob("*") if p.is_file()}
    assert suffixes <= {".toml", ".jsonl", ".json", ".safetensors", ""}
    state = json.loads(next(tmp_path.rglob("state.json")).read_text(encoding="utf-8"))
    assert {"version", "config", "random", "loader", "epoch", "step", "schedule"} <= state.keys()
