"""The run folder and the recipes: what is written, read back and refused."""

import pytest

from rot180.errors import ArgumentError, DataError
from rot180.train import (
    RECIPES,
    RunFolder,
    merge,
    next_run_path,
    parse_setting,
    recipe,
    strict_json,
)


def test_create_and_open(tmp_path):
    config = {"a": {"text": 'x"\n', "number": 1e-5, "off": None, "list": (1, 2)}}
    made = RunFolder.create(tmp_path / "deep" / "run", config)
    made.log({"kind": "step", "loss": float("inf")})
    made.log({"kind": "epoch", "epoch": 1})
    opened = RunFolder.open(made.path)
    assert opened.config == {"a": {"text": 'x"\n', "number": 1e-5, "list": [1, 2]}}
    assert opened.records() == [{"kind": "step", "loss": None}, {"kind": "epoch", "epoch": 1}]
    assert opened.records("epoch") == [{"kind": "epoch", "epoch": 1}]


def test_a_torn_line_is_left_out_and_rewound(tmp_path):
    run = RunFolder.create(tmp_path / "run", {})
    run.log({"kind": "step"})
    size = run.sync_log()
    with run.metrics_path.open("a") as file:
        file.write('{"kind": "st')
    assert len(run.records()) == 1
    run.rewind_log(size)
    assert run.sync_log() == size
    run.rewind_log(size + 100)
    assert run.sync_log() == size


def test_taken_paths(tmp_path):
    assert next_run_path(tmp_path, "a") == tmp_path / "a-1"
    RunFolder.create(tmp_path / "a-1", {})
    assert next_run_path(tmp_path, "a") == tmp_path / "a-2"
    with pytest.raises(ArgumentError, match="is there already"):
        RunFolder.create(tmp_path / "a-1", {})
    (tmp_path / "file").write_text("")
    with pytest.raises(ArgumentError, match="is there already"):
        RunFolder.create(tmp_path / "file", {})
    with pytest.raises(DataError, match="cannot make the run folder"):
        RunFolder.create(tmp_path / "file" / "run", {})
    with pytest.raises(DataError, match="no such folder"):
        RunFolder.open(tmp_path / "gone")


@pytest.mark.parametrize("name", [*RECIPES, "fashion-mnist", "some/folder"])
def test_recipes_are_complete_and_merge_with_themselves(name):
    config = recipe(name)
    assert config["data"]["name"] == (name.replace("-", "_") if "mnist" in name else name)
    assert merge(config, config) == config
    assert merge(config, {"input": {"mean": [1]}}) == config


def test_merge_takes_the_type_of_the_default():
    base = recipe("digits")
    merged = merge(base, {"optim": {"lr": 1}, "train": {"limit_train_batches": 0.5}})
    assert merged["optim"]["lr"] == 1.0
    assert isinstance(merged["optim"]["lr"], float)
    assert base["optim"]["lr"] != 1.0
    for wrong in (
        {"optim": {"lr": "fast"}},
        {"optim": {"nesterov": 1}},
        {"train": {"epochs": 2.5}},
        {"train": {"epochs": True}},
        {"train": {"checkpoint_every": 0.5}},
        {"optim": 3},
        {"nothing": {}},
        {"optim": {"learning_rate": 1}},
    ):
        with pytest.raises(ArgumentError, match="config: "):
            merge(base, wrong)


def test_settings_from_the_command_line():
    assert parse_setting("data.root=/a b/c") == {"data": {"root": "/a b/c"}}
    assert parse_setting("train.fast_dev_run=true") == {"train": {"fast_dev_run": True}}
    assert parse_setting('train.checkpoint_every="30s"') == {"train": {"checkpoint_every": "30s"}}
    for wrong in ("lr=1", "optim.lr", "=3", "a.b c=1"):
        with pytest.raises(ArgumentError, match="--set"):
            parse_setting(wrong)


def test_strict_json():
    assert strict_json({"a": (float("nan"), 1.5)}) == {"a": [None, 1.5]}
