"""A model's training step, evaluation and prediction as native code: see `rot180.train.compile`."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from rot180.core import Program, Tensor
from rot180.core.lines import users_line
from rot180.errors import ArgumentError, Rot180Error, TraceError
from rot180.jit import Runner, get_num_threads, host, make_plan, threads_for
from rot180.train.modes import in_evaluation
from rot180.train.tracing import trace_forward, trace_loss, trace_step

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rot180.nn import Module
    from rot180.optim import Optimizer

__all__ = ["Compiled"]

_GRADIENT = "gradient "
_HOW = "fit(..., eager=True), on the command line --eager"


class Compiled:
    """Native code for every shape that it has met; see `compile`.

    Attributes:
        model, loss, optimizer: what was compiled; all three stay usable, and share their memory.
        precision: "fast", or "direct" where Winograd is refused.
        output: what the model said in the latest step or evaluation, (N, ...).
    """

    def __init__(
        self, model: Module, loss: Callable[..., Tensor] | None, optimizer: Optimizer | None,
        precision: str = "fast", *, clip_grad_norm: float | None = None,
        clip_grad_value: float | None = None,
    ) -> None:  # fmt: skip
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.precision = precision
        self._bounds: dict[str, Any] = {
            "clip_grad_norm": clip_grad_norm,
            "clip_grad_value": clip_grad_value,
        }
        self.output: NDArray[Any] = np.zeros(0)
        self._first = next(iter(model.parameters()), None)
        self._runners: dict[tuple[Any, ...], tuple[Program, Runner]] = {}
        self._latest: Runner | None = None
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
            self.optimizer.zero_grad()  # as an eager step: none is left of another step
            found = self._run("step", x, y)
            self.output = found["output"]
            return found["loss"].item()

    def evaluate(self, x: Any, y: Any) -> float:
        """The loss in evaluation mode; changes nothing, and `output` holds what the model said."""
        with self._lock, in_evaluation(self.model):
            found = self._run("evaluate", x, y)
            self.output = found["output"]
            return float(found["loss"].item())

    def predict(self, x: Any) -> NDArray[Any]:
        """What the model says in evaluation mode: a new array."""
        with self._lock, in_evaluation(self.model):
            return np.array(self._run("predict", x, None)["output"])

    def gradients(self) -> dict[str, NDArray[Any]]:
        """The gradients of the latest step before any bound, by parameter, until the next step."""
        outputs = {} if self._latest is None else self._latest.outputs
        return {
            name.removeprefix(_GRADIENT): array
            for name, array in outputs.items()
            if name.startswith(_GRADIENT)
        }

    def runner(self, what: str, x: Any, y: Any = None) -> Runner:
        """The native code for "step", "evaluate" or "predict" on arguments of these shapes."""
        mode = contextlib.nullcontext() if what == "step" else in_evaluation(self.model)
        with self._lock, mode:
            return self._ready(what, self._images(x), None if y is None else _array(y))[1]

    def _run(self, what: str, x: Any, y: Any) -> dict[str, NDArray[Any]]:
        images = self._images(x)
        targets = None if y is None else _array(y)
        program, runner = self._ready(what, images, targets)
        if what == "step":
            self._latest = runner
        given = {"x": images} if targets is None else {"x": images, "y": targets}
        feeds: dict[Any, NDArray[Any]] = program.feeds(**given)
        feeds |= {("input", name): array for name, array in given.items()}
        return runner(feeds)

    def _images(self, x: Any) -> NDArray[Any]:
        """The input row by row, in the type of the model's first parameter if it is a float."""
        array = _array(x)
        if self._first is not None and array.dtype.kind == "f":
            array = array.astype(self._first.dtype, copy=False)
        return array

    def _ready(self, what: str, x: NDArray[Any], y: NDArray[Any] | None) -> tuple[Program, Runner]:
        """The program and the code for these shapes, made now where there is none yet."""
        specs = [(a.shape, a.dtype) for a in (x, y) if a is not None]
        key = (what, get_num_threads(), *specs)
        ready = self._runners.get(key)
        if ready is None or ready[0].stale():
            self._first = next(iter(self.model.parameters()), None)
            program = self._trace(what, *specs)
            parts = threads_for(program, host(), get_num_threads())
            plan = make_plan(program, host(), parts, precision=self.precision)
            ready = self._runners[key] = program, Runner(plan)
        return ready

    def _trace(self, what: str, *specs: Any) -> Program:
        if what != "predict" and self.loss is None:
            raise ArgumentError(f"compile: {what} needs a loss", rule="compile(model, loss)")
        try:
            return self._traced(what, *specs)
        except TraceError as error:
            raise TraceError(f"{error} Not compiled, it runs: {_HOW}") from error
        except Rot180Error:
            raise
        except Exception as error:  # the model's and the loss's code may fail on symbols in any way
            line = users_line(error)
            raise TraceError(
                f"compile: {type(error).__name__}: {error}" + (f", at {line}" if line else ""),
                rule=f"a step that is compiled is first run on tensors without values; {_HOW}",
            ) from error

    def _traced(self, what: str, *specs: Any) -> Program:
        if what == "predict":
            return trace_forward(self.model, *specs)
        assert self.loss is not None
        if what == "evaluate":
            return trace_loss(self.model, self.loss, *specs)
        assert self.optimizer is not None
        return trace_step(self.model, self.loss, self.optimizer, *specs, **self._bounds)


def _array(x: Any) -> NDArray[Any]:
    return np.ascontiguousarray(x.data if isinstance(x, Tensor) else x)
