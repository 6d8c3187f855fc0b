"""Windows: one relation between integers, and everything that follows from it.

Along every axis, output p reads with tap r the input cell

    h = S·p + D·r − A,

with stride S, dilation D and padding A before. Cells outside of the input are 0. With R taps, an
effective kernel e = D·(R−1) + 1 and padding B after, an input of H cells has

    P = ⌊(H + A + B − e) / S⌋ + 1 outputs, and ρ = (H + A + B − e) mod S cells are left over.

>>> axis = Axis(kernel=2, stride=2)
>>> axis.output_size(5), axis.remainder(5)
(2, 1)

The relation is a set of triples (p, r, h), and a convolution multiplies along it:
T = Σ g[p]·w[r]·x[h]. Forward and both gradients only differ in the unknown it is read for.

>>> triples = list(axis.taps(5))
>>> triples
[(0, 0, 0), (0, 1, 1), (1, 0, 2), (1, 1, 3)]

**Read for p, it is the forward pass**: z[p] = Σ_r w[r]·x[S·p + D·r − A], a correlation.

**Read for h, it is the input gradient.** Which (p, r) meet at a cell h? Those with
S·p = h + A − D·r. Put S−1 zeros between the entries of g, so that entry p stands at S·p, and every
h finds its partners in steps of D, but backwards: as r grows, S·p falls. Count the taps from the
other end, r′ = R−1−r, and it is a correlation again, h + D·r′ − (e−1−A): that is where the
kernel turns by 180 degrees. Stride has become the dilation of g, the padding before has become
e−1−A, the padding after e−1−B, plus the ρ cells at the end that no window reaches.

>>> axis.input_gradient(5)
InputGradient(dilate=2, window=Axis(kernel=2, stride=1, dilation=1, before=1, after=2))
>>> axis.input_gradient(5).window.output_size(2 * (2 - 1) + 1)
5

**Read for r, it is the weight gradient.** For a fixed r, cell h and output p meet at
h = D·r + S·p − A: the same relation with stride and dilation exchanged, the upstream gradient
taking the kernel's place. It is a correlation of x with g, without any turning, and its
first R entries are the answer; the cells left over can make ⌊ρ/D⌋ more, which belong to no tap.

>>> gradient = axis.weight_gradient(5)
>>> gradient.window
Axis(kernel=2, stride=1, dilation=2, before=0, after=0)
>>> gradient.window.output_size(5), gradient.taps, gradient.surplus
(3, 2, 1)

**Used as a forward pass, the reading for h is the transposed convolution**, whose output_padding is
a chosen ρ. Pools use the same windows; their `ceil_mode` is more padding after.

This floor computes on integers only: no NumPy, and nothing of ours but the errors. Who computes on
arrays, draws or explains asks a `Window`, and never works a size or a padding out again.
"""

from __future__ import annotations

from rot180.window.axis import Axis, InputGradient, WeightGradient
from rot180.window.padding import PADDING_WORDS, resolve_padding
from rot180.window.pooling import pool_divisors, pool_window
from rot180.window.receptive import ReceptiveField, receptive_field
from rot180.window.transposed import output_padding_for, transposed
from rot180.window.window import Window

__all__ = [
    "PADDING_WORDS",
    "Axis",
    "InputGradient",
    "ReceptiveField",
    "WeightGradient",
    "Window",
    "output_padding_for",
    "pool_divisors",
    "pool_window",
    "receptive_field",
    "resolve_padding",
    "transposed",
]
