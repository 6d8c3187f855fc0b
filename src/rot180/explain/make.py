"""Explanations from sizes or arrays: of any function, and of every operation by its name."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from rot180.core import Array, Tensor
from rot180.errors import ArgumentError, NumericsError
from rot180.explain.explanation import Explanation
from rot180.explain.geometry import window_of
from rot180.explain.tape import record

__all__ = ["LETTERS", "check_finite", "explain", "explain_call", "sample", "to_tensor"]

LETTERS = {
    "input": "x", "weight": "w", "bias": "b", "other": "y", "target": "t", "grad_output": "g",
    "parameters": "w", "input1": "x", "input2": "y", "tensor": "x", "exponent": "y",
}  # fmt: skip
"""How the arguments of operations are called in formulas."""

_LARGE = 1 << 16


def explain(
    function: Callable[..., Any],
    *arrays: Any,
    g: Any = None,
    base: int = 0,
    lang: str = "en",
    upstream: str = "δ",
    **options: Any,
) -> Explanation:
    """Explain what a function of rot180's operations computes on some arrays, and its gradients.

    The function is run once, forward and backward; every operation that it uses is recorded with
    its declaration, from which all formulas are read. A module is run in the mode it is in.

    Args:
        function: an operation, a module, or a function of your own on tensors.
        *arrays: its arguments: tensors, arrays, numbers or nested lists. Floating point is
            explained; numbers and lists become float64, NumPy integers stay integers.
        g: the upstream gradient, of the result's shape; small integers by default, 1 for a number.
        base: the first index, 0 or 1.
        lang: "en" or "zh".
        upstream: "δ" writes the upstream gradient as δ_00, "δ_z" as δ_z00.
        **options: further arguments of the function.

    Raises:
        NumericsError: an array holds NaN.
        ArgumentError: nothing to explain: no tensor comes back, or it does not depend on arrays.

    >>> import rot180 as rt
    >>> e = rt.explain(lambda x, y, z: (x + y) * z, -2, 5, -4)
    >>> e.f[()], e.da1[()], e.dx[()], e.dz[()]
    (f = a1·z, δ_a1 = δ·z, δ_x = δ_a1, δ_z = δ·a1)
    >>> print(e.da1[()].numbers)
    δ_a1 = 1·(−4) = −4
    """
    inputs = [to_tensor(a) for a in arrays]
    tensors = [t for t in inputs if isinstance(t, Tensor) and t.requires_grad]
    named = dict(_parameters(function))
    if not tensors and not named:
        raise ArgumentError("explain: no array in floating point is among the arguments")
    names = _names(function, inputs, named)
    for t in [*tensors, *named.values()]:
        check_finite(names[id(t)], t.data)

    def call(*given: Tensor) -> Any:
        found = iter(given)
        args = [next(found) if a in _Members(tensors) else a for a in inputs]
        return function(*args, **options)

    return explain_call(
        _title(function), call, tensors, names, g=g, base=base, lang=lang, upstream=upstream,
        options=options, parameters=list(named.values()),
    )  # fmt: skip


class _Members:
    """Membership by identity (tensors compare cell by cell)."""

    def __init__(self, items: Sequence[Any]) -> None:
        self._ids = {id(item) for item in items}

    def __contains__(self, item: object) -> bool:
        return id(item) in self._ids


def explain_call(
    title: str,
    call: Callable[..., Any],
    tensors: Sequence[Tensor],
    names: Mapping[int, str],
    *,
    g: Any = None,
    base: int = 0,
    lang: str = "en",
    upstream: str = "δ",
    spatial: int | None = None,
    options: Mapping[str, Any] | None = None,
    parameters: Sequence[Tensor] = (),
    seed: int = 0,
    window: Any = None,
    again: Callable[..., Explanation] | None = None,
) -> Explanation:
    """Record a call and explain it; `names` gives a name to the identity of every tensor."""

    def make(shape: tuple[int, ...]) -> Array:
        if g is None:
            rng = np.random.default_rng(seed + 1)
            return sample(shape, rng) if shape else np.ones(())
        given = np.asarray(g.data if isinstance(g, Tensor) else g, np.float64)
        if given.size != int(np.prod(shape)) or (
            given.ndim and given.shape != shape[-given.ndim :]
        ):
            raise ArgumentError(
                f"explain: shape of the upstream gradient of {title}",
                expected=str(shape),
                got=str(given.shape),
            )
        check_finite("δ", given)
        return given.reshape(shape)

    tape = record(call, tensors, make, parameters)
    by_value = {id(v): names[id(t)] for v, t in zip(tape.inputs, _distinct([*tensors, *parameters]),
                                                    strict=True)}  # fmt: skip
    if window is None:
        found = [w for w in (window_of(s.kind) for s in tape.steps if not s.backward) if w]
        window = found[0] if len(found) == 1 else None
    if spatial is None and window is not None:
        spatial = len(window.axes)
    return Explanation(
        title, tape, by_value, spatial=spatial, base=base, lang=lang, upstream=upstream,
        window=window, options=options, again=again,
    )  # fmt: skip


def _distinct(tensors: Sequence[Tensor]) -> list[Tensor]:
    return list({id(t): t for t in tensors}.values())


def to_tensor(value: Any) -> Any:
    """What the function is called with: float arrays as leaves that get a gradient."""
    if isinstance(value, Tensor):
        data = value.data
    elif isinstance(value, np.ndarray | np.generic):
        data = np.asarray(value)
    elif isinstance(value, bool | str) or value is None or callable(value):
        return value
    else:
        try:
            data = np.asarray(value, np.float64)
        except (TypeError, ValueError):
            return value
    return Tensor(data, requires_grad=True) if data.dtype.kind == "f" else data


def check_finite(name: str, data: Array) -> None:
    """Raise a NumericsError where an array holds NaN or infinity."""
    bad = np.argwhere(~np.isfinite(data))
    if len(bad):
        raise NumericsError(
            f"explain: {name} holds a cell that is no finite number",
            got=f"{data[tuple(bad[0])]} at {tuple(int(i) for i in bad[0])}, {len(bad)} such cells",
        )


def _parameters(function: Callable[..., Any]) -> list[tuple[str, Tensor]]:
    """Names and tensors of a module's parameters; none for a plain function."""
    listed = getattr(function, "named_parameters", None)
    found = [] if listed is None else list(listed())
    return [(name, t) for name, t in found if t.requires_grad]


def _names(
    function: Callable[..., Any], inputs: Sequence[Any], parameters: Mapping[str, Tensor]
) -> dict[int, str]:
    """A name for every tensor: from the signature, and from the names of parameters."""
    try:
        words = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        words = []
    names: dict[int, str] = {}
    taken = {"δ", "z"} if "z" not in words else {"δ"}
    for i, t in enumerate(inputs):
        if not isinstance(t, Tensor) or id(t) in names:
            continue
        word = words[i] if i < len(words) and not parameters else "x"
        word = "x" if word in ("args", "xs", "tensors", "self") else LETTERS.get(word, word)
        names[id(t)] = _fresh(word, taken)
    for path, t in parameters.items():
        word = path if "." in path else LETTERS.get(path, path)
        if id(t) not in names:
            names[id(t)] = _fresh(word, taken)
    return names


def _fresh(word: str, taken: set[str]) -> str:
    found = next(w for w in (word, *(f"{word}{i}" for i in range(2, len(taken) + 3)))
                 if w not in taken)  # fmt: skip
    taken.add(found)
    return found


def _title(function: Callable[..., Any]) -> str:
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else str(name)


def sample(shape: tuple[int, ...], rng: np.random.Generator, positive: bool = False) -> Array:
    """Small integers without 0, as in a worked example; distinct where there is room for it."""
    cells = int(np.prod(shape))
    if positive and cells <= 64:
        return rng.permutation(np.arange(1.0, cells + 1)).reshape(shape)
    numbers = np.array([1, 2, 3, 4] if positive else [-4, -3, -2, -1, 1, 2, 3, 4])
    table = numbers.astype(np.float64 if cells <= _LARGE else np.float32)
    found: Array = table[rng.integers(0, len(table), shape, np.uint8)]
    return found
