"""fit and Trainer: what they compute, in which order, and how they complain."""

import io
import json

import numpy as np
import pytest

from rot180 import nn
from rot180.core import manual_seed, tensor
from rot180.data import DataLoader, digits
from rot180.errors import ArgumentError, DataError, NumericsError, ShapeError
from rot180.ops import cross_entropy, mse_loss
from rot180.optim import SGD, OneCycleLR, ReduceLROnPlateau, StepLR
from rot180.train import Callback, EarlyStop, Reporter, RunFolder, Trainer, evaluate, fit, predict


@pytest.fixture(scope="module")
def few():
    return digits("train").subset(np.arange(96))


def linear(seed=1):
    manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def weights(model):
    return {name: np.array(value) for name, value in model.state_dict().items()}


def same(first, second):
    return all(np.array_equal(first[name], second[name]) for name in first)


def quiet(model, *args, **options):
    return fit(model, *args, progress="quiet", **options)


def test_it_is_the_plain_loop(few):
    loader = [(x, y) for x, y in DataLoader(few, batch_size=32)]
    model, plain = linear(), linear()
    moving = SGD(model.parameters(), lr=0.1)
    history = quiet(model, loader, epochs=3, optimizer=moving, eager=True)
    optimizer = SGD(plain.parameters(), lr=0.1)
    for _ in range(3):
        losses = []
        for x, y in loader:
            loss = cross_entropy(plain(tensor(x)), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert same(weights(model), weights(plain))
    assert history.epochs[-1]["train_loss"] == pytest.approx(np.mean(losses), rel=1e-12)
    assert [record["step"] for record in history.epochs] == [3, 6, 9]


def test_trainer_is_the_same_training(few):
    one, two = linear(), linear()
    quiet(one, few, epochs=2, clip_grad_norm=0.5, accumulate_grad_batches=2)
    trainer = Trainer(
        2, gradient_clip_val=0.5, accumulate_grad_batches=2, enable_progress_bar=False
    )
    trainer.fit(two, few)
    assert same(weights(one), weights(two))
    scores = trainer.predict(two, few)
    assert scores.shape == (96, 10)
    found = trainer.evaluate(two, few)
    assert found["accuracy"] == np.mean(scores.argmax(1) == few.labels)


def test_accumulating_four_batches_is_one_of_four_times_the_size(few):
    small = [(x.astype(np.float64), y) for x, y in DataLoader(few, batch_size=8)]
    large = [(x.astype(np.float64), y) for x, y in DataLoader(few, batch_size=32)]
    one, two = linear().double(), linear().double()
    quiet(one, small, epochs=2, accumulate_grad_batches=4, optimizer=SGD(one.parameters(), lr=0.1))
    quiet(two, large, epochs=2, optimizer=SGD(two.parameters(), lr=0.1))
    for name, value in weights(one).items():
        np.testing.assert_allclose(value, weights(two)[name], rtol=1e-12, atol=1e-15)


def test_the_last_group_of_an_epoch_is_the_mean_of_its_own_batches(few):
    batches = list(DataLoader(few, batch_size=32))
    one, two = linear(), linear()
    quiet(
        one, batches, epochs=1, accumulate_grad_batches=2, optimizer=SGD(one.parameters(), lr=0.1)
    )
    joined = [tuple(np.concatenate(part) for part in zip(*batches[:2], strict=True)), batches[2]]
    quiet(two, joined, epochs=1, optimizer=SGD(two.parameters(), lr=0.1))
    for name, value in weights(one).items():
        np.testing.assert_allclose(value, weights(two)[name], rtol=1e-4, atol=1e-6)


def test_clipping_bounds_the_update(few):
    model = linear()
    before = weights(model)
    quiet(
        model,
        few,
        batch_size=96,
        epochs=1,
        clip_grad_norm=0.01,
        optimizer=SGD(model.parameters(), lr=1.0),
    )
    moved = sum(np.sum((weights(model)[name] - before[name]) ** 2.0) for name in before)
    assert np.sqrt(moved) == pytest.approx(0.01, rel=1e-3)
    model = linear()
    quiet(
        model,
        few,
        batch_size=96,
        epochs=1,
        clip_grad_value=0.001,
        optimizer=SGD(model.parameters(), lr=1.0),
    )
    largest = max(np.abs(weights(model)[name] - before[name]).max() for name in before)
    assert largest == pytest.approx(0.001, rel=1e-3)


def test_limits(few):
    seen = []

    class Count(Callback):
        def on_batch_end(self, loop):
            seen.append((loop.epoch, loop.batch))

    def run(**options):
        seen.clear()
        quiet(linear(), few, few, batch_size=16, callbacks=[Count()], **options)
        return list(seen)

    assert run(epochs=2, limit_train_batches=2) == [(0, 1), (0, 2), (1, 1), (1, 2)]
    assert len(run(epochs=1, limit_train_batches=0.5)) == 3
    assert run(epochs=5, fast_dev_run=True) == [(0, 1)]
    assert len(run(epochs=3, overfit_batches=1)) == 3


def test_overfit_batches_sees_the_same_images_every_epoch(few):
    sums = []

    class Spy(nn.Module):
        def __init__(self):
            self.inner = linear()

        def forward(self, x):
            if self.training:
                sums.append(float(np.sum(x.numpy(), dtype=np.float64)))
            return self.inner(x)

    quiet(Spy(), few, batch_size=16, epochs=4, overfit_batches=2, eager=True)
    assert sums == sums[:2] * 4
    assert sums[0] != sums[1]


def test_schedules_are_stepped_as_they_ask(few):
    def rates(schedule, **options):
        model = linear()
        optimizer = SGD(model.parameters(), lr=1e-3, momentum=0.9)
        history = quiet(
            model,
            few,
            few,
            batch_size=32,
            epochs=3,
            optimizer=optimizer,
            schedule=schedule(optimizer),
            **options,
        )
        return [record["lr"] for record in history.epochs], optimizer.param_groups[0]["lr"]

    per_epoch, last = rates(lambda o: StepLR(o, 1, gamma=0.5))
    assert per_epoch == [1e-3, 5e-4, 2.5e-4]
    assert last == 1.25e-4
    _, last = rates(lambda o: StepLR(o, 1, gamma=0.5), schedule_interval="batch")
    assert last == pytest.approx(1e-3 / 2**9)
    per_batch, _ = rates(lambda o: OneCycleLR(o, 1e-3, total_steps=9))
    assert per_batch[-1] < 1e-7 < 1e-4 < per_batch[0]
    plateau, _ = rates(lambda o: ReduceLROnPlateau(o, patience=0, threshold=1e9, factor=0.5))
    assert plateau == [1e-3, 5e-4, 2.5e-4]


def test_early_stop_and_callbacks(few):
    called = []

    class Spy(Callback):
        def on_train_start(self, loop):
            called.append("start")

        def on_epoch_start(self, loop):
            called.append("epoch")

        def on_epoch_end(self, loop):
            called.append(f"{loop.epoch}: {sorted(loop.record)[-1]}")

        def on_train_end(self, loop):
            called.append("end")

    model = linear()
    history = quiet(
        model,
        few,
        few,
        epochs=9,
        callbacks=[Spy()],
        early_stop=EarlyStop(2, min_delta=1e9),
    )
    assert len(history.epochs) == 3
    assert history.stopped == "val_loss has not improved for 2 epochs"
    assert called[:3] == ["start", "epoch", "1: val_top5_accuracy"]
    assert called[-1] == "end"
    with pytest.raises(ArgumentError, match=r"nothing to watch.*train_loss.*'val_loss'"):
        quiet(linear(), few, epochs=1, early_stop=1)


def test_regression_has_no_accuracy(rng):
    x = rng.normal(size=(64, 3)).astype(np.float32)
    y = x @ np.array([[1.0], [-2.0], [0.5]], np.float32)
    batches = [(x[i : i + 16], y[i : i + 16]) for i in range(0, 64, 16)]
    model = nn.Linear(3, 1)
    history = quiet(
        model,
        batches,
        batches,
        loss=mse_loss,
        epochs=40,
        optimizer=SGD(model.parameters(), lr=0.1),
    )
    assert history.epochs[-1]["val_loss"] < 1e-4
    assert "val_accuracy" not in history.epochs[-1]


def test_data_in_many_forms(few):
    x = few.images.astype(np.float32) / 255
    for data in (few, (x, few.labels), DataLoader(few, batch_size=32)):
        assert quiet(linear(), data, epochs=1).epochs[0]["step"] == 3
    history = quiet(linear(), few, epochs=1, validation_split=0.25)
    assert history.epochs[0]["step"] == 3  # 72 images
    assert "val_accuracy" in history.epochs[0]
    assert quiet(linear(), (x, few.labels), epochs=1, validation_split=0.25).epochs
    outputs, labels = predict(linear(), DataLoader(few, batch_size=40))
    assert outputs.shape == (96, 10)
    assert np.array_equal(labels, few.labels)


def test_evaluation_leaves_the_mode_alone_and_builds_no_graph(few):
    class Spy(nn.Module):
        def __init__(self):
            self.inner = linear()

        def forward(self, x):
            assert not self.training
            result = self.inner(x)
            assert not result.requires_grad
            return result

    model = Spy()
    for mode in (True, False):
        model.train(mode)
        evaluate(model, DataLoader(few, batch_size=50))
        assert model.training is mode


def test_a_loss_that_is_not_finite(few):
    model = linear()
    with pytest.raises(NumericsError, match=r"^epoch 1, batch \d+: .*lower the learning rate"):
        quiet(model, few, epochs=3, optimizer=SGD(model.parameters(), lr=1e38))
    bad = few.images.astype(np.float32)
    bad[40, 0, 3, 3] = np.nan
    with pytest.raises(NumericsError, match=r"epoch 1, batch 2: .*input holds NaN"):
        quiet(linear(), list(DataLoader([*zip(bad, few.labels, strict=True)], batch_size=32)))


def test_the_operation_of_a_nan_is_named(few):
    class Root(nn.Module):
        def __init__(self):
            self.inner = linear()

        def forward(self, x):
            return (self.inner(x) - 1e6).sqrt()

    with pytest.raises(NumericsError, match=r"epoch 1, batch 1: .*sqrt"):
        quiet(Root(), few, epochs=1)


def test_errors_say_where(few):
    with pytest.raises(ShapeError, match=r"^epoch 1, batch 1: .*") as caught:
        quiet(nn.Sequential(nn.Flatten(), nn.Linear(63, 10)), few, epochs=1)
    assert "\n" not in str(caught.value)
    with pytest.raises(ShapeError, match=r"^epoch 1, batch 1: .*out of range; expected 0 to 4"):
        quiet(nn.Sequential(nn.Flatten(), nn.Linear(64, 5)), few, epochs=1)


def test_wrong_arguments(few):
    for options, message in (
        ({"epochs": 0}, "epochs.*at least 1"),
        ({"clip_grad_norm": -1}, "clip_grad_norm"),
        ({"limit_train_batches": 1.5}, "limit_train_batches"),
        ({"checkpoint_every": "soon"}, "checkpoint_every"),
        ({"keep": "worst"}, "keep"),
        ({"schedule_interval": "day"}, "schedule_interval"),
        ({"epohcs": 3}, "no argument 'epohcs'"),
        ({"resume": True}, "resume=True needs run_folder"),
        ({"val": few, "validation_split": 0.1}, "not both"),
        ({"progress": "loud"}, "progress"),
    ):
        with pytest.raises(ArgumentError, match=message):
            fit(linear(), few, **{"progress": "quiet", **options})
    with pytest.raises(ArgumentError, match="only once"):
        quiet(linear(), iter([]))
    with pytest.raises(DataError, match="no batch to train on"):
        quiet(linear(), [])
    with pytest.raises(ArgumentError, match="one label per image"):
        quiet(linear(), (np.zeros((3, 64), np.float32), np.zeros(2, int)))


def test_progress_lines(few, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    stream = io.StringIO()
    fit(linear(), few, few, epochs=2, progress=Reporter("auto", stream))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1/2  loss ")
    assert "val accuracy" in lines[1]


def test_the_bar_shows_and_goes(few, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("CI", raising=False)
    stream = io.StringIO()
    stream.isatty = lambda: True
    reporter = Reporter("auto", stream)
    assert reporter.mode == "bar"
    fit(linear(), few, few, epochs=2, progress=reporter)
    assert "epoch 2/2  loss" in stream.getvalue()
    monkeypatch.setenv("CI", "true")
    assert Reporter("auto", stream).mode == "lines"


def test_metrics_file(few, tmp_path):
    run = RunFolder.create(tmp_path / "run", {"note": "a test"})
    quiet(linear(), few, few, epochs=2, run_folder=run, log_every_n_steps=2)
    steps, epochs = run.records("step"), run.records("epoch")
    assert [record["step"] for record in steps] == [1, 2, 4, 6]
    assert [record["epoch"] for record in epochs] == [1, 2]
    norms = steps[0]["grad_norms"]
    assert norms.keys() == {"1.weight", "1.bias"}
    assert steps[0]["grad_norm"] == pytest.approx(np.hypot(*norms.values()))
    for line in run.metrics_path.read_text(encoding="utf-8").splitlines():
        json.loads(line)
