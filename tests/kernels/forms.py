"""Forms for the kernel tests: convolutions of a shape table, and one of every other family."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rot180.core import Form, declare
from rot180.ops.conv import CONVOLUTION, CORRELATION, window_loops, window_sizes
from rot180.window import Window

DECLARATIONS = {"correlation": CORRELATION, "convolution": CONVOLUTION}


@dataclass(frozen=True)
class Case:
    """A convolution: sizes of the input, kernel, and the arguments of `Window.of`."""

    sizes: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: int | tuple[int, ...] = 1
    padding: object = 0
    dilation: int | tuple[int, ...] = 1
    groups: int = 1
    batch: int = 2
    channels: int = 2
    filters: int = 2

    @property
    def window(self) -> Window:
        return Window.of(
            self.kernel, self.stride, self.padding, self.dilation, self.groups,
            axes=len(self.sizes), input_size=self.sizes,
        )  # fmt: skip

    def form(self, mode: str = "correlation") -> Form:
        """The form read for z; `channels` and `filters` are those of one group."""
        window = self.window
        outputs = window.output_size(self.sizes)
        shapes = {
            "x": (self.batch, self.groups * self.channels, *self.sizes),
            "w": (self.groups * self.filters, self.channels, *self.kernel),
            "z": (self.batch, self.groups * self.filters, *outputs),
        }
        loops = {"n": self.batch, "j": self.groups, "c": self.channels, "k": self.filters}
        return DECLARATIONS[mode].bind(
            len(self.sizes), "z", shapes, loops | window_loops(window, outputs),
            C=self.channels, K=self.filters, **window_sizes(window),
        )  # fmt: skip


CASES = {
    "1-d": Case((7,), (3,)),
    "1x1": Case((3, 4), (1, 1), filters=3),
    "1x1 with stride": Case((4, 5), (1, 1), stride=2),
    "non-square": Case((4, 6), (3, 2), channels=3),
    "even kernel, padding": Case((5, 4), (2, 4), padding=(1, 2)),
    "kernel as large as the input": Case((3, 4), (3, 4), filters=3),
    "remainder 1": Case((6, 4), (3, 2), stride=(2, 3)),
    "remainder 2": Case((5, 5), (4, 4), stride=3, padding=2),
    "remainder with dilation": Case((9, 6), (2, 2), stride=4, dilation=(2, 3)),
    "stride larger than kernel": Case((7, 8), (2, 1), stride=(3, 4)),
    "dilation": Case((6, 7), (2, 3), dilation=(3, 2)),
    "asymmetric padding": Case((4, 5), (3, 3), padding=((2, 0), (1, 3)), stride=2),
    "negative padding": Case((6, 7), (2, 3), padding=((-1, -2), (1, -1)), stride=(1, 2)),
    "all cropped but one": Case((5, 5), (1, 2), padding=((-2, -2), (-1, -2))),
    "padding wider than the kernel": Case((3, 2), (2, 2), padding=3, stride=2),
    "full": Case((3, 4), (2, 3), padding="full"),
    "groups": Case((4, 3), (2, 3), groups=3, padding=1),
    "groups, stride, dilation": Case((6, 5), (2, 2), groups=2, stride=2, dilation=2, padding=1),
    "depthwise": Case((4, 5), (3, 3), groups=4, channels=1, filters=1, padding=1),
    "depthwise with multiplier": Case((4, 5), (2, 3), groups=3, channels=1, filters=2),
    "one image, one channel": Case((5, 6), (3, 3), batch=1, channels=1, filters=1),
    "3-d": Case((3, 4, 3), (2, 3, 2), stride=(1, 2, 1), padding=(1, 0, 1)),
    "3-d dilation": Case((4, 3, 5), (2, 1, 3), dilation=(3, 1, 2), filters=1),
    "4-d": Case((2, 3, 2, 3), (1, 2, 2, 2), channels=1),
}


def other_forms() -> dict[str, Form]:
    """One form of every other family, written out here once more."""
    size = {"n": 2, "i": 3, "j": 4, "k": 5}

    def bind(name: str, output: str, shapes: dict[str, tuple[int, ...]], loops: dict[str, int],
             **operands: str) -> Form:  # fmt: skip
        return declare(name, **operands).bind(0, output, shapes, loops)

    return {
        "matmul": bind(
            "matmul", "z", {"a": (2, 3, 5), "b": (5, 4), "z": (2, 3, 4)}, size,
            a="n i k", b="k j", z="n i j"),
        "matmul, batch repeated": bind(
            "matmul", "z", {"a": (1, 3, 5), "b": (2, 5, 4), "z": (2, 3, 4)}, size,
            a="0 i k", b="n k j", z="n i j"),
        "bilinear": bind(
            "bilinear", "z", {"x": (2, 3), "w": (5, 3, 4), "y": (2, 4), "z": (2, 5)}, size,
            x="n i", w="k i j", y="n j", z="n k"),
        "outer": bind("outer", "z", {"a": (3,), "b": (4,), "z": (3, 4)}, {"i": 3, "j": 4},
                      a="i", b="j", z="i j"),
        "scaled": bind("scaled", "z", {"a": (2, 3), "b": (3,), "z": (2, 3)}, {"n": 2, "i": 3},
                       a="n i", b="i", z="n i"),
        "mean pool": bind(
            "pool", "z", {"x": (2, 3, 7), "d": (3,), "z": (2, 3, 3)},
            {"n": 2, "c": 3, "p": 3, "r": 3}, x="n c 2*p+r-1", d="p", z="n c p"),
        "pad": bind("pad", "y", {"x": (3, 4), "y": (6, 5)}, {"i": 3, "j": 4}, x="i j",
                    y="i+1 j+1"),
        "pad and crop": bind("pad", "y", {"x": (3, 5), "y": (5, 3)}, {"i": 3, "j": 5}, x="i j",
                             y="i+2 j-1"),
        "flip": bind("flip", "y", {"x": (3, 4), "y": (3, 4)}, {"i": 3, "j": 4}, x="2-i 3-j",
                     y="i j"),
        "slice": bind("slice", "y", {"x": (9, 4), "y": (3,)}, {"i": 3}, x="3*i+1 2", y="i"),
        "shuffle": bind(
            "shuffle", "y", {"x": (2, 8, 2, 3), "y": (2, 2, 4, 6)},
            {"n": 2, "c": 2, "h": 2, "w": 3, "i": 2, "j": 2}, x="n 4*c+2*i+j h w",
            y="n c 2*h+i 2*w+j"),
        "patches": bind("patches", "y", {"x": (2, 8), "y": (2, 3, 4)}, {"n": 2, "p": 4, "r": 3},
                        x="n 2*p+r-1", y="n r p"),
        "sum": bind("sum", "y", {"x": (2, 3, 4), "y": (3,)}, {"n": 2, "i": 3, "j": 4}, x="n i j",
                    y="i"),
        "sum, axes kept": bind("sum", "y", {"x": (2, 3), "y": (1, 3)}, {"n": 2, "i": 3}, x="n i",
                               y="0 i"),
        "sum of all": bind("sum", "y", {"x": (2, 3), "y": ()}, {"n": 2, "i": 3}, x="n i", y=""),
        "expand": bind("expand", "y", {"x": (3, 1), "y": (2, 3, 4)}, {"n": 2, "i": 3, "j": 4},
                       x="i 0", y="n i j"),
        "expand a number": bind("expand", "y", {"x": (), "y": (2, 3)}, {"n": 2, "i": 3}, x="",
                                y="n i"),
        "unused loop": bind("times", "y", {"x": (3,), "y": (3,)}, {"i": 3, "m": 5}, x="i", y="i"),
        "permute": bind("permute", "y", {"x": (2, 3, 4), "y": (4, 2, 3)},
                        {"n": 2, "i": 3, "j": 4}, x="n i j", y="j n i"),
        "reshape": bind("reshape", "y", {"x": (6, 4), "y": (2, 12)}, {"a": 2, "b": 3, "c": 4},
                        x="3*a+b c", y="a 4*b+c"),
        "diagonal": bind("diagonal", "y", {"x": (4, 4), "y": (4,)}, {"i": 4}, x="i i", y="i"),
        "a matrix on every axis": bind(
            "axes", "z", {"x": (2, 3, 4), "u": (5, 3), "v": (2, 4), "z": (2, 5, 2)},
            {"n": 2, "h": 3, "w": 4, "p": 5, "q": 2}, x="n h w", u="p h", v="q w", z="n p q"),
    }  # fmt: skip


FORMS: dict[str, Form] = {
    **{name: case.form() for name, case in CASES.items()},
    **{f"{name}, turned": case.form("convolution") for name, case in CASES.items()},
    **other_forms(),
}


def arrays_for(form: Form, rng: np.random.Generator, dtype: str = "float64") -> list[np.ndarray]:  # type: ignore[type-arg]
    """Random values for every input; small integers where an integer type is asked for."""
    if np.dtype(dtype).kind == "i":
        return [rng.integers(-4, 5, o.shape).astype(dtype) for o in form.inputs]
    return [np.asarray(rng.standard_normal(o.shape)).astype(dtype) for o in form.inputs]
