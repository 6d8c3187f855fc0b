"""Batch norm: δx = γ/σ · (g − mean g − x̂ · mean(g·x̂)) in training, γ/σ · g in evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.factors import factors
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.plain import entry, once
from rot180.check.mistake import Answer, Case
from rot180.core import Array, Tensor
from rot180.ops import batch_norm

__all__ = ["BATCH_NORM"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]
Make = Callable[[Case], "Array | None"]
_INPUTS = ("x", "w", "b", "running_mean", "running_var")


def _forward(operation: str, arrays: Arrays, options: Options) -> Array:
    running = [Tensor(arrays[name].copy()) if name in arrays else None for name in _INPUTS[3:]]
    is_training = bool(options.get("training", True))
    return batch_norm(
        arrays["x"], running[0], running[1], arrays.get("w"), arrays.get("b"), is_training,
        eps=options.get("eps", 1e-5),
    ).data  # fmt: skip


def _prepare(operation: str, arrays: Arrays, options: Options) -> Case:
    case = Case(operation, dict(arrays), dict(options))
    x, g = arrays["x"], arrays["g"]
    axes = (0, *range(2, x.ndim))
    column = (1, -1, *(1,) * (x.ndim - 2))
    is_training = bool(options.get("training", True))
    eps = options.get("eps", 1e-5)
    mean, var = x.mean(axes, keepdims=True), x.var(axes, keepdims=True)
    own = (x - mean) / np.sqrt(var + eps), 1 / np.sqrt(var + eps)
    kept = own
    if "running_mean" in arrays and "running_var" in arrays:
        spread = 1 / np.sqrt(arrays["running_var"].reshape(column) + eps)
        kept = (x - arrays["running_mean"].reshape(column)) * spread, spread
    gamma = arrays["w"].reshape(column) if "w" in arrays else np.ones(column)
    z, scale = own if is_training else kept
    count = x.size // x.shape[1]
    case.extra = {
        "axes": axes, "gamma": gamma, "z": z, "scale": scale, "own": own, "kept": kept,
        "training": is_training, "unbiased": np.sqrt((count - 1) / count), "eps": eps,
        "has_running": kept is not own,
    }  # fmt: skip
    right = _trained(case, g, gamma, own) if is_training else g * gamma * scale
    size = np.abs(g * gamma) * scale
    size = size + size.max(axes, keepdims=True) * (1 + np.abs(z)) + 1e-3 * np.abs(right)
    case.answers["dx"] = Answer(right, size)
    case.answers["dw"] = Answer((g * z).sum(axes), np.abs(g).sum(axes) * np.abs(z).max())
    case.answers["db"] = Answer(g.sum(axes), np.abs(g).sum(axes))
    case.facts = {"N": x.shape[0], "positions": count // x.shape[0]}
    return case


def _m(case: Case, a: Array) -> Array:
    return np.asarray(a.mean(case.extra["axes"], keepdims=True))


def _trained(case: Case, g: Array, gamma: Array, own: tuple[Array, Array]) -> Array:
    z, scale = own
    d = g * gamma
    return np.asarray(scale * (d - _m(case, d) - z * _m(case, d * z)))


def _in_training(make: Callable[[Case, Array, Array, Array], Array]) -> Make:
    """A formula of (case, g·γ, x̂, 1/σ) that shows in training."""

    def arrays(case: Case) -> Array | None:
        e = case.extra
        if not e["training"]:
            return None
        return make(case, case.arrays["g"] * e["gamma"], e["z"], e["scale"])

    return arrays


def _partly_scaled(case: Case) -> Iterator[Array]:
    e, g = case.extra, case.arrays["g"]
    if not e["training"]:
        return
    z, scale, gamma = e["z"], e["scale"], e["gamma"]
    d = g * gamma
    yield scale * (d - _m(case, g) - z * _m(case, g * z))
    yield scale * (g - _m(case, d) - z * _m(case, d * z))
    yield scale * (d - _m(case, d) - z * _m(case, g * z))
    yield scale * (d - _m(case, g) - z * _m(case, d * z))


def _gamma_missing(case: Case) -> Array:
    e, g = case.extra, case.arrays["g"]
    one = np.ones_like(e["gamma"])
    return _trained(case, g, one, e["own"]) if e["training"] else g * e["scale"]


def _other_mode(case: Case) -> Array | None:
    e, g = case.extra, case.arrays["g"]
    if e["training"]:
        return g * e["gamma"] * e["kept"][1] if e["has_running"] else None
    return _trained(case, g, e["gamma"], e["own"])


def _without_g(case: Case) -> Array:
    e = case.extra
    ones = np.ones_like(case.arrays["g"])
    if e["training"]:
        return _trained(case, ones, e["gamma"], e["own"])
    return np.asarray(ones * e["gamma"] * e["scale"])


def _without_eps(case: Case, d: Array, z: Array, s: Array) -> Array:
    x = case.arrays["x"]
    scale = 1 / np.sqrt(x.var(case.extra["axes"], keepdims=True))
    return _trained(case, d, np.ones_like(case.extra["gamma"]), ((x - _m(case, x)) * scale, scale))


def _unbiased(case: Case, d: Array, z: Array, s: Array) -> Array:
    u = case.extra["unbiased"]
    return _trained(case, d, np.ones_like(case.extra["gamma"]), (z * u, s * u))


MISTAKES = (
    entry("mean and variance taken for constants", "dx", "norm",
          once(_in_training(lambda case, d, z, s: d * s)),
          "γ/σ·g instead of γ/σ·(g − mean g − x̂·mean(g·x̂))",
          "mean and variance depend on every x of the batch"),
    entry("variance taken for a constant", "dx", "norm",
          once(_in_training(lambda case, d, z, s: s * (d - _m(case, d)))),
          "the term x̂·mean(g·x̂) is missing", "the variance depends on x, too"),
    entry("mean taken for a constant", "dx", "norm",
          once(_in_training(lambda case, d, z, s: s * (d - z * _m(case, d * z)))),
          "the term mean g is missing", "the mean depends on x, too"),
    entry("evaluated as in the other mode", "dx", "norm", once(_other_mode),
          "training and evaluation have different backward passes",
          "in evaluation the statistics are constants: γ/σ·g"),
    entry("scale missing", "dx", "norm", once(_gamma_missing), "γ left out", "multiply by γ"),
    entry("scale missing in part", "dx", "norm", _partly_scaled,
          "γ in some terms only", "put g·γ in for g everywhere"),
    entry("not divided by the deviation", "dx", "norm",
          once(_in_training(lambda case, d, z, s: d - _m(case, d) - z * _m(case, d * z))),
          "1/σ left out", "multiply by 1/σ"),
    entry("divided by the variance", "dx", "norm",
          once(_in_training(lambda case, d, z, s: s * s * (d - _m(case, d) - z * _m(case, d * z)))),
          "1/σ² instead of 1/σ", "multiply by 1/σ once"),
    entry("unbiased variance", "dx", "norm", once(_in_training(_unbiased)),
          "σ² with m − 1 in place of m", "the batch is normalised by the biased variance", 11),
    entry("sums in place of means", "dx", "norm",
          once(_in_training(lambda case, d, z, s: s * (
              d - (_m(case, d) + z * _m(case, d * z)) * (z.size // z.shape[1])))),
          "Σ g + x̂·Σ g·x̂ instead of the means", "divide the sums by m"),
    entry("sign of a term", "dx", "norm",
          once(_in_training(lambda case, d, z, s: s * (d - _m(case, d) + z * _m(case, d * z)))),
          "+ x̂·mean(g·x̂)", "both terms are subtracted", 11),
    entry("eps left out", "dx", "norm", once(_in_training(_without_eps)),
          "σ without eps", "the forward pass divides by √(σ² + eps)", 12),
    entry("upstream gradient dropped", "dx", "chain", once(_without_g), "g left out",
          "multiply by the upstream gradient"),
    *factors("dx"),
    entry("scale's gradient from the input", "dw", "norm",
          once(lambda case: (case.arrays["g"] * case.arrays["x"]).sum(case.extra["axes"])),
          "Σ g·x instead of Σ g·x̂", "δγ reads the normalised x̂"),
    entry("scale's gradient summed over the batch only", "dw", "norm",
          once(lambda case: (case.arrays["g"] * case.extra["z"]).sum(0)),
          "Σ_n instead of Σ over all but channels", "sum over every axis but the channels"),
    entry("scale's gradient multiplied by the scale", "dw", "norm",
          once(lambda case: case.answers["dw"].value * case.extra["gamma"].reshape(-1)),
          "γ·Σ g·x̂", "z = γ·x̂: its derivative by γ is x̂", 11),
    *factors("dw"),
    entry("shift's gradient summed over the batch only", "db", "norm",
          once(lambda case: case.arrays["g"].sum(0)),
          "Σ_n instead of Σ over all but channels", "sum over every axis but the channels"),
    entry("shift's gradient multiplied by the scale", "db", "norm",
          once(lambda case: case.answers["db"].value * case.extra["gamma"].reshape(-1)),
          "γ·Σ g", "z = … + β: its derivative by β is 1", 11),
    *factors("db"),
)  # fmt: skip


def _draw(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    shapes = dict(trial.shapes)
    found = {name: rng.standard_normal(shape) for name, shape in trial.shapes}
    found["x"] = 0.3 * found["x"] + 0.5
    channels = shapes["x"][1]
    found["running_mean"] = rng.standard_normal(channels)
    found["running_var"] = rng.random(channels) + 0.5
    return found


def _trials(operation: str) -> Iterator[Trial]:
    for training in (True, False):
        for n, c, h in ((3, 2, 2), (3, 2, 4), (5, 3, 2)):
            x = (("x", (n, c, h, h)), ("w", (c,)), ("b", (c,)))
            yield Trial(x, (("training", training), ("eps", 1e-2)))


BATCH_NORM = Family(
    ("batch_norm",), _INPUTS, ("x",), (("dx", "x"), ("dw", "w"), ("db", "b")), ("training", "eps"),
    _forward, _prepare, MISTAKES, _draw, _trials,
)  # fmt: skip
