"""JAX's side of the benchmarks: the same networks, channels last, jitted whole: see `turns`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from benchmarks.networks import INPUTS, SEQUENTIAL, STAGES, images
from jax import lax

__all__ = ["inference", "set_threads", "training"]

Work = tuple[Callable[[], object], int]
Values = dict[str, Any]

RATE = 1e-5
MOMENTUM = 0.9


def set_threads(threads: int) -> None:
    """Nothing to do: XLA takes one thread for each processor that the process may use."""


def shapes(name: str, classes: int = 10) -> dict[str, tuple[int, ...]]:
    """Key to shape, of all parameters, in PyTorch's orders."""
    channels, size = INPUTS[name]
    found: dict[str, tuple[int, ...]] = {}

    def layer(key: str, *shape: int) -> None:
        found[f"{key}.weight"] = shape
        found[f"{key}.bias"] = shape[:1]

    if name == "resnet20":
        found["conv1.weight"] = (16, channels, 3, 3)
        layer("bn1", 16)
        for stage, (before, filters, stride) in enumerate(STAGES, start=1):
            for block in range(3):
                key, inside = f"layer{stage}.{block}", filters if block else before
                found[f"{key}.conv1.weight"] = (filters, inside, 3, 3)
                layer(f"{key}.bn1", filters)
                found[f"{key}.conv2.weight"] = (filters, filters, 3, 3)
                layer(f"{key}.bn2", filters)
                if not block and (stride != 1 or before != filters):
                    found[f"{key}.shortcut.0.weight"] = (filters, before, 1, 1)
                    layer(f"{key}.shortcut.1", filters)
        layer("fc", classes, 64)
        return found
    convolutions, hidden = SEQUENTIAL[name]
    at = 0
    for filters, kernel, padding in convolutions:
        if not filters:
            size, at = size // kernel, at + 1
            continue
        layer(f"features.{at}", filters, channels, kernel, kernel)
        channels, size, at = filters, size + 2 * padding - kernel + 1, at + 2
    before = channels * size**2
    for number, width in enumerate((*hidden, classes)):
        layer(f"classifier.{2 * number}" if hidden else "classifier", width, before)
        before = width
    return found


def _initial(name: str, weights: dict[str, np.ndarray] | None) -> tuple[Values, Values]:
    """Parameters, kernels as (rows, columns, in, out), matrices as (in, out); statistics."""
    rng = np.random.default_rng(0)
    values, statistics = {}, {}
    for key, shape in shapes(name).items():
        fan = int(np.prod(shape[1:]))
        if weights is not None:
            array = weights[key]
        elif fan > 1:
            array = rng.standard_normal(shape) * np.sqrt(1 / fan)
        else:
            array = np.full(shape, 1.0 if key.endswith("weight") else 0.0)
        order = {4: (2, 3, 1, 0), 2: (1, 0)}.get(len(shape), (0,))
        values[key] = jnp.asarray(np.transpose(array, order), jnp.float32)
        if len(shape) == 1 and key.endswith("weight"):
            stem = key.removesuffix("weight")
            statistics[f"{stem}running_mean"] = jnp.zeros(shape)
            statistics[f"{stem}running_var"] = jnp.ones(shape)
    return values, statistics


def _conv(x: Any, w: Any, stride: int = 1, padding: int = 1) -> Any:
    edge = (padding, padding)
    return lax.conv_general_dilated(
        x, w, (stride, stride), (edge, edge), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _sequential(name: str, values: Values, x: Any) -> Any:
    convolutions, hidden = SEQUENTIAL[name]
    at = 0
    for filters, kernel, padding in convolutions:
        if filters:
            w, b = values[f"features.{at}.weight"], values[f"features.{at}.bias"]
            x, at = jax.nn.relu(_conv(x, w, 1, padding) + b), at + 2
        else:
            window = (1, kernel, kernel, 1)
            x, at = lax.reduce_window(x, -jnp.inf, lax.max, window, window, "VALID"), at + 1
    x = x.transpose(0, 3, 1, 2).reshape(len(x), -1)  # the order that the weights were made for
    if not hidden:
        return x @ values["classifier.weight"] + values["classifier.bias"]
    for number in range(len(hidden) + 1):
        key = f"classifier.{2 * number}"
        x = x @ values[f"{key}.weight"] + values[f"{key}.bias"]
        x = jax.nn.relu(x) if number < len(hidden) else x
    return x


def _residual(values: Values, statistics: Values, x: Any, learns: bool) -> tuple[Any, Values]:
    moved: Values = {}

    def norm(x: Any, key: str) -> Any:
        names = f"{key}.running_mean", f"{key}.running_var"
        mean, var = (statistics[n] for n in names)
        if learns:
            axes = (0, 1, 2)
            mean, var = x.mean(axes), x.var(axes)
            count = x.size // x.shape[-1]
            unbiased = var * (count / max(1, count - 1))
            for n, now in zip(names, (mean, unbiased), strict=True):
                moved[n] = 0.9 * statistics[n] + 0.1 * now
        scale = values[f"{key}.weight"] * lax.rsqrt(var + 1e-5)
        return (x - mean) * scale + values[f"{key}.bias"]

    x = jax.nn.relu(norm(_conv(x, values["conv1.weight"]), "bn1"))
    for stage, (_, _, stride) in enumerate(STAGES, start=1):
        for block in range(3):
            key, step = f"layer{stage}.{block}", 1 if block else stride
            inner = norm(_conv(x, values[f"{key}.conv1.weight"], step), f"{key}.bn1")
            inner = norm(_conv(jax.nn.relu(inner), values[f"{key}.conv2.weight"]), f"{key}.bn2")
            project = values.get(f"{key}.shortcut.0.weight")
            if project is not None:
                x = norm(_conv(x, project, step, 0), f"{key}.shortcut.1")
            x = jax.nn.relu(inner + x)
    return x.mean((1, 2)) @ values["fc.weight"] + values["fc.bias"], moved


def _logits(
    name: str, values: Values, statistics: Values, x: Any, learns: bool
) -> tuple[Any, Values]:
    if name == "resnet20":
        return _residual(values, statistics, x, learns)
    return _sequential(name, values, x), statistics


def _given(name: str, batch: int) -> tuple[Any, Any]:
    x, y = images(name, batch)
    return jnp.asarray(x.transpose(0, 2, 3, 1)), jnp.asarray(y)


def training(name: str, batch: int, weights: dict[str, np.ndarray] | None = None) -> Work:
    """A training step, whose value is the loss."""
    x, y = _given(name, batch)

    def loss_of(values: Values, statistics: Values, x: Any, y: Any) -> tuple[Any, Values]:
        logits, moved = _logits(name, values, statistics, x, True)
        chosen = jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1)
        return -chosen.mean(), moved

    def update(state: tuple[Values, Values, Values], x: Any, y: Any) -> tuple[Any, Any]:
        values, statistics, velocity = state
        (loss, moved), g = jax.value_and_grad(loss_of, has_aux=True)(values, statistics, x, y)
        velocity = jax.tree.map(lambda v, g: MOMENTUM * v + g, velocity, g)
        values = jax.tree.map(lambda p, v: p - RATE * v, values, velocity)
        return (values, moved, velocity), loss

    jitted = jax.jit(update, donate_argnums=0)
    values, statistics = _initial(name, weights)
    state = [(values, statistics, jax.tree.map(jnp.zeros_like, values))]

    def step() -> float:
        state[0], loss = jitted(state[0], x, y)
        jax.block_until_ready(state[0])
        return float(loss)

    return step, 1


def inference(name: str, batch: int, weights: dict[str, np.ndarray] | None = None) -> Work:
    """The logits of a batch, in evaluation mode."""
    x, _ = _given(name, batch)
    values, statistics = _initial(name, weights)
    predict = jax.jit(lambda values, statistics, x: _logits(name, values, statistics, x, False)[0])
    return lambda: np.asarray(predict(values, statistics, x)), 1
