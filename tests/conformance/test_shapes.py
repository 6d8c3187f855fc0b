"""PyTorch's own sample and error inputs: our functions give the same shapes, and refuse the same.

`shapes.json` lists the arguments that PyTorch tests its functions and modules with. Only shapes and
refusals are compared here (values: test_torch_oracle.py), so torch is not needed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from rot180 import nn, ops
from rot180.core import Tensor, tensor
from rot180.errors import Rot180Error

if TYPE_CHECKING:
    from pathlib import Path

Entry = dict[str, Any]

Reasons = list[tuple[Callable[[Entry], bool], str]]


def short_list(entry: Entry) -> bool:
    """A list of another length than the number of axes, among the arguments of a pool."""
    lists = [v for v in (*entry["args"], *entry["kwargs"].values()) if isinstance(v, list)]
    op = entry["op"]
    return op[-2:] in {"1d", "2d", "3d"} and any(len(v) != int(op[-2]) for v in lists)


# Arguments that we do not take, by a condition on the entry.
NOT_OFFERED: Reasons = [
    (
        lambda e: e["op"].endswith(":with_dtype"),
        "no dtype argument: x.astype(...) before the call says the same",
    ),
    (
        lambda e: e["op"] == "unfold" and len(e["args"]) == 3,
        "these are samples of Tensor.unfold(dimension, size, step), another operation",
    ),
    (
        lambda e: e["op"] in {"softmax", "log_softmax"} and e["x"] == [],
        "a number has no axis 0",
    ),
    (
        lambda e: e["op"].startswith("batch_norm") and len(e["x"]) == 1,
        "one axis cannot be batch and channels",
    ),
    (
        lambda e: e["op"] == "avg_pool2d" and short_list(e),
        "a list has one number for each axis; one number for all is no list",
    ),
]

# The same for modules.
NOT_OFFERED_MODULES: Reasons = [
    (
        lambda e: e["module"].startswith("LPPool"),
        "no power-mean pool: avg_pool of |x|**p, with divisor_override=1, does it",
    ),
    (
        lambda e: (
            e["ctor_kwargs"].get("bias") is False
            and e["module"].startswith(("Batch", "Group", "Instance"))
        ),
        "norms of channels have weight and bias, or neither (an argument as new as torch 2.13)",
    ),
]

# What PyTorch refuses and we accept.
ACCEPTED: Reasons = [
    (
        lambda e: e["op"] == "max_pool1d" and e["x"]["tensor"] == [0, 10],
        "without a batch axis, 0 channels: an empty result, as for an empty batch",
    ),
    (
        lambda e: e["op"] == "max_pool3d" and e["x"]["tensor"] == [0, 1, 2, 10],
        "without a batch axis, 0 channels: an empty result, as for an empty batch",
    ),
]


def build(value: Any, rng: np.random.Generator, size: int = 3) -> Any:
    """An argument: tensors are described by shape and type, classes lie below `size`."""
    if isinstance(value, dict) and "tensor" in value:
        shape, dtype = value["tensor"], value.get("dtype", "float64")
        if dtype == "complex128":
            return np.zeros(shape, dtype)
        if "values" in value:
            return tensor(np.array(value["values"], dtype=dtype).reshape(shape))
        if dtype.startswith("int"):
            return tensor(np.asarray(rng.integers(0, size, shape), dtype=dtype))
        return tensor(np.asarray(np.abs(rng.standard_normal(shape)) + 0.1, dtype=dtype))
    if isinstance(value, list):
        return tuple(build(v, rng, size) for v in value)
    if isinstance(value, dict):
        return {k: build(v, rng, size) for k, v in value.items()}
    return value


def call(op: str, x: Any, entry: Entry, rng: np.random.Generator) -> Any:
    function = getattr(ops, op.partition(":")[0])
    args = build(entry["args"], rng)
    kwargs = build(entry["kwargs"], rng)
    if op.startswith("max_unpool") and "values" not in entry["args"][0]:
        # Distinct positions in each plane, as a pool would have recorded them.
        spatial = int(op[len("max_unpool")])
        planes, inside = args[0].shape[:-spatial], args[0].shape[-spatial:]
        numbers = np.arange(math.prod(inside)).reshape(inside)
        args = (np.broadcast_to(numbers, planes + inside),)
    return function(x, *args, **kwargs)


def reason(entry: Entry, table: Reasons) -> str | None:
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
        x = build({"tensor": entry["x"]}, rng)
        got = shape_of(call(entry["op"], x, entry, rng))
        run += 1
        if got != entry["y"]:
            wrong.append(f"{described(entry)}: {got}")
    assert not wrong, "\n".join(wrong)
    assert run > 1000


def test_modules(shapes: dict[str, list[Entry]]) -> None:
    """Every module can be built with torch's arguments and called with its inputs."""
    rng = np.random.default_rng(0)
    built = 0
    for entry in shapes["torch_modules"]:
        if reason(entry, NOT_OFFERED_MODULES):
            continue
        arguments, options = build(entry["ctor_args"], rng), build(entry["ctor_kwargs"], rng)
        module = getattr(nn, entry["module"])(*arguments, **options)
        if entry["forward_args"]:
            result = module.double()(*build(entry["forward_args"], rng))
            assert isinstance(result, Tensor | tuple), described(entry)
        built += 1
    assert built == 300


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
