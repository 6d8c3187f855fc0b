"""`rt.compile`: a model's training step, evaluation and prediction as native code."""

from __future__ import annotations

import contextlib
import math
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Form, Program, Sum, Tensor
from rot180.errors import ArgumentError
from rot180.jit import Runner, get_num_threads, host, make_plan
from rot180.train.evaluation import as_input
from rot180.train.tracing import trace_forward, trace_loss, trace_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rot180.nn import Module
    from rot180.optim import Optimizer

__all__ = ["Compiled", "compile"]

_SMALL = 4_000_000
"""Products of a step below which waking a second thread costs more than it saves."""

PRECISIONS = ("fast", "direct")


class Compiled:
    """Native code for every shape that it has met; see `compile`.

    Attributes:
        model, loss, optimizer: what was compiled; all three stay usable, and share their memory.
        precision: "fast", or "direct" where Winograd is refused.
        output: what the model said in the latest step or evaluation, (N, ...).
    """

    def __init__(
        self, model: Module, loss: Callable[..., Tensor] | None, optimizer: Optimizer | None,
        precision: str = "fast",
    ) -> None:  # fmt: skip
        if precision not in PRECISIONS:
            raise ArgumentError(
                "compile: precision", expected=" or ".join(PRECISIONS), got=repr(precision)
            )
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.precision = precision
        self.output: NDArray[Any] = np.zeros(0)
        self._runners: dict[tuple[Any, ...], tuple[Program, Runner]] = {}
        self._lock = threading.RLock()

    def __call__(self, x: Any, y: Any = None) -> Any:
        """One training step: returns the loss. Compiled without an optimiser: what `predict` does.

        Args:
            x: images (N, C, spatial...), an array or a tensor.
            y: targets, as the loss wants them.

        Returns:
            The loss before the update, a float; `output` then holds what the model said.
        """
        if self.optimizer is None:
            return self.predict(x)
        with self._lock:
            found = self._run("step", x, y)
            self.output = found["output"]
            return found["loss"].item()

    def evaluate(self, x: Any, y: Any) -> float:
        """The loss in evaluation mode; nothing is changed, and `output` holds what the model said."""
        with self._lock, _mode(self.model, False):
            found = self._run("evaluate", x, y)
            self.output = found["output"]
            return float(found["loss"].item())

    def predict(self, x: Any) -> NDArray[Any]:
        """What the model says in evaluation mode: a new array."""
        with self._lock, _mode(self.model, False):
            return self._run("predict", x, None)["output"].copy()

    def runner(self, what: str, x: Any, y: Any = None) -> Runner:
        """The native code for "step", "evaluate" or "predict" on arguments of these shapes."""
        with self._lock, _mode(self.model, what == "step"):
            images = _array(as_input(x, self.model))
            return self._ready(what, images, None if y is None else _array(y))[1]

    def _run(self, what: str, x: Any, y: Any) -> dict[str, NDArray[Any]]:
        images = _array(as_input(x, self.model))
        targets = None if y is None else _array(y)
        program, runner = self._ready(what, images, targets)
        given = {"x": images} if targets is None else {"x": images, "y": targets}
        feeds: dict[Any, NDArray[Any]] = dict(program.feeds(**given))
        feeds |= {("input", name): array for name, array in given.items()}
        return runner(feeds)

    def _ready(
        self, what: str, x: NDArray[Any], y: NDArray[Any] | None
    ) -> tuple[Program, Runner]:
        """The program and the code for these shapes, made now where there is none yet."""
        specs = [(a.shape, a.dtype) for a in (x, y) if a is not None]
        key = (what, get_num_threads(), *specs)
        ready = self._runners.get(key)
        if ready is None or ready[0].stale():
            program = self._trace(what, *specs)
            parts = 1 if _products(program) < _SMALL else get_num_threads()
            plan = make_plan(program, host(), parts, precision=self.precision)
            ready = self._runners[key] = program, Runner(plan)
        return ready

    def _trace(self, what: str, *specs: Any) -> Program:
        if what == "predict":
            return trace_forward(self.model, *specs)
        if self.loss is None:
            raise ArgumentError(f"compile: {what} needs a loss", rule="compile(model, loss)")
        if what == "evaluate":
            return trace_loss(self.model, self.loss, *specs)
        assert self.optimizer is not None
        return trace_step(self.model, self.loss, self.optimizer, *specs)


def _array(x: Any) -> NDArray[Any]:
    return np.ascontiguousarray(x.data if isinstance(x, Tensor) else x)


@contextlib.contextmanager
def _mode(model: Module, training: bool) -> Iterator[None]:
    """The model in a mode, and back in what each of its modules was."""
    before = [(module, module.training) for module in model.modules()]
    if not training:
        model.eval()
    try:
        yield
    finally:
        for module, was in before:
            module.training = was


def _products(program: Program) -> int:
    """Multiplications of all forms of a program."""
    total = 0
    for i in program.instructions:
        forms = i.kind.forms if isinstance(i.kind, Sum) else (i.kind,)
        total += sum(math.prod(e for _, e in f.loops) for f in forms if isinstance(f, Form))
    return total


def compile(
    model: Module,
    loss: Callable[..., Tensor] | None = None,
    optimizer: Optimizer | None = None,
    *,
    precision: str = "fast",
) -> Compiled:
    """Make native code of a model: one call for a whole training step.

    Nothing is compiled yet: that happens at the first call with each shape. Afterwards a step is
    one native call without any allocation, with the results of the eager step up to rounding. The
    model's and the optimiser's tensors are read and written where they are, so eager and compiled
    calls can be mixed, and `state_dict()` is always current. What shapes the trace (modes, frozen
    parameters, replaced tensors) may change: the step is traced again.

    Args:
        model: a module; its forward pass must not look at values (that is an error that names the
            line).
        loss: (output, y) to a loss of one cell.
        optimizer: which moves the parameters that it was given; without one there is no training.
        precision: "fast", or "direct" to refuse Winograd's convolutions, whose rounding errors are
            a little larger (5e-5 of the largest value instead of 2e-6).

    Returns:
        A callable `step(x, y) → loss` with `.evaluate(x, y)` and `.predict(x)`; without an
        optimiser `compiled(x)` predicts.

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
    return Compiled(model, loss, optimizer, precision)
