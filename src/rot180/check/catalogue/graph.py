"""Mistakes of a sweep: paths that meet in one input, added up wrongly or not at all.

The function is run by the engine, so its graph is known: which nodes read the input, and what each
of them hands back. A gradient that is one of these shares alone was overwritten by the last path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import draw_normal, engine_case, entry, once
from rot180.check.mistake import Case, Mistake
from rot180.core import Array, Node, Tensor, apply, gradients, rules

__all__ = ["function_family"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]
_INPUTS = ("x", "w", "b")
_VISITS = 2000
"""Visits of nodes after which a sweep along every path is given up: they double at every join."""


def _nodes(y: Tensor) -> list[Node]:
    """Every node that y was made by."""
    seen: dict[Node, None] = {}
    stack = [y.grad_fn] if y.grad_fn is not None else []
    while stack:
        node = stack.pop()
        if node not in seen:
            seen[node] = None
            stack.extend(parent for parent in node.parents if isinstance(parent, Node))
    return list(seen)


def _shares(f: Callable[..., Any], arrays: Arrays, name: str) -> list[Array]:
    """What each use of an input hands back to it."""
    xs = {n: Tensor(a, requires_grad=a.dtype.kind == "f") for n, a in arrays.items() if n != "g"}
    y, leaf = f(*xs.values()), xs[name]
    nodes = _nodes(y)
    uses = [(node, u) for node in nodes for u, parent in enumerate(node.parents) if parent is leaf]
    arrived: dict[tuple[Node, int], Tensor] = {}
    for node in {node for node, _ in uses}:
        for output in range(len(node.shapes)):
            node.hooks_of(output).append(_recorder(arrived, node, output))
    gradients([y], [leaf], [arrays["g"]], retain_graph=True)
    found = []
    for node, u in sorted(uses, key=lambda use: (use[0].sequence, use[1])):
        given = [arrived.get((node, output)) for output in range(len(node.shapes))]
        (share,) = rules.gradients(node.kind, [u], given, node, apply)
        if share is not None:
            found.append(share.data)
    return found


def _recorder(
    arrived: dict[tuple[Node, int], Tensor], node: Node, output: int
) -> Callable[[Tensor], None]:
    def record(g: Tensor) -> None:
        arrived[node, output] = g

    return record


def _before_complete(f: Callable[..., Any], arrays: Arrays, name: str) -> Array | None:
    """A sweep that goes on from a node at every arrival, with what has been added up so far."""
    xs = {n: Tensor(a, requires_grad=a.dtype.kind == "f") for n, a in arrays.items() if n != "g"}
    y, leaf = f(*xs.values()), xs[name]
    if y.grad_fn is None or any(len(node.shapes) > 1 for node in _nodes(y)):
        return None
    sums: dict[Any, Array] = {}
    stack: list[tuple[Any, Array]] = [(y.grad_fn, arrays["g"])]
    for _ in range(_VISITS):
        if not stack:
            return sums.get(leaf)
        target, g = stack.pop()
        sums[target] = sums[target] + g if target in sums else g
        if isinstance(target, Node):
            wanted = [u for u, parent in enumerate(target.parents) if parent is not None]
            handed = rules.gradients(target.kind, wanted, [Tensor(sums[target])], target, apply)
            stack += [
                (target.parents[u], d.data)
                for u, d in zip(wanted, handed, strict=True)
                if d is not None
            ]
    return None


def _mistakes(f: Callable[..., Any], gradient: str, name: str) -> tuple[Mistake, ...]:
    def overwritten(case: Case) -> Iterator[Array]:
        shares = _shares(f, case.arrays, name)
        if len(shares) > 1:
            yield from (shares[-1], shares[0])
            yield from shares[1:-1]

    def one_missing(case: Case) -> Iterator[Array]:
        shares = _shares(f, case.arrays, name)
        if len(shares) > 2:
            yield from (case.answers[gradient].value - share for share in shares)

    return (
        entry("paths overwritten instead of added", gradient, "graph", overwritten,
              "an input that is used more than once got the share of one use",
              "add: grad += share, and start from 0 in every sweep"),
        entry("a path missing", gradient, "graph", one_missing,
              "the share of one use is missing", "every use of an input hands a share back", 11),
        entry("swept before the gradient was complete", gradient, "graph",
              once(lambda case: _before_complete(f, case.arrays, name)),
              "a node that several paths reach was swept at every arrival",
              "sweep nodes in reverse topological order, each once", 11),
        entry("upstream gradient dropped", gradient, "chain",
              once(lambda case: _without_g(f, case, name)), "g left out",
              "begin the sweep with the upstream gradient"),
        *factors(gradient, without=("averaged over the batch", "multiplied by the batch")),
    )  # fmt: skip


def _without_g(f: Callable[..., Any], case: Case, name: str) -> Array:
    arrays = {**case.arrays, "g": np.ones_like(case.arrays["g"])}
    return np.asarray(sum(_shares(f, arrays, name)))


def function_family(f: Callable[..., Any], inputs: int) -> Family:
    """The family of one function of our tensors, for mistakes of its graph.

    Args:
        f: takes one to three tensors and returns one.
        inputs: how many.
    """
    names = _INPUTS[:inputs]
    wanted = {f"d{name}": name for name in names}

    def forward(operation: str, arrays: Arrays, options: Options) -> Array:
        out: Tensor = f(*(Tensor(a) for n, a in arrays.items() if n != "g"))
        return out.data

    def prepare(operation: str, arrays: Arrays, options: Options) -> Case:
        def call(**tensors: Tensor) -> Tensor:
            out: Tensor = f(*tensors.values())
            return out

        return engine_case(operation, call, arrays, options, wanted)

    def trials(operation: str) -> Iterator[Trial]:
        yield from ()

    mistakes = tuple(m for d, name in wanted.items() for m in _mistakes(f, d, name))
    return Family(
        ("function",), names, names, tuple(wanted.items()), (), forward, prepare, mistakes,
        draw_normal, trials, resizes=False,
    )  # fmt: skip
