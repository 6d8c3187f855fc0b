"""What `rot180 train` does when nothing else is said, and how other wishes are laid over it."""

from __future__ import annotations

import copy
import difflib
from typing import Any

from rot180.errors import ArgumentError

__all__ = ["RECIPES", "Config", "merge", "parse_setting", "recipe"]

Config = dict[str, dict[str, Any]]

_BASE: Config = {
    "data": {
        "name": "",
        "root": "",  # where a data set lies that is not embedded; "": the cache folder
        "batch_size": 64,
        "size": 0,  # images are scaled to size × size; 0: as they are
        "pad_crop": 0,  # pixels of padding before a random crop
        "flip": 0.0,  # probability of a mirror image
        "rotate": 0.0,  # largest random turn in degrees
    },
    "model": {"name": "cnn"},
    "optim": {
        "name": "adamw",
        "lr": 0.003,
        "momentum": 0.9,
        "nesterov": True,
        "weight_decay": 0.01,
    },
    "schedule": {
        "name": "onecycle",
        "warmup": 0.3,  # share of all updates in which the rate rises (onecycle, cosine)
        "step_size": 10,  # epochs (step)
        "gamma": 0.1,  # factor (step, plateau)
    },
    "train": {
        "epochs": 20,
        "seed": 0,
        "label_smoothing": 0.0,
        "clip_grad_norm": 0.0,  # 0: off, as everywhere here
        "accumulate_grad_batches": 1,
        "overfit_batches": 0,
        "limit_train_batches": 0,
        "fast_dev_run": False,
        "early_stop": 0,
        "keep": "last",
        "checkpoint_every": "",
        "log_every_n_steps": 20,
        "detect_anomaly": False,
        "eager": False,  # every step operation by operation instead of compiled
        "threads": 0,  # of the compiled step; 0: all processors
    },
}

RECIPES: dict[str, Config] = {
    "digits": {
        "data": {"batch_size": 32, "rotate": 8.0},
        "optim": {"lr": 0.01},
        "train": {"epochs": 15, "log_every_n_steps": 15},
    },
    "mnist": {
        "model": {"name": "lenet5"},
        "optim": {"lr": 0.005},
        "train": {"epochs": 5},
    },
    "fashion_mnist": {
        "model": {"name": "cnn"},
        "data": {"flip": 0.5},
        "train": {"epochs": 10},
    },
    "cifar10": {
        "data": {"batch_size": 128, "pad_crop": 4, "flip": 0.5},
        "model": {"name": "resnet20"},
        "optim": {"name": "sgd", "lr": 0.2, "weight_decay": 0.0005},
        "train": {"epochs": 30, "log_every_n_steps": 10},
    },
}


# where one type is not enough: a number of batches or a share, updates or a time
_WIDER: dict[str, tuple[type, ...]] = {
    "train.checkpoint_every": (int, str),
    "train.limit_train_batches": (int, float),
}


def recipe(dataset: str) -> Config:
    """The whole config for a data set (a folder of pictures gets the plain defaults).

    >>> recipe("mnist")["model"]["name"]
    'lenet5'
    """
    name = dataset.replace("-", "_")
    config = merge(_BASE, RECIPES.get(name, {}))
    config["data"]["name"] = name if name in RECIPES else dataset
    return config


def merge(config: Config, wishes: dict[str, Any]) -> Config:
    """A config with wishes laid over it; both stay as they are.

    Args:
        config: all tables and keys that exist.
        wishes: some of them, with other values of the same type. The table `input`, which a run
            folder's config has besides, is passed over.

    Raises:
        ArgumentError: a table or key that does not exist (with the nearest that does), or a value
            of another type.
    """
    result = copy.deepcopy(config)
    for table, values in wishes.items():
        if table in ("input", "run"):
            continue
        if table not in result or not isinstance(values, dict):
            raise ArgumentError(f"config: no table {table!r}", expected=", ".join(result))
        for key, value in values.items():
            result[table][key] = _checked(result[table], f"{table}.{key}", value)
    return result


def _checked(table: dict[str, Any], name: str, value: Any) -> Any:
    key = name.partition(".")[2]
    if key not in table:
        near = difflib.get_close_matches(key, table, n=1)
        raise ArgumentError(
            f"config: no setting {name!r}",
            expected=f"{near[0]!r}?" if near else ", ".join(table),
        )
    default = table[key]
    if isinstance(default, float) and type(value) is int:
        value = float(value)
    allowed = _WIDER.get(name, (type(default),))
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed):
        raise ArgumentError(
            f"config: {name}",
            expected=" or ".join(kind.__name__ for kind in allowed),
            got=f"{value!r}",
        )
    return value


def parse_setting(text: str) -> dict[str, dict[str, Any]]:
    """`optim.lr=0.01` as a table; the value is read as TOML, a bare word as a string.

    >>> parse_setting("optim.lr=0.01"), parse_setting("model.name=vgg6")
    ({'optim': {'lr': 0.01}}, {'model': {'name': 'vgg6'}})

    Raises:
        ArgumentError: not of this form.
    """
    from rot180.train.run import parse_toml

    name, equals, value = text.partition("=")
    table, dot, key = name.strip().partition(".")
    if not equals or not dot or not key.replace("_", "").isalnum():
        raise ArgumentError("--set", expected="table.key=value, as in optim.lr=0.01", got=text)
    try:
        parsed = parse_toml(f"value = {value}")["value"]
    except ValueError:
        parsed = value.strip()
    return {table: {key: parsed}}
