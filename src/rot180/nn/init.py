"""First values of parameters. Every function writes in place and takes a generator of its own.

Numbers are drawn in float64 and then rounded, so that one seed gives the same network in float32
and float64. `fan_in` is the number of inputs that one output adds up.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from rot180.core import Tensor, default_generator
from rot180.errors import ArgumentError, ShapeError

__all__ = [
    "INITS",
    "Init",
    "calculate_gain",
    "constant_",
    "default_",
    "fans",
    "init_by_name",
    "kaiming_normal_",
    "kaiming_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

Generator: TypeAlias = np.random.Generator | None
Init: TypeAlias = Callable[[Tensor, Generator], Tensor]


def fans(tensor: Tensor) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight (out, in, taps...): in · taps and out · taps.

    For the weight (in, out, taps...) of a transposed convolution they are the other way round, as
    in PyTorch.

    Raises:
        ShapeError: fewer than two axes.
    """
    if tensor.ndim < 2:
        raise ShapeError(
            "init: fan in and fan out", expected="at least two axes", got=f"shape {tensor.shape}"
        )
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much an activation shrinks the standard deviation, inverted.

    Args:
        nonlinearity: "linear", "sigmoid", "tanh", "relu" or "leaky_relu".
        param: the negative slope of leaky_relu, 0.01 when not given.

    Raises:
        ArgumentError: another name.

    >>> round(calculate_gain("relu"), 4)
    1.4142
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else float(param)
        return math.sqrt(2.0 / (1.0 + slope * slope))
    if nonlinearity not in _GAINS:
        raise ArgumentError(
            "calculate_gain", expected=", ".join([*_GAINS, "leaky_relu"]), got=repr(nonlinearity)
        )
    return _GAINS[nonlinearity]


_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0)}


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Numbers uniform in a ... b."""
    drawn = (generator or default_generator()).uniform(a, b, tensor.shape)
    tensor.writable()[...] = drawn
    return tensor


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None
) -> Tensor:
    """Normally distributed numbers."""
    drawn = (generator or default_generator()).normal(mean, std, tensor.shape)
    tensor.writable()[...] = drawn
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """One number everywhere."""
    tensor.writable()[...] = val
    return tensor


def zeros_(tensor: Tensor, generator: Generator = None) -> Tensor:
    """Zeros; nothing is drawn."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor, generator: Generator = None) -> Tensor:
    """Ones; nothing is drawn."""
    return constant_(tensor, 1.0)


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ArgumentError("kaiming: mode", expected="fan_in or fan_out", got=repr(mode))
    fan = fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(fan) if fan else 0.0


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Uniform with standard deviation gain / √fan (He et al., 2015).

    Args:
        tensor: the weight, at least two axes.
        a: the negative slope after it (leaky_relu).
        mode: "fan_in" keeps the variance forwards, "fan_out" backwards.
        nonlinearity: what follows the layer, see `calculate_gain`.
        generator: where the numbers come from; the default generator when not given.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Normal with standard deviation gain / √fan (He et al., 2015); see `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def _xavier_std(tensor: Tensor, gain: float) -> float:
    total = sum(fans(tensor))
    return gain * math.sqrt(2.0 / total) if total else 0.0


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Uniform with standard deviation gain · √(2 / (fan_in + fan_out)); Glorot and Bengio, 2010."""
    bound = math.sqrt(3.0) * _xavier_std(tensor, gain)
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Normal with standard deviation gain · √(2 / (fan_in + fan_out)); Glorot and Bengio, 2010."""
    return normal_(tensor, 0.0, _xavier_std(tensor, gain), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Rows (or, where there are more rows than columns, columns) orthogonal, of length gain.

    Saxe, McClelland and Ganguli, 2014. Axes after the first count as columns.
    """
    fans(tensor)
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    drawn = (generator or default_generator()).normal(size=(max(rows, columns), min(rows, columns)))
    q, r = np.linalg.qr(drawn)
    q *= np.sign(np.diagonal(r))  # makes the distribution uniform
    tensor.writable()[...] = gain * (q if rows >= columns else q.T).reshape(tensor.shape)
    return tensor


def default_(tensor: Tensor, generator: Generator = None) -> Tensor:
    """PyTorch's start of linear layers and convolutions: uniform in ±1/√fan_in."""
    return uniform_around(tensor, fans(tensor)[0], generator)


def uniform_around(tensor: Tensor, fan: int, generator: Generator = None) -> Tensor:
    """Uniform in ±1/√fan, for a bias beside a weight of this fan_in; zeros when fan is 0."""
    bound = 1.0 / math.sqrt(fan) if fan else 0.0
    return uniform_(tensor, -bound, bound, generator)


def _named(function: Callable[..., Tensor], **options: Any) -> Init:
    def init(tensor: Tensor, generator: Generator = None) -> Tensor:
        return function(tensor, **options, generator=generator)

    return init


INITS: dict[str, Init] = {
    "default": default_,
    "he_normal": _named(kaiming_normal_, nonlinearity="relu"),
    "he_uniform": _named(kaiming_uniform_, nonlinearity="relu"),
    "glorot_normal": _named(xavier_normal_),
    "glorot_uniform": _named(xavier_uniform_),
    "orthogonal": _named(orthogonal_),
    "normal": _named(normal_, std=0.01),
    "uniform": _named(uniform_, a=-0.05, b=0.05),
    "zeros": zeros_,
    "ones": ones_,
}
INITS["he"] = INITS["kaiming_normal"] = INITS["he_normal"]
INITS["kaiming_uniform"] = INITS["he_uniform"]
INITS["xavier_normal"] = INITS["glorot_normal"]
INITS["glorot"] = INITS["xavier"] = INITS["xavier_uniform"] = INITS["glorot_uniform"]
INITS["kaiming"] = INITS["he"]


def init_by_name(name: str) -> Init:
    """The initialiser of a name: a function of the tensor and a generator (or None).

    Args:
        name: "default" (PyTorch's), "he" (normal, for ReLU; also "he_uniform", "kaiming", ...),
            "glorot" (uniform; also "glorot_normal", "xavier", ...), "orthogonal", "normal"
            (standard deviation 0.01), "uniform" (±0.05), "zeros" or "ones".

    Raises:
        ArgumentError: another name.

    >>> from rot180.core import tensor
    >>> init_by_name("ones")(tensor([[0.0, 0.0]]), None)
    tensor([[1., 1.]])
    """
    if name not in INITS:
        raise ArgumentError("init_by_name", expected=", ".join(INITS), got=repr(name))
    return INITS[name]
