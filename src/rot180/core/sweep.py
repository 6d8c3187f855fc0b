"""The backward sweep: every node once, from the newest to the oldest, without recursion.

A node's number is higher than those of all nodes it reads from, so taking the highest number first
means that a node's gradient is complete when it is taken. The order is fixed, and so are the bits.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from rot180.core import rules
from rot180.core.graph import Node, apply
from rot180.core.modes import set_grad_enabled, state
from rot180.core.tensor import ArrayLike, Tensor, define_method, tensor
from rot180.errors import DTypeError, GraphError, ShapeError

__all__ = ["backward", "gradients"]


@dataclass
class _Sum:
    """A gradient that is being added up; it is written into only when the sum is our own array."""

    total: Tensor
    own: bool = False

    def add(self, g: Tensor) -> None:
        recorded = g.requires_grad or self.total.requires_grad
        if self.own and not recorded:
            np.add(self.total.data, g.data, out=self.total.data)
        else:
            self.total = self.total + g
            self.own = not recorded


class _TracedSum:
    """A gradient that is written down: what one call hands over is added up first.

    So the whole gradient that a call hands to its input is one value, and a kernel can make it.
    """

    def __init__(self, g: Tensor) -> None:
        self._parts: dict[object, tuple[Tensor, tuple[int, ...]]] = {}
        self.add(g)

    def add(self, g: Tensor) -> None:
        sequence = -1 if state.cause is None else state.cause.sequence
        call = state.tracer.call_of(sequence)
        known, causes = self._parts.get(call, (None, ()))
        causes = (*causes, sequence)
        if known is not None:
            with state.tracer.adding(causes):
                g = known + g
        self._parts[call] = g, causes

    @property
    def total(self) -> Tensor:
        first, *others = (g for g, _ in self._parts.values())
        for g in others:
            with state.tracer.adding(()):
                first = first + g
        return first


@dataclass
class _Pending:
    """Nodes that wait for their turn, and the gradients that have arrived so far."""

    heap: list[tuple[int, Node]] = field(default_factory=list)
    sums: dict[tuple[Node | Tensor, int], _Sum | _TracedSum] = field(default_factory=dict)
    leaves: dict[Tensor, None] = field(default_factory=dict)
    waiting: set[Node] = field(default_factory=set)

    def add(self, target: Node | Tensor, output: int, g: Tensor) -> None:
        found = self.sums.get((target, output))
        if found is not None:
            found.add(g)
            return
        self.sums[target, output] = _Sum(g) if state.tracer is None else _TracedSum(g)
        if isinstance(target, Tensor):
            self.leaves.setdefault(target)
        elif target not in self.waiting:
            self.waiting.add(target)
            heapq.heappush(self.heap, (-target.sequence, target))

    def take(self, target: Node | Tensor, output: int) -> Tensor | None:
        found = self.sums.pop((target, output), None)
        return None if found is None else found.total


def _upstream(root: Tensor, g: ArrayLike | None) -> Tensor:
    if not root.requires_grad:
        raise GraphError(
            "backward: this tensor does not depend on any tensor that requires a gradient",
            rule="make an input with requires_grad=True, and stay outside no_grad()",
        )
    if g is None:
        if root.size != 1:
            raise GraphError(
                "backward: a tensor of more than one cell needs an upstream gradient",
                got=f"shape {root.shape} and no gradient",
                rule="call backward(g) with g of that shape, or reduce to one number first",
            )
        return Tensor(np.ones(root.shape, root.dtype))
    upstream = g if isinstance(g, Tensor) else tensor(np.asarray(g))
    if upstream.shape != root.shape:
        raise ShapeError(
            "backward: the upstream gradient must have the tensor's shape",
            expected=str(root.shape),
            got=str(upstream.shape),
        )
    if upstream.dtype == root.dtype:
        return upstream
    if upstream is g:
        raise DTypeError(
            "backward: the upstream gradient must have the tensor's data type",
            expected=str(root.dtype),
            got=str(upstream.dtype),
            rule="nothing is converted silently; use g.astype(...)",
        )
    return Tensor(upstream.data.astype(root.dtype))


def _sweep(
    roots: Sequence[tuple[Tensor, Tensor]],
    wanted: dict[tuple[Node | Tensor, int], None] | None,
    retain_graph: bool,
    create_graph: bool,
) -> dict[tuple[Node | Tensor, int], Tensor]:
    """Gradients of all leaves, or of the wanted places only."""
    pending = _Pending()
    found: dict[tuple[Node | Tensor, int], Tensor] = {}
    paths = None if wanted is None else _leading_to(wanted, [root for root, _ in roots])
    for root, g in roots:
        pending.add(root if root.grad_fn is None else root.grad_fn, root.output_index, g)
    cause = state.cause
    try:
        with set_grad_enabled(create_graph):
            while pending.heap:
                _, node = heapq.heappop(pending.heap)
                pending.waiting.discard(node)
                state.cause = node.cause()
                arrived = _arrived(node, pending, wanted, found)
                _hand_down(node, arrived, pending, paths)
                if not retain_graph:
                    node.free()
            for leaf in pending.leaves:
                whole = pending.take(leaf, 0)
                if whole is not None and (wanted is None or (leaf, 0) in wanted):
                    found[leaf, 0] = _run_leaf_hooks(leaf, whole)
    finally:
        state.cause = cause
    return found


def _leading_to(
    places: Iterable[tuple[Node | Tensor, int]], roots: Sequence[Tensor]
) -> set[Node | Tensor]:
    """Nodes and leaves through which the places can be reached; other branches need no sweep."""
    reached: set[Node] = set()
    stack = [root.grad_fn for root in roots if root.grad_fn is not None]
    while stack:
        node = stack.pop()
        if node not in reached:
            reached.add(node)
            stack.extend(parent for parent in node.parents if isinstance(parent, Node))
    leading = {target for target, _ in places}
    for node in sorted(reached, key=lambda node: node.sequence):
        if any(parent in leading for parent in node.parents if parent is not None):
            leading.add(node)
    return leading


def _arrived(
    node: Node,
    pending: _Pending,
    wanted: dict[tuple[Node | Tensor, int], None] | None,
    found: dict[tuple[Node | Tensor, int], Tensor],
) -> list[Tensor | None]:
    """The complete gradient of each output of a node, hooks run."""
    arrived: list[Tensor | None] = []
    for output in range(len(node.shapes)):
        g = pending.take(node, output)
        if g is not None:
            g = node.arrived(output, g)
            if wanted is not None and (node, output) in wanted:
                found[node, output] = g
        arrived.append(g)
    return arrived


def _hand_down(
    node: Node,
    arrived: list[Tensor | None],
    pending: _Pending,
    paths: set[Node | Tensor] | None,
) -> None:
    """Apply the gradient rule of a node for each input that wants a gradient."""
    wanted = [
        u
        for u, parent in enumerate(node.parents)
        if parent is not None and (paths is None or parent in paths)
    ]
    if not wanted:
        return
    for u, g in zip(wanted, rules.gradients(node.kind, wanted, arrived, node, apply), strict=True):
        parent = node.parents[u]
        if g is not None and parent is not None:
            pending.add(parent, node.parent_outputs[u], g)


def _run_leaf_hooks(leaf: Tensor, g: Tensor) -> Tensor:
    for hook in list(leaf.hooks or ()):
        replaced = hook(g)
        g = g if replaced is None else replaced
    return g


@define_method("backward")
def backward(
    root: Tensor, gradient: ArrayLike | None, retain_graph: bool, create_graph: bool
) -> None:
    """Sweep from one tensor and accumulate `.grad` in the leaves; see `Tensor.backward`."""
    upstream = _upstream(root, gradient)
    swept = _sweep([(root, upstream)], None, retain_graph or create_graph, create_graph)
    for (leaf, _), g in swept.items():
        if isinstance(leaf, Tensor):
            # A gradient may be shared with another leaf or with the caller: a leaf owns its own.
            own = g if create_graph else Tensor(np.array(g.data, order="C"))
            own.cause = g.cause
            leaf.grad = own if leaf.grad is None else leaf.grad + own


def gradients(
    outputs: Sequence[Tensor],
    inputs: Sequence[Tensor],
    upstream: Sequence[ArrayLike | None] | None = None,
    *,
    retain_graph: bool = False,
    create_graph: bool = False,
) -> list[Tensor | None]:
    """Gradients of some tensors with respect to others, without touching `.grad`.

    Args:
        outputs: the tensors to sweep from.
        inputs: leaves or intermediate tensors.
        upstream: the upstream gradient of each output; may be left out for single cells.
        retain_graph: keep the saved values for another sweep.
        create_graph: record the sweep, so that the gradients can be differentiated again.

    Returns:
        One gradient for each input, None where the outputs do not depend on it.
    """
    given = [None] * len(outputs) if upstream is None else upstream
    roots = [(y, _upstream(y, g)) for y, g in zip(outputs, given, strict=True)]
    places = [(x if x.grad_fn is None else x.grad_fn, x.output_index) for x in inputs]
    found = _sweep(roots, dict.fromkeys(places), retain_graph or create_graph, create_graph)
    return [found.get(place) for place in places]
