"""ONNX's own backend node tests, and how one node becomes a call of ours.

The `onnx` package generates its cases (a model of one node, its inputs, its expected outputs) when
they are collected. Nothing else of a model is looked at: this is no importer.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rot180.core import Tensor

__all__ = ["Case", "Node", "collect", "mapped_operators", "operator", "run"]

Outputs = Tensor | tuple[Tensor, ...] | list[Tensor]
Operator = Callable[["Node"], Outputs]

_OPERATORS: dict[str, Operator] = {}


@dataclass(frozen=True)
class Node:
    """One node: `inputs` in the order of the definition, None for one that is left out."""

    inputs: tuple[np.ndarray | None, ...]
    attributes: dict[str, Any]
    outputs: int

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def input(self, position: int) -> np.ndarray | None:
        return self.inputs[position] if position < len(self.inputs) else None

    def ints(self, position: int, attribute: str = "") -> list[int] | None:
        """A list of integers that came as an input, or in older versions as an attribute."""
        given = self.input(position)
        if given is not None:
            return [int(v) for v in np.ravel(given)]
        listed = self.get(attribute)
        return None if listed is None else [int(v) for v in listed]


@dataclass(frozen=True)
class Case:
    """One of ONNX's cases."""

    name: str
    operator: str
    node: Node = field(repr=False)
    expected: tuple[Any, ...] = field(repr=False)
    rtol: float
    atol: float

    @property
    def types(self) -> set[str]:
        """The data types of all its arrays; names of classes for what is not an array."""
        present = [v for v in (*self.node.inputs, *self.expected) if v is not None]
        return {v.dtype.name if isinstance(v, ARRAY) else type(v).__name__ for v in present}


ARRAY = (np.ndarray, np.generic)


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Say how the nodes of one kind are run."""

    def register(function: Operator) -> Operator:
        _OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


def mapped_operators() -> frozenset[str]:
    return frozenset(_OPERATORS)


def _decode(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


@functools.cache
def collect() -> dict[str, Case]:
    """All cases of one node, by name; forms expanded into other operators are left out."""
    import onnx.helper

    with warnings.catch_warnings():
        # ONNX computes its expected values by NumPy, infinities and overflowing casts included.
        warnings.simplefilter("ignore", RuntimeWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    cases = {}
    for given in found:
        nodes = given.model.graph.node
        if len(nodes) != 1 or "_expanded" in given.name or not given.data_sets:
            continue
        node = nodes[0]
        inputs, expected = given.data_sets[0]
        supplied = iter(inputs)
        cases[given.name] = Case(
            given.name,
            node.op_type,
            Node(
                tuple(next(supplied) if name else None for name in node.input),
                {a.name: _decode(onnx.helper.get_attribute_value(a)) for a in node.attribute},
                len(node.output),
            ),
            tuple(expected),
            given.rtol,
            given.atol,
        )
    return cases


def run(case: Case) -> None:
    """Run a case; raises AssertionError where a value, a shape or a type differs."""
    got = _OPERATORS[case.operator](case.node)
    outputs = [got] if isinstance(got, Tensor) else list(got)
    assert len(outputs) == len(case.expected), f"{len(outputs)} outputs, not {len(case.expected)}"
    for ours, expected in zip(outputs, case.expected, strict=True):
        want = np.asarray(expected)
        assert ours.shape == want.shape, f"shape {ours.shape}, not {want.shape}"
        assert ours.dtype == want.dtype, f"type {ours.dtype}, not {want.dtype}"
        np.testing.assert_allclose(ours.numpy(), want, rtol=case.rtol, atol=case.atol)
