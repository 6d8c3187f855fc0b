"""A chain of layers explained: every δ from the loss back to the first kernel.

The model is run once, in evaluation mode, forward and backward, on one example or a small batch;
every layer's output gets a name (z1, z2, ...), its kernel and bias too (w1, b1, ...). Cells are
explained one at a time, when they are asked for, so a large network costs two passes and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rot180.core import Array, Tensor
from rot180.errors import ArgumentError
from rot180.explain.cell import Cell
from rot180.explain.explanation import Explanation
from rot180.explain.field import Field, projective, receptive
from rot180.explain.formula import Ref, Term, evaluate, references
from rot180.explain.make import check_finite
from rot180.explain.tape import Value, record
from rot180.explain.words import say
from rot180.ops import cross_entropy, mse_loss

__all__ = ["Layer", "ModelExplanation", "Share", "explain_model"]


@dataclass(frozen=True)
class Layer:
    """One layer of an explained model.

    Attributes:
        number: counted from 1.
        path: its dotted name in the model.
        kind: its class.
        output: the array it makes, such as "z3".
        delta: the array of its output's gradient, such as "δ_z3"; "" where none arrives.
        parameters: the arrays of its own parameters, such as ("w3", "b3").
        shape: the shape of its output, without a batch of one.
    """

    number: int
    path: str
    kind: str
    output: str
    delta: str
    parameters: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Share:
    """What one product contributes to a cell.

    Attributes:
        term: the product.
        value: its number.
        share: |value| of the sum of all |values|.
    """

    term: Term
    value: float
    share: float


class ModelExplanation(Explanation):
    """An explanation with layers; cells as ever: `m["δ_z3"][0, 4, 4]`, `m["δ_w1"][0, 0, 1, 1]`.

    Attributes:
        layers: in the order in which they ran.
    """

    layers: tuple[Layer, ...] = ()

    def norm(self, name: str) -> float:
        """The Euclidean norm of an array, such as "z3", "δ_z3" or "δ_w1"."""
        return float(np.sqrt(np.square(self[name].array.astype(np.float64)).sum()))

    def map(self, name: str) -> Array:
        """The numbers of an array as (channels, rows, columns), such as those of "δ_z3"."""
        return self[name].numbers

    def layer(self, which: int | str) -> Layer:
        """A layer by its number, its dotted name, or the name of its output.

        Raises:
            ArgumentError: there is no such layer.
        """
        found = [k for k in self.layers if which in (k.number, k.path, k.output)]
        if not found:
            raise ArgumentError(
                f"explain: no layer {which!r}", expected=", ".join(k.output for k in self.layers)
            )
        return found[0]

    def strongest(self, name: str) -> Cell:
        """The cell of an array with the largest |number|: the one to look at first."""
        array = self[name].array
        place = np.unravel_index(int(np.abs(array).argmax()), array.shape)
        return self[name].at(tuple(int(i) for i in place))

    def shares(self, cell: Cell | str) -> list[Share]:
        """The products of a cell, the largest first, each with its share of the whole."""
        terms = self.cell(cell).formula
        values = [float(evaluate((term,), self.number)[0]) for term in terms]
        total = sum(abs(v) for v in values) or 1.0
        found = [Share(t, v, abs(v) / total) for t, v in zip(terms, values, strict=True)]
        return sorted(found, key=lambda share: -share.share)

    def paths(self, cell: Cell | str) -> dict[str, float]:
        """The share of each path: the arrays of δ (and their channels) that a gradient came from.

        The keys are names such as "δ_z4[2]" for channel 2, or "δ_z4" where there is no channel.
        """
        found: dict[str, float] = {}
        for share in self.shares(cell):
            source = next((r for r in references((share.term,)) if r.name.startswith("δ")), None)
            if source is not None:
                key = self._path(source)
                found[key] = found.get(key, 0.0) + share.share
        return dict(sorted(found.items(), key=lambda item: -item[1]))

    def _path(self, ref: Ref) -> str:
        channel = f"[{ref.index[1] + self.base}]" if len(ref.index) > 2 else ""
        return f"{ref.name}{channel}"

    def receptive(self, cell: Cell | str) -> dict[str, Field]:
        """The cells of every earlier array that a cell of the forward pass depends on."""
        c = self.cell(cell)
        return receptive(self, self._forward(c), c.index)

    def projective(self, cell: Cell | str) -> dict[str, Field]:
        """The cells of every later array that depend on a cell of the forward pass."""
        c = self.cell(cell)
        return projective(self, self._forward(c), c.index)

    def _forward(self, cell: Cell) -> Value:
        value = self.values[cell.name]
        source = value.of if value.role == "gradient" and value.of is not None else value
        if source.role not in ("input", "inner", "output"):
            raise ArgumentError(
                f"explain: {cell.label} has no field", expected="a cell of the forward pass"
            )
        return source

    def table(self) -> list[dict[str, Any]]:
        """One row for each layer: shape, norms, and the equation of its strongest gradient."""
        return [self._row(layer) for layer in self.layers]

    def _row(self, layer: Layer) -> dict[str, Any]:
        row: dict[str, Any] = {
            "layer": layer.number,
            "path": layer.path,
            "kind": layer.kind,
            "output": layer.output,
            "shape": list(layer.shape),
            "norm": self.norm(layer.output),
        }
        if layer.delta:
            row["delta_norm"] = self.norm(layer.delta)
            row["strongest"] = self.strongest(layer.delta).label
        for name in layer.parameters:
            if f"δ_{name}" in self.values:
                row[f"δ_{name}"] = self.norm(f"δ_{name}")
        return row

    def sample(self, name: str) -> list[Cell]:
        """The cell of an array that is printed: the one with the largest |number|."""
        return [self.strongest(name)]

    def text(self) -> str:
        """The chain from the loss back to the first layer, one line a layer, one equation each."""
        lines = [
            f"{self.title}  {self.tape.output.name} = {float(self.tape.output.array):.6g}",
            "",
            _columns("", say("layer", self.lang), say("shape", self.lang), "‖z‖", "‖δ‖", "‖δw‖"),
        ]
        for layer in reversed(self.layers):
            weight = layer.parameters[0] if layer.parameters else ""
            arrays = (layer.output, layer.delta, f"δ_{weight}")
            norms = [f"{self.norm(n):.4g}" if n in self.values else "" for n in arrays]
            size = "×".join(map(str, layer.shape))
            lines.append(_columns(layer.output, f"{layer.path} ({layer.kind})", size, *norms))
        lines.append("")
        for layer in reversed(self.layers):
            names = (layer.delta, *(f"δ_{p}" for p in layer.parameters))
            lines += [_short(self.strongest(name)) for name in names if name in self.values]
        return "\n".join(lines)


def _columns(output: str, layer: str, shape: str, *norms: str) -> str:
    numbers = " ".join(f"{text:>10}" for text in norms)
    return f"{output:>4}  {layer:<36} {shape:<10} {numbers}".rstrip()


def _short(cell: Cell, limit: int = 6) -> str:
    """A cell's equation, its first products only, and its number."""
    parts = cell.equation.split(" + ")
    cut = f" + … ({len(parts) - limit})" if len(parts) > limit else ""
    return f"{' + '.join(parts[:limit])}{cut} = {float(cell.engine):.6g}"


def explain_model(
    model: Callable[..., Any],
    x: Any,
    y: Any,
    *,
    loss: Callable[[Tensor, Any], Tensor] | None = None,
    base: int = 0,
    lang: str = "en",
) -> ModelExplanation:
    """Explain every gradient of a model on an example, from the loss back to the first kernel.

    Args:
        model: a module, or anything callable with `named_modules`, `named_parameters` and forward
            hooks. It is run in evaluation mode and left as it was.
        x: one example (C, rows, columns), or a batch.
        y: its class or target; for a batch one each.
        loss: (output, y) to a number; by default cross entropy for classes, squared error for
            other targets.
        base: the first index, 0 or 1.
        lang: "en" or "zh".

    Returns:
        A ModelExplanation: layers, norms, maps of δ, shares, fields, and every cell's equation.

    Raises:
        ArgumentError: no module, or an output that is no tensor.
        NumericsError: a NaN in the example.

    >>> import numpy as np
    >>> from rot180 import nn
    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))
    >>> m = explain_model(net, np.ones((1, 4, 4), np.float32), 2)
    >>> [layer.output for layer in m.layers], m["δ_w1"].shape
    (['z1', 'z2', 'z3', 'z4'], (2, 1, 3, 3))
    >>> m["δ_w1"][0, 0, 1, 1].agrees
    True
    """
    if not hasattr(model, "named_modules") or not callable(model):
        raise ArgumentError(
            "explain: no model", expected="a module with named_modules", got=type(model).__name__
        )
    listed = getattr(model, "named_parameters")()  # noqa: B009
    parameters = {path: t for path, t in listed if t.requires_grad}
    given, target = _example(x, y, parameters)
    measure = loss or (cross_entropy if target.dtype.kind in "iu" else mse_loss)
    ran: list[_Ran] = []
    tape = record(
        lambda t: measure(_run_watched(model, t, ran), target),
        [given],
        None,
        list(parameters.values()),
        watched=lambda: [entry.output for entry in ran],
    )
    outputs = dict(zip(map(id, tape.watched), ran, strict=True))  # the last layer of one output
    order = list({id(v): v for v in tape.watched}.values())
    learned = dict(zip(parameters, tape.inputs[1:], strict=True))
    names: dict[int, str] = {id(tape.inputs[0]): "x", id(tape.output): "L"}
    about: list[tuple[Value, _Ran, tuple[str, ...]]] = []
    for value in order:
        if id(value) in names or value.step is None:
            continue
        entry, number = outputs[id(value)], len(about) + 1
        names[id(value)] = f"z{number}"
        own = {f"{entry.path}.{word}".lstrip("."): word for word in ("weight", "bias")}
        letters = {"weight": "w", "bias": "b"}
        found = {path: f"{letters[word]}{number}" for path, word in own.items() if path in learned}
        names |= {id(learned[path]): name for path, name in found.items()}
        about.append((value, entry, tuple(found.values())))
    names = {id(value): path for path, value in learned.items()} | names
    made = ModelExplanation(
        type(model).__name__, tape, names, base=base, lang=lang, single=len(given.data) == 1
    )
    made.layers = tuple(
        Layer(
            number, entry.path, entry.kind, value.name, made.delta_name(value), own,
            value.shape[1:] if value.shape[:1] == (1,) else value.shape,
        )
        for number, (value, entry, own) in enumerate(about, start=1)
    )  # fmt: skip
    return made


@dataclass(frozen=True)
class _Ran:
    """A layer that ran: where it is, what it is, what it made."""

    path: str
    kind: str
    output: Tensor


def _example(x: Any, y: Any, parameters: Mapping[str, Tensor]) -> tuple[Tensor, Array]:
    """The input as a leaf of the parameters' data type, and the target; both as a batch."""
    dtype = next((t.dtype for t in parameters.values()), np.dtype(np.float32))
    data = np.asarray(x.data if isinstance(x, Tensor) else x, dtype)
    target = np.asarray(y.data if isinstance(y, Tensor) else y)
    check_finite("x", data)
    if target.dtype.kind == "f":
        check_finite("y", target)
        target = target.astype(dtype)
    if target.ndim == 0:
        data, target = (
            data[np.newaxis] if data.shape[0] != 1 or data.ndim < 4 else data,
            target[None],
        )
    return Tensor(np.array(data), requires_grad=True), target


def _run_watched(model: Any, x: Tensor, ran: list[_Ran]) -> Tensor:
    """Run the model in evaluation mode, and note the output of every layer without layers."""
    leaves = [(p, m) for p, m in model.named_modules() if not list(m.children())]
    removals = [module.register_forward_hook(_noting(path, ran)) for path, module in leaves]
    was_training = model.training
    model.eval()
    try:
        output = model(x)
    finally:
        model.train(was_training)
        for remove in removals:
            remove()
    if not isinstance(output, Tensor):
        raise ArgumentError("explain: the model must return a tensor", got=type(output).__name__)
    return output


def _noting(path: str, ran: list[_Ran]) -> Callable[..., None]:
    def hook(module: Any, arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            ran.append(_Ran(path, type(module).__name__, output))

    return hook
