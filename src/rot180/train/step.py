"""`rt.compile`, and the step as NumPy runs it where nothing is compiled.

`Eager` and `Compiled` are two ways to the same numbers: both make a step, evaluate and predict, and
both leave the model's output in `output` and the gradients where `gradients()` finds them.
"""

from __future__ import annotations

import contextlib
import functools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from rot180.core import Tensor, no_grad
from rot180.errors import ArgumentError
from rot180.jit import get_num_threads, set_num_threads
from rot180.optim import Optimizer, clip_grad_norm_, clip_grad_value_
from rot180.train.modes import as_input, in_evaluation

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rot180.nn import Module
    from rot180.train.settings import Settings

__all__ = ["Eager", "Step", "choose", "compile", "how_it_runs", "why_eager", "with_threads"]

Loss: TypeAlias = Callable[[Tensor, Any], Tensor]


class Step(Protocol):
    """What `Eager` and `Compiled` have in common."""

    output: NDArray[Any]

    def __call__(self, x: Any, y: Any = None) -> Any:
        """One training step: the loss before the update."""
        ...

    def evaluate(self, x: Any, y: Any) -> float:
        """The loss in evaluation mode."""
        ...

    def predict(self, x: Any) -> NDArray[Any]:
        """What the model says in evaluation mode."""
        ...

    def gradients(self) -> dict[str, NDArray[Any]]:
        """The gradients of the latest step before any bound, by parameter."""
        ...


class Eager:
    """A step, evaluation and prediction, operation by operation.

    Attributes:
        model, loss, optimizer: what is run.
        output: what the model said in the latest step or evaluation, (N, ...).
    """

    def __init__(
        self,
        model: Module,
        loss: Loss | None,
        optimizer: Optimizer | None,
        *,
        clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.clip_grad_norm, self.clip_grad_value = clip_grad_norm, clip_grad_value
        self.output: NDArray[Any] = np.zeros(0)

    def __call__(self, x: Any, y: Any = None) -> Any:
        """One training step: returns the loss. Without an optimiser: what `predict` does."""
        if self.optimizer is None:
            return self.predict(x)
        value = self.backward(x, y)
        if math.isfinite(value):
            self.update()
        return value

    def backward(self, x: Any, y: Any, *, anew: bool = True, share: int = 1) -> float:
        """The first part of a step: the loss, and its gradients added to what is there.

        Args:
            x: images.
            y: targets.
            anew: set the gradients to zero before.
            share: the loss counts by 1 / share.

        Returns:
            The loss. One that is not finite has no backward pass.
        """
        output = self.model(as_input(x, self.model))
        loss = self._loss()(output, y)
        self.output, value = output.numpy(), float(loss.item())
        if math.isfinite(value):
            assert self.optimizer is not None
            if anew:
                self.optimizer.zero_grad()
            (loss if share == 1 else loss / share).backward()
        return value

    def update(self) -> None:
        """The second part of a step: bound the gradients and move the parameters."""
        assert self.optimizer is not None
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        if self.clip_grad_value is not None:
            clip_grad_value_(parameters, self.clip_grad_value)
        if self.clip_grad_norm is not None:
            clip_grad_norm_(parameters, self.clip_grad_norm)
        self.optimizer.step()

    def gradients(self) -> dict[str, NDArray[Any]]:
        """The gradients that the parameters hold now, by name."""
        return {
            name: parameter.grad.numpy()
            for name, parameter in self.model.named_parameters()
            if parameter.grad is not None
        }

    def evaluate(self, x: Any, y: Any) -> float:
        """The loss in evaluation mode, without a graph; `output` holds what the model said."""
        with in_evaluation(self.model), no_grad():
            output = self.model(as_input(x, self.model))
            self.output = output.numpy()
            return float(self._loss()(output, y).item())

    def predict(self, x: Any) -> NDArray[Any]:
        """What the model says in evaluation mode: a new array."""
        with in_evaluation(self.model), no_grad():
            return np.array(self.model(as_input(x, self.model)).numpy())

    def _loss(self) -> Loss:
        if self.loss is None:
            raise ArgumentError("compile: a step needs a loss", rule="compile(model, loss)")
        return self.loss


@functools.cache
def _native() -> Any:
    """The class `Compiled`, or None where llvmlite is not installed."""
    try:
        from rot180.train.compiled import Compiled
    except ImportError as error:
        if error.name is None or error.name.partition(".")[0] != "llvmlite":
            raise
        return None
    return Compiled


_NO_NATIVE = "llvmlite is not installed"


def why_eager(settings: Settings, optimizer: Any) -> str:
    """What keeps a training from being compiled, "" where nothing does."""
    if settings.accumulate_grad_batches > 1:
        return "gradients are added up over several batches"
    if settings.detect_anomaly:
        return "detect_anomaly looks at every operation"
    kind = type(optimizer)
    if not isinstance(optimizer, Optimizer) or kind.step is not Optimizer.step:
        return f"the optimiser {kind.__name__} moves parameters in its own way"
    return "" if _native() is not None else _NO_NATIVE


def how_it_runs(settings: Settings, optimizer: Any) -> dict[str, Any]:
    """What a run folder notes: whether steps are compiled, and for how many threads."""
    compiled = not settings.eager and not why_eager(settings, optimizer)
    return {"compiled": compiled, **({"threads": get_num_threads()} if compiled else {})}


@contextlib.contextmanager
def with_threads(number: int) -> Iterator[None]:
    """So many threads for a while; 0: as many as before."""
    before = get_num_threads()
    if number:
        set_num_threads(number)
    try:
        yield
    finally:
        if number:
            set_num_threads(before)


def choose(
    model: Module, loss: Loss, optimizer: Any, settings: Settings
) -> tuple[Eager | Step, str]:
    """The step of a training, and why it is not compiled where nobody asked for that."""
    bounds: dict[str, Any] = {
        "clip_grad_norm": settings.clip_grad_norm,
        "clip_grad_value": settings.clip_grad_value,
    }
    reason = "" if settings.eager else why_eager(settings, optimizer)
    if settings.eager or reason:
        return Eager(model, loss, optimizer, **bounds), reason
    return compile(model, loss, optimizer, **bounds), ""


@functools.cache
def _say_once(reason: str) -> None:
    warnings.warn(
        f"compile: {reason}, so steps run operation by operation on NumPy; "
        "python -m pip install llvmlite",
        RuntimeWarning,
        stacklevel=4,
    )


def compile(
    model: Module,
    loss: Loss | None = None,
    optimizer: Optimizer | None = None,
    *,
    precision: str = "fast",
    clip_grad_norm: float | None = None,
    clip_grad_value: float | None = None,
) -> Any:
    """Make native code of a model: one call for a whole training step.

    Nothing is compiled yet: that happens at the first call with each shape. Afterwards a step is
    one native call without any allocation, with the results of the eager step up to rounding. The
    model's and the optimiser's tensors are read and written where they are, so eager and compiled
    calls can be mixed, and `state_dict()` is always current. What shapes the trace (modes, frozen
    parameters, replaced tensors) may change: the step is traced again.

    A loss that is not finite changes no parameter; running statistics it does, as in eager code.

    A compiled step has no use for `parameter.grad` and leaves None there; its gradients are in
    `.gradients()`, by name, until the next step.

    Without llvmlite the result does the same on NumPy, operation by operation, and a warning says
    so once.

    Args:
        model: a module; its forward pass must not look at values (that is an error that names the
            line).
        loss: (output, y) to a loss of one cell.
        optimizer: which moves the parameters that it was given; without one there is no training.
        precision: "fast", or "direct" to refuse Winograd's convolutions, whose rounding errors are
            a little larger (5e-5 of the largest value instead of 2e-6).
        clip_grad_norm: the largest norm of all gradients together, as `clip_grad_norm_`.
        clip_grad_value: the largest cell of the gradients, bounded before the norm.

    Returns:
        A callable `step(x, y) → loss` with `.evaluate(x, y)`, `.predict(x)`, `.output` (what the
        model said) and `.gradients()`; without an optimiser `compiled(x)` predicts.

    Raises:
        ArgumentError: an unknown precision.

    >>> from rot180 import nn, optim
    >>> from rot180.nn.functional import cross_entropy
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
    >>> step = compile(model, cross_entropy, optim.SGD(model.parameters(), lr=0.1))
    >>> x, y = np.random.default_rng(0).random((8, 1, 8, 8), np.float32), np.arange(8) % 2
    >>> losses = [step(x, y) for _ in range(50)]
    >>> losses[-1] < losses[0] / 2
    True
    """
    if precision not in ("fast", "direct"):
        raise ArgumentError("compile: precision", expected="fast or direct", got=repr(precision))
    bounds = {"clip_grad_norm": clip_grad_norm, "clip_grad_value": clip_grad_value}
    native = _native()
    if native is None:
        _say_once(_NO_NATIVE)
        return Eager(model, loss, optimizer, **bounds)
    return native(model, loss, optimizer, precision, **bounds)
