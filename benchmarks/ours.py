"""Our side of the benchmarks: what one process of `turns` runs when it is rot180's turn.

Every function makes a call without arguments, and how much work one call does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from benchmarks.networks import INPUTS, images

import rot180 as rt
import rot180.nn.functional as F
from rot180 import nn, optim
from rot180.core import Program, Tracer, gradients
from rot180.jit import Plan, Runner, host, make_plan, set_num_threads
from rot180.jit.families.convert import Pack, Unpack
from rot180.jit.planning.plan import Row

__all__ = ["Bare", "convolution", "inference", "program", "set_threads", "training"]

Work = tuple[Callable[[], object], int]

RATE = 1e-5
"""Of every training that is timed: no unit dies of it, and denormal numbers appear nowhere."""

set_threads = set_num_threads


def network(name: str, weights: dict[str, np.ndarray] | None = None) -> nn.Module:
    """A network, from given weights where there are any."""
    channels, size = INPUTS[name]
    rt.manual_seed(0)
    model: nn.Module = getattr(nn.models, name)(channels, 10, size)
    if weights is not None:
        model.load_state_dict(weights)
    return model


def training(name: str, batch: int, weights: dict[str, np.ndarray] | None = None) -> Work:
    """A training step, whose value is the loss."""
    model = network(name, weights)
    optimizer = optim.SGD(model.parameters(), lr=RATE, momentum=0.9)
    step = rt.compile(model, F.cross_entropy, optimizer)
    x, y = images(name, batch)
    return lambda: step(x, y), 1


def inference(name: str, batch: int, weights: dict[str, np.ndarray] | None = None) -> Work:
    """The logits of a batch, in evaluation mode."""
    predict = rt.compile(network(name, weights).eval()).predict
    x, _ = images(name, batch)
    return lambda: predict(x), 1


def program(
    what: str, batch: int, channels: int, filters: int, size: int, kernel: int,
    stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1,
) -> Program:  # fmt: skip
    """One convolution ("forward"), or one of its gradients ("dx", "dw"), as a program."""
    moves = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    out = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    shape = (filters, channels // groups, kernel, kernel)
    weight = nn.Parameter(np.random.default_rng(1).standard_normal(shape).astype(np.float32))
    with Tracer() as tracer:
        x = tracer.input("x", (batch, channels, size, size), "float32")
        tracer.hold(weight, "parameter", "w")
        if what == "forward":
            return tracer.program(z=F.conv2d(x, weight, **moves))
        x.requires_grad_()
        z = F.conv2d(x, weight, **moves)
        g = tracer.input("g", (batch, filters, out, out), "float32")
        (found,) = gradients([z], [x if what == "dx" else weight], [g])
        assert found is not None
        return tracer.program(z=found)


class Bare(Runner):
    """What a plan does between its edges, several times in one call: as it stands in a step.

    The conversions between NumPy's order and planes happen once, when it is made.

    Args:
        plan: of a program whose inputs stand in planes.
        arrays: its inputs by name.
        times: how often the work is done in a call.
    """

    def __init__(self, plan: Plan, arrays: dict[str, np.ndarray], times: int) -> None:
        feeds = dict(plan.program.feeds(**arrays))
        feeds |= {("input", name): array for name, array in arrays.items()}
        whole = Runner(plan)
        whole(feeds)
        super().__init__(replace(plan, rows=_without_edges(plan) * times))
        self._arena[:] = whole._arena
        self._feeds = feeds

    def work(self) -> None:
        """Do it."""
        self(self._feeds)


def _without_edges(plan: Plan) -> tuple[Row, ...]:
    """The rows that convert nothing. The first waits for the last of the round before."""
    found: list[Row] = []
    at = 0
    while at < len(plan.rows):
        group = plan.rows[at : at + plan.rows[at].span]
        at += len(group)
        kept = [row for row in group if not isinstance(row.call.kernel, Pack | Unpack)]
        for place, row in enumerate(kept):
            parts = row.parts
            if len(kept) == 1 and len(group) > 1:  # no segment any more
                parts = 1 if row.call.small else plan.parts
            barrier = group[0].barrier or not found
            span = 0 if place else len(kept)
            found.append(replace(row, parts=parts, barrier=barrier and not place, span=span))
    return tuple(found)


def convolution(what: str, batch: int, threads: int, times: int, **shape: int) -> Work:
    """A convolution or one of its gradients, inputs in planes, `times` in a call."""
    traced = program(what, batch, **shape)
    plan = make_plan(traced, host(), threads, whole=True)
    rng = np.random.default_rng(0)
    arrays = {
        v.name: rng.standard_normal(v.shape).astype(np.float32) for v in traced.of_role("input")
    }
    return Bare(plan, arrays, times).work, times
