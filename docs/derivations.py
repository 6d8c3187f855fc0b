"""Writes the chapter "the derivations, checked": prose and code from here, results by running it.

    python docs/derivations.py

A test holds the chapter to what this would write, and runs it once more as a document.
"""

from __future__ import annotations

import ast
import contextlib
import io
import sys
from pathlib import Path

CHAPTER = Path(__file__).with_name("the_derivations_checked.md")

TEXT = """
# The derivations, checked

Five Chinese posts about the backward pass of a convolution are where this project began. Each
works an example out by hand or by machine. Here are all of them, from `rot180.explain`: nothing
on this page is typed in but the pictures and the kernels, and one machinery answers for all of
it. At the end: where the posts are wrong, and how that shows.

*This chapter is written by `docs/derivations.py`; every line that begins with `>>>` is executed
by the tests, and what is printed under it is compared.*

>>> import numpy as np
>>> import rot180 as rt
>>> from rot180 import ops as F

## 1. Correlation, and the patch matrix

A 5×5 picture, a 3×3 kernel. The forward pass is a correlation:

>>> x = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
>>> w = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
>>> e = rt.explain.conv2d(input=x, kernel=w, g=np.ones((3, 3)))
>>> print(e.z.numbers)
>>> print(e.z[0, 1].numbers)

As a matrix product, every window is a row. This matrix is symmetric, because kernel and output
have the same size: row p, column r is x[p + r].

>>> matrix = e.view("matrix", "dw")
>>> print(matrix.patches[0].astype(int))

The gradients for δ = 1 everywhere, and the weight gradient for δ = z, which is Mᵀ·z:

>>> print(e.dw.numbers)
>>> print(e.dx.numbers)
>>> again = rt.explain.conv2d(input=x, kernel=w, g=e.z.numbers)
>>> print(again.dw.numbers)
>>> print(again.view("matrix", "dw").product[0].reshape(3, 3))

The transposed convolution of z with the same kernel: the outer product of all cells of z with all
cells of the kernel, folded back. Its gradient with respect to the kernel, for δ = 1, is the sum
of z, 116, in every entry.

>>> t = rt.explain.conv_transpose2d(input=e.z.numbers, kernel=w, g=np.ones((5, 5)))
>>> print(t.view("matrix", "z").product[0].shape)
>>> print(t.z.numbers)
>>> print(t.dw.numbers)
>>> print(t.dw[0, 0])

With padding 1 and stride 2:

>>> s = rt.explain.conv2d(input=x, kernel=w, stride=2, padding=1, g=np.ones((3, 3)))
>>> print(s.z.numbers)
>>> print(s.dw.numbers)
>>> print(s.dx.numbers)

Mean and maximum over the same windows:

>>> print(np.round(rt.explain.avg_pool2d(x, 3, stride=1).z.numbers, 1))
>>> print(rt.explain.max_pool2d(x, 3, stride=1).z.numbers)

## 2. Pools

Four windows of 2×2 receive δ = 1, 3, 2, 4. A mean pool spreads each over its window, a max pool
hands it to the winner; both keep the sum.

>>> g = [[1, 3], [2, 4]]
>>> mean = rt.explain.avg_pool2d(np.zeros((4, 4)), 2, g=g)
>>> print(mean.dx.numbers)
>>> print(mean.dx[3, 3])
>>> winners = [[0, 0, 0, 9], [0, 9, 0, 0], [9, 0, 0, 0], [0, 0, 9, 0]]
>>> largest = rt.explain.max_pool2d(winners, 2, g=g)
>>> print(largest.dx.numbers)
>>> print(largest.z[0, 0])
>>> print(largest.dx[1, 1])
>>> float(mean.dx.numbers.sum()), float(largest.dx.numbers.sum())

## 3. The input gradient of two kernels

Two kernels, so two planes of δ; the input gradient is the sum over both.

>>> w1, w2 = [[0.1, 0.2], [0.2, 0.4]], [[-0.3, 0.1], [0.1, 0.2]]
>>> g1, g2 = [[1, 3], [2, 2]], [[2, 1], [1, 1]]
>>> for kernel, delta in ((w1, g1), (w2, g2)):
...     one = rt.explain.conv2d(input=(3, 3), kernel=kernel, g=delta)
...     print(np.round(one.dx.numbers, 1))
>>> both = rt.explain.conv2d(input=(3, 3), kernel=np.array([[w1], [w2]]), g=np.array([[g1, g2]]))
>>> print(np.round(both.dx.numbers, 1))

The .3 in the middle of the second, which the post asks the reader to work out by hand:

>>> print(one.dx[1, 1])
>>> print(one.dx[1, 1].numbers)

## 4. The weight gradient

>>> x4 = [[16, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 1]]
>>> g4 = [[0.8, 0.1, -0.6], [0.3, 0.5, 0.7], [-0.4, 0, -0.2]]
>>> e4 = rt.explain.conv2d(input=x4, kernel=(2, 2), bias=True, g=g4)
>>> print(np.round(e4.dw.numbers, 6))
>>> print(np.round(e4.db.numbers, 6))
>>> print(e4.db[0])

## 5. Symbols: 3×3 input, 2×2 kernel

All four outputs, all nine input gradients, all four weight gradients:

>>> e5 = rt.explain.conv2d(input=(3, 3), kernel=(2, 2))
>>> print(e5.z)
>>> print(e5.dx)
>>> print(e5.dw)

As the post sets them, in LaTeX, with the upstream gradient as δ_z; and counted from 1:

>>> document = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), upstream="δ_z")
>>> print(document.dx[1, 1].latex)
>>> print(rt.explain.conv2d(input=(3, 3), kernel=(2, 2), base=1).dx[2, 2])

Line by line from the chain rule, and proved by SymPy for this geometry:

>>> for line in e5.steps("dx:0,1"):
...     print(line)
>>> print(e5.prove())

Nobody turned the kernel. It is turned where one gathers, and not where one scatters:

>>> print(e5.view("gather"))
>>> print(e5.view("scatter"))

## 6. The unrolled network

The same convolution as a dense layer: 9 inputs, 4 outputs, 36 connections. Most are cut, and the
16 that are left share 4 weights. The post turns the kernel in the forward pass and counts from 1:

>>> e6 = rt.explain.conv2d(input=(3, 3), kernel=(2, 2), mode="convolution", base=1)
>>> network = e6.view("network", "z")
>>> print(network.text().splitlines()[0])
>>> [len(edges) for edges in network.shared.values()]
>>> print(e6.dx[1, 1])
>>> print(e6.dx[1, 2])

Correlation forward is convolution backward, and the other way round:

>>> print(e6.view("duality"))

## 7. The chain rule on a graph

f = (x + y)·z at x = −2, y = 5, z = −4:

>>> e7 = rt.explain(lambda x, y, z: (x + y) * z, -2, 5, -4)
>>> print(e7.view("graph"))

## 8. Softmax and cross-entropy, line by line

From −ln f_y, with f = softmax(x), to f_c − 1{y=c}. Here y = 1, and the softmax is written out as
the post does, eˣ over the sum of all eˣ:

>>> x8 = np.log([1.0, 2.0, 5.0])
>>> def loss(x):
...     powers = F.exp(x)
...     return -F.log(powers[1] / F.sum(powers))
>>> e8 = rt.explain(loss, x8)
>>> for line in e8.steps("dx:1"):
...     print(line)

−1/f_y from the logarithm, then the quotient rule, and what remains is f_y − 1. For the other
classes only the second term remains, f_c. SymPy agrees, and so does the loss as it is used:

>>> f = F.softmax(x8, axis=0).numpy()
>>> print(np.round(e8.dx.numbers, 6), np.round(f - np.eye(3)[1], 6))
>>> print(e8.prove())
>>> print(np.round(rt.explain.cross_entropy(x8, target=1).dx.numbers, 6))

The loss of a batch of m divides by m; squared error through an activation has one factor more,
f′:

>>> batch = rt.explain.cross_entropy(np.array([x8, x8]), target=[1, 2])
>>> print(np.round(batch.dx.numbers * 2, 6))
>>> squared = rt.explain(lambda x: 0.5 * F.sum(F.square(F.sigmoid(x) - np.eye(3)[1])), x8)
>>> s8 = F.sigmoid(x8).numpy()
>>> bool(np.allclose(squared.dx.numbers, (s8 - np.eye(3)[1]) * s8 * (1 - s8)))

## Where the posts are wrong

**The surviving terms.** "Why rotate by 180 degrees" says that only the terms with x = x′ − a and
y = y′ − a survive. The second is y = y′ − b, as the products of any cell show:

>>> full = rt.explain.conv2d(input=(3, 4), kernel=(2, 3), padding="full", mode="convolution")
>>> survivors = [(cell.index[2:], *(ref.index[2:] for ref in term.cells))
...              for cell in full.dx for term in cell.terms]
>>> all(row == row_out - a and column == column_out - b
...     for (row, column), (a, b), (row_out, column_out) in survivors)
>>> all(column == column_out - a for (_, column), (a, _), (_, column_out) in survivors)

**The penalty.** The gradient of λ·Σ‖W‖² is 2λW, not λW; and the factor at the last layer's
weights is the transposed activation of the layer before:

>>> print(rt.explain.l2_penalty((2, 2), 0.1).dw[0, 0])
>>> print(rt.explain.linear(input=(2, 3), weight=(2, 3)).dw[0, 1])

**The second sum.** The post types 3, 1, 1, 0, 1, 3, 1, 2, 2, which sums to 14, and prints 15. The
second window is

>>> print(matrix.patches[0][1].astype(int), int(matrix.patches[0][1].sum()))

**Folding is no inverse.** Folding the 9×9 outer product does not give the picture back. It gives
the transposed convolution of z, an adjoint:

>>> bool((t.z.numbers == np.array(x)).all())

**The padding of the backward pass** does not depend on the stride. It is e − 1 − A on either
side, and the remainder ρ more at the end:

>>> for stride in (1, 2, 3):
...     gather = rt.explain.conv2d(input=(8, 8), kernel=(3, 3), stride=stride).view("gather")
...     axis = gather.axes[0]
...     print(stride, (axis.before, axis.after))

**The graph.** With z = 4, as the text says, f is 12; for f = −12 it must be −4:

>>> [float(rt.explain(lambda x, y, z: (x + y) * z, -2, 5, z).f.array) for z in (4, -4)]
"""


def render() -> str:
    """The chapter: every block of `>>>` lines in a fence, with what it prints."""
    space: dict[str, object] = {}
    out: list[str] = []
    block: list[str] = []

    def flush() -> None:
        if block:
            out.extend(["```python", *_run(block, space), "", "```"])
            block.clear()

    for line in TEXT.strip("\n").split("\n"):
        if line.startswith((">>>", "...")):
            block.append(line)
        else:
            flush()
            out.append(line)
    flush()
    return "\n".join(out) + "\n"


def _run(lines: list[str], space: dict[str, object]) -> list[str]:
    """The lines of a block, each statement followed by what it prints."""
    found: list[str] = []
    statements: list[list[str]] = []
    for line in lines:
        if line.startswith(">>>"):
            statements.append([line])
        else:
            statements[-1].append(line)
    for statement in statements:
        found += statement
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            _execute("\n".join(line[4:] for line in statement), space)
        # A doctest ends its expected output at an empty line.
        found += [line or "<BLANKLINE>" for line in printed.getvalue().rstrip("\n").split("\n")
                  if printed.getvalue()]  # fmt: skip
    return found


def _execute(source: str, space: dict[str, object]) -> None:
    tree = ast.parse(source)
    if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
        value = eval(compile(ast.Expression(tree.body[0].value), "chapter", "eval"), space)
        if value is not None:
            print(repr(value))
    else:
        exec(compile(tree, "chapter", "exec"), space)


if __name__ == "__main__":
    CHAPTER.write_text(render(), "utf-8")
    sys.stdout.write(f"{CHAPTER}\n")
