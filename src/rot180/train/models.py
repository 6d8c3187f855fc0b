"""Models by name: ours, or a user's `package.module:function` or `file.py:function`."""

from __future__ import annotations

import difflib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rot180.errors import ArgumentError, Rot180Error
from rot180.nn import Module, models

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

__all__ = ["MODELS", "build_model"]

MODELS: dict[str, Callable[..., Module]] = {
    "lenet5": models.lenet5,
    "cnn": models.cnn,
    "mnist3": models.mnist3,
    "vgg6": models.vgg6,
    "resnet20": models.resnet20,
}


def build_model(name: str, in_channels: int, num_classes: int, input_size: Any) -> Module:
    """Make a model.

    Args:
        name: a key of `MODELS`, or `package.module:function` or `file.py:function`, where function
            returns a Module (a Module class will do). It gets those of the following arguments
            that it has parameters for.
        in_channels: of the images.
        num_classes: how many scores the model is to give.
        input_size: rows and columns of the images, one number where they are equal.

    Raises:
        ArgumentError: no such model; a user's file that cannot be loaded or whose function fails,
            or gives something else.
        ShapeError: images too small for the model, with the arithmetic.

    >>> sum(p.size for p in build_model("lenet5", 1, 10, 28).parameters())
    61706
    """
    make: Callable[..., Any]
    if ":" in name:
        make = _users(name)
    elif name in MODELS:
        make = MODELS[name]
    else:
        near = difflib.get_close_matches(name, MODELS, n=1)
        raise ArgumentError(
            f"unknown model {name!r}" + (f" (did you mean {near[0]}?)" if near else ""),
            expected=f"{', '.join(MODELS)}, package.module:function or file.py:function",
        )
    given = {"in_channels": in_channels, "num_classes": num_classes, "input_size": input_size}
    takes = inspect.signature(make).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values())
    try:
        model = make(**{key: v for key, v in given.items() if anything or key in takes})
    except Rot180Error:
        raise
    except Exception as error:  # a user's code may fail in any way
        raise ArgumentError(f"model {name}: {type(error).__name__}: {error}") from error
    if not isinstance(model, Module):
        raise ArgumentError(f"model {name}", expected="a Module", got=type(model).__name__)
    return model


def _users(name: str) -> Callable[..., Any]:
    # the last colon: a path on Windows has one of its own
    where, _, function = name.rpartition(":")
    try:
        module = _from_file(Path(where)) if where.endswith(".py") else _from_package(where)
    except Exception as error:
        raise ArgumentError(
            f"model {name}: {where} cannot be loaded", got=f"{type(error).__name__}: {error}"
        ) from error
    found = getattr(module, function, None)
    if not callable(found):
        raise ArgumentError(f"model {name}: {where} has no function {function!r}")
    return found  # type: ignore[no-any-return]


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def _from_package(name: str) -> ModuleType:
    """Import as `python -m` would: the working folder counts too."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(here)
