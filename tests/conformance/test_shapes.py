"""PyTorch's own sample and error inputs: our functions give the same shapes, and refuse the same.

`shapes.json` lists the arguments that PyTorch tests its functions and modules with. Only shapes and
refusals are compared here (values: test_torch_oracle.py), so torch is not needed.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rot180 import nn, ops
from rot180.core import Tensor, tensor
from rot180.errors import Rot180Error

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Entry = dict[str, Any]

# Modules that we have no counterpart for.
NO_MODULE = dict.fromkeys(
    ("LPPool1d", "LPPool2d", "LPPool3d"), "no power-mean pool here: avg_pool of |x|**p does it"
)

# Arguments that we do not take, as a test on the entry, with the reason.
NOT_OFFERED: list[tuple[Callable[[Entry], bool], str]] = [
    (
        lambda e: ":with_dtype" in e.get("op", ""),
        "no dtype argument: x.astype(...) before the call says the same",
    ),
]

# What PyTorch refuses and we accept, with the reason.
ACCEPTED: list[tuple[Callable[[Entry], bool], str]] = []


def build(value: Any, rng: np.random.Generator, size: int = 3) -> Any:
    """An argument: tensors are described by shape and type, indices by a range that always fits."""
    if isinstance(value, dict) and "tensor" in value:
        shape, dtype = value["tensor"], value.get("dtype", "float64")
        if "values" in value and dtype != "complex128":
            return np.array(value["values"], dtype=dtype).reshape(shape)
        if dtype.startswith("int"):
            return rng.integers(0, size, shape).astype(dtype)
        return (np.abs(rng.standard_normal(shape)) + 0.1).astype(dtype)
    if isinstance(value, list):
        return tuple(build(v, rng, size) for v in value)
    if isinstance(value, dict):
        return {k: build(v, rng, size) for k, v in value.items()}
    return value


def function_of(op: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """Our function, and the options that torch's name of the sample stands for."""
    name, _, variant = op.partition(":")
    options = {"mode": variant.split("_")[0]} if name == "pad" else {}
    return getattr(ops, name), options


def call(op: str, x: np.ndarray, entry: Entry, rng: np.random.Generator) -> Any:
    function, _ = function_of(op)
    args = build(entry["args"], rng)
    kwargs = build(entry["kwargs"], rng)
    if op == "nll_loss":
        kwargs.setdefault("reduction", "mean")
    if op.startswith("max_unpool"):
        # Without given indices: distinct ones, as a pool would have recorded them.
        indices = args[0]
        if "values" not in entry["args"][0]:
            plane = indices[0, 0].size if indices.ndim > 2 else indices[..., 0].size
            args = (np.broadcast_to(np.arange(plane).reshape(indices.shape[2:]), indices.shape),)
    return function(tensor(x), *args, **kwargs)


def reason(entry: Entry, table: list[tuple[Callable[[Entry], bool], str]]) -> str | None:
    return next((why for applies, why in table if applies(entry)), None)


def shape_of(result: Any) -> list[int]:
    """The shape of the values; indices that come along have the same."""
    if isinstance(result, tuple):
        values, indices = result
        assert indices.shape == values.shape
        return list(values.shape)
    return list(result.shape)


@pytest.fixture(scope="module")
def shapes(material: Path) -> dict[str, list[Entry]]:
    path = material / "conformance" / "shapes.json"
    document: dict[str, list[Entry]] = json.loads(path.read_text(encoding="utf-8"))
    return document


def described(entry: Entry) -> str:
    return json.dumps(entry)[:300]


def test_samples(shapes: dict[str, list[Entry]]) -> None:
    rng = np.random.default_rng(0)
    wrong = []
    run = 0
    for entry in shapes["torch_samples"]:
        if reason(entry, NOT_OFFERED):
            continue
        x = np.abs(rng.standard_normal(entry["x"])) + 0.1
        try:
            got = shape_of(call(entry["op"], x, entry, rng))
        except Rot180Error as error:
            wrong.append(f"{described(entry)}: {error}")
            continue
        run += 1
        if got != entry["y"]:
            wrong.append(f"{described(entry)}: {got}")
    assert not wrong, "\n".join(wrong)
    assert run > 1000


def test_modules(shapes: dict[str, list[Entry]]) -> None:
    """Every module can be built with torch's arguments and called with its inputs."""
    rng = np.random.default_rng(0)
    wrong = []
    for entry in shapes["torch_modules"]:
        if entry["module"] in NO_MODULE or reason(entry, NOT_OFFERED):
            continue
        try:
            module = getattr(nn, entry["module"])(
                *build(entry["ctor_args"], rng), **build(entry["ctor_kwargs"], rng)
            )
            if entry["forward_args"]:
                result = module.double()(*build(entry["forward_args"], rng))
                assert isinstance(result, (Tensor, tuple))
        except Rot180Error as error:
            wrong.append(f"{described(entry)}: {error}")
    assert not wrong, "\n".join(wrong)


def test_refusals(shapes: dict[str, list[Entry]]) -> None:
    """What PyTorch refuses is refused here too, by an error of ours with its arithmetic."""
    rng = np.random.default_rng(0)
    accepted, listed = [], []
    for entry in shapes["torch_errors"]:
        message = refusal(entry, rng)
        if message is None and not reason(entry, ACCEPTED):
            accepted.append(described(entry))
        if message is not None:
            assert "\n" not in message
            if reason(entry, ACCEPTED):
                listed.append(described(entry))
    assert not accepted, "\n".join(accepted)
    assert not listed, "refused after all:\n" + "\n".join(listed)


def refusal(entry: Entry, rng: np.random.Generator) -> str | None:
    """The message of the error of ours that a call ends in, if it does."""
    try:
        call(entry["op"], build(entry["x"], rng), entry, rng)
    except Rot180Error as error:
        return str(error)
    return None
