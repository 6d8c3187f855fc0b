"""Convolution and transposed convolution as cases: one reading, and who stands in which place."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rot180.check.catalogue.conv import CONV
from rot180.check.catalogue.family import Family, Trial
from rot180.check.catalogue.transposed import TRANSPOSED
from rot180.check.mistake import Answer, Case
from rot180.check.reading import Reading
from rot180.core import Array
from rot180.errors import ShapeError
from rot180.ops import OPERATIONS
from rot180.window import Window, transposed

__all__ = ["CONVOLUTIONS", "TRANSPOSED_CONVOLUTIONS", "read_window"]

Arrays = Mapping[str, Array]
Options = Mapping[str, Any]


def read_window(
    window: Window, batch: int, channels: int, filters: int, sizes: tuple[int, ...], mode: str
) -> Reading:
    """The right reading of a convolution.

    Args:
        window: kernel, stride, padding, dilation, groups.
        batch: N.
        channels: input channels of one group.
        filters: output channels of one group.
        sizes: spatial sizes of x.
        mode: "correlation" or "convolution".
    """
    is_turned = mode == "convolution"
    return Reading(
        batch, window.groups, channels, filters, sizes, window.output_size(sizes),
        window.kernel, window.stride, window.dilation, window.before,
        kernel=tuple((i, True) for i in range(len(sizes))) if is_turned else (),
    )  # fmt: skip


def _window(what: str, w: Array, options: Options, sizes: tuple[int, ...] | None) -> Window:
    spatial = w.ndim - 2
    if spatial < 1:
        raise ShapeError(f"{what}: w", expected="(K, C / groups, taps...)", got=str(w.shape))
    return Window.of(
        w.shape[2:], options.get("stride", 1), options.get("padding", 0),
        options.get("dilation", 1), options.get("groups", 1),
        axes=spatial, input_size=sizes, op=what,
    )  # fmt: skip


def _forward(operation: str, arrays: Arrays, options: Options) -> Array:
    b = arrays.get("b")
    out: Array = OPERATIONS[operation](arrays["x"], arrays["w"], b, **options).data
    return out


def _answers(case: Case) -> Case:
    """The right gradients: the form read for each unknown, and Σ g for the bias."""
    r = case.relation
    for gradient, role in case.roles.items():
        given = case.given(gradient)
        value = r.compute(role, given, r.shape(role))
        size = r.compute(role, {k: np.abs(a) for k, a in given.items()}, r.shape(role))
        assert value is not None
        assert size is not None
        case.answers[gradient] = Answer(value, size)
    g = case.arrays["g"]
    axes = (0, *range(2, g.ndim))
    case.answers["db"] = Answer(g.sum(axes), np.abs(g).sum(axes))
    return case


def _facts(r: Reading, g: Array) -> dict[str, int]:
    return {
        "N": r.batch, "positions": math.prod(g.shape[2:]), "taps": math.prod(r.taps),
    }  # fmt: skip


def _conv(operation: str, arrays: Arrays, options: Options) -> Case:
    x, w, g = arrays["x"], arrays["w"], arrays["g"]
    groups = options.get("groups", 1)
    window = _window(operation, w, options, x.shape[2:])
    r = read_window(
        window, x.shape[0], w.shape[1], w.shape[0] // groups, x.shape[2:],
        options.get("mode", "correlation"),
    )  # fmt: skip
    case = Case(
        operation, dict(arrays), dict(options), facts=_facts(r, g), reading=r,
        roles={"dx": "x", "dw": "w"}, factors={"x": x, "w": w, "z": g},
    )  # fmt: skip
    case.extra = {
        "after": window.after, "remainder": window.remainder(x.shape[2:]),
        "names": {"x": "x", "w": "w", "z": "g"},
    }  # fmt: skip
    return _answers(case)


def _conv_transpose(operation: str, arrays: Arrays, options: Options) -> Case:
    x, w, g = arrays["x"], arrays["w"], arrays["g"]
    given = _window(operation, w, options, None)
    rest = options.get("output_padding", 0)
    window, sizes = transposed(given, x.shape[2:], rest, op=operation)
    groups = options.get("groups", 1)
    r = read_window(
        window, x.shape[0], w.shape[1], w.shape[0] // groups, sizes,
        options.get("mode", "correlation"),
    )  # fmt: skip
    case = Case(
        operation, dict(arrays), dict(options), facts=_facts(r, g), reading=r,
        roles={"dx": "z", "dw": "w"}, factors={"x": g, "w": w, "z": x},
    )  # fmt: skip
    rows = (rest,) * r.rank if isinstance(rest, int) else tuple(rest)
    case.extra = {
        "after": given.after, "remainder": window.remainder(sizes), "output_padding": rows,
        "names": {"x": "g", "w": "w", "z": "x"},
    }  # fmt: skip
    return _answers(case)


# Sizes to try


def _draw(operation: str, trial: Trial, rng: np.random.Generator) -> dict[str, Array]:
    return {name: rng.standard_normal(shape) for name, shape in trial.shapes}


_Axis = tuple[int, int, int, int]
_PLAIN: tuple[tuple[int, int, tuple[_Axis, ...]], ...] = (  # kernel, groups; S, D, A, B per axis
    (2, 1, ((1, 1, 0, 0),)), (3, 1, ((1, 1, 1, 1),)), (3, 1, ((2, 1, 1, 1),)),
    (3, 1, ((2, 1, 0, 1),)), (3, 1, ((3, 1, 1, 2),)), (4, 1, ((3, 1, 2, 2),)),
    (4, 1, ((3, 1, 2, 1),)), (3, 1, ((3, 2, 1, 2),)),
)  # fmt: skip
# Two mistakes look the same only where they do along every axis, so the axes differ.
_RICH = tuple(
    (4, groups, axes)
    for groups in (1, 2)
    for axes in (
        ((3, 2, 4, 1), (4, 2, 1, 3)), ((3, 2, 1, 4), (4, 2, 4, 2)), ((3, 2, 4, 2), (4, 2, 1, 4)),
        ((4, 2, 4, 2), (3, 2, 4, 1)), ((6, 3, 3, 5), (4, 2, 4, 1)), ((6, 3, 6, 8), (4, 2, 4, 1)),
    )
)  # fmt: skip


def _trials(operation: str) -> Iterator[Trial]:
    """Windows from plain to rich, each with its small inputs, the fewest cells first."""
    rank, is_transposed = int(operation[-2]), operation.startswith("conv_transpose")
    found = []
    for kernel, groups, given in (*_PLAIN, *_RICH):
        axes = tuple(given[i % len(given)] for i in range(rank))
        stride, dilation, before, after = zip(*axes, strict=True)
        channels = groups * 2
        w = (channels, 2, *(kernel,) * rank)
        options: dict[str, Any] = {
            "stride": stride, "padding": tuple(zip(before, after, strict=True)),
            "dilation": dilation, "groups": groups,
        }  # fmt: skip
        for batch, outputs in ((2, 2), (3, 2), (3, 3), (3, 4), (3, 5)):
            for rest in range(max(stride)):
                rests = tuple(min(rest, s - 1) for s in stride)
                sizes = tuple(
                    d * (kernel - 1) + 1 - a - b + s * (outputs - 1) + more
                    for (s, d, a, b), more in zip(axes, rests, strict=True)
                )
                own = dict(options)
                if is_transposed:
                    sizes, own["output_padding"] = (outputs,) * rank, rests
                if min(sizes) > 0:
                    shapes = (("x", (batch, channels, *sizes)), ("w", w), ("b", (channels,)))
                    found.append(Trial(shapes, tuple(own.items())))
    yield from sorted(found, key=lambda trial: trial.cells)


_OPTIONS = ("stride", "padding", "dilation", "groups", "mode")
_GRADIENTS = (("dx", "x"), ("dw", "w"), ("db", "b"))

CONVOLUTIONS = Family(
    ("conv1d", "conv2d", "conv3d"), ("x", "w", "b"), ("x", "w"), _GRADIENTS, _OPTIONS,
    _forward, _conv, CONV, _draw, _trials,
)  # fmt: skip
TRANSPOSED_CONVOLUTIONS = Family(
    ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), ("x", "w", "b"), ("x", "w"),
    _GRADIENTS, (*_OPTIONS, "output_padding"),
    _forward, _conv_transpose, TRANSPOSED, _draw, _trials,
)  # fmt: skip
