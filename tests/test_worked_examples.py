"""The worked examples of the documents that this project explains, number by number.

Each was printed by somebody who worked it out by hand or by machine: two posts on the backward pass
of a CNN (000, 001), one on convolutions in NumPy (002), one on conv2d and its gradients in
TensorFlow (003), one on the chain rule (004). Where a document is wrong, a test shows what is
right.
"""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest

from rot180 import nn, ops
from rot180 import ops as F
from rot180.core import Form, Tensor, tensor
from rot180.window import Axis

Terms = set[frozenset[str]]


def image(rows: Any, requires_grad: bool = False) -> Tensor:
    """A picture as a batch of one picture of one channel."""
    return tensor(np.array(rows, np.float64)[None, None], requires_grad=requires_grad)


def plane(t: Tensor | None) -> Any:
    """A batch of one picture of one channel as a matrix."""
    assert t is not None
    assert t.shape[:2] == (1, 1)
    return t.numpy()[0, 0]


def exactly(got: Any, want: Any) -> None:
    np.testing.assert_array_equal(got, np.array(want, np.float64))


def nearly(got: Any, want: Any) -> None:
    """Equal to the digits printed, for examples in decimal fractions."""
    np.testing.assert_allclose(got, np.array(want, np.float64), rtol=0, atol=1e-12)


# ------------------------------------------------------------ 1. correlation and im2col (003)

X = [[3, 3, 2, 1, 0], [0, 0, 1, 3, 1], [3, 1, 2, 2, 3], [2, 0, 0, 2, 2], [2, 0, 0, 0, 1]]
W = [[0, 1, 2], [2, 2, 0], [0, 1, 2]]
Z = [[12, 12, 17], [10, 17, 19], [9, 6, 14]]
PATCHES = [
    [3, 3, 2, 0, 0, 1, 3, 1, 2],
    [3, 2, 1, 0, 1, 3, 1, 2, 2],
    [2, 1, 0, 1, 3, 1, 2, 2, 3],
    [0, 0, 1, 3, 1, 2, 2, 0, 0],
    [0, 1, 3, 1, 2, 2, 0, 0, 2],
    [1, 3, 1, 2, 2, 3, 0, 2, 2],
    [3, 1, 2, 2, 0, 0, 2, 0, 0],
    [1, 2, 2, 0, 0, 2, 0, 0, 0],
    [2, 2, 3, 0, 2, 2, 0, 0, 1],
]
FOLDED = [
    [0, 12, 36, 41, 34],
    [24, 58, 95, 87, 38],
    [20, 75, 132, 105, 62],
    [18, 40, 77, 81, 38],
    [0, 9, 24, 26, 28],
]


def test_1_correlation() -> None:
    exactly(plane(F.conv2d(image(X), image(W))), Z)


def test_1_patches() -> None:
    """The patch matrix, its product with the kernel, and its symmetry: M[p, r] = x[p + r]."""
    columns = F.unfold(image(X), 3).numpy()[0]  # taps × positions
    exactly(columns.T, PATCHES)
    exactly(columns.T, columns)
    exactly((columns.T @ np.ravel(W)).reshape(3, 3), Z)


def test_1_gradients_for_ones() -> None:
    x, w = image(X, True), image(W, True)
    F.conv2d(x, w).backward(image(np.ones((3, 3))))
    exactly(plane(w.grad), [[15, 15, 15], [9, 11, 16], [10, 7, 12]])
    exactly(
        plane(x.grad),
        [[0, 1, 3, 3, 2], [2, 5, 7, 5, 2], [2, 6, 10, 8, 4], [2, 5, 7, 5, 2], [0, 1, 3, 3, 2]],
    )


def test_1_weight_gradient_for_z() -> None:
    """The patch matrix again: dW = Mᵀ·g, with g = z."""
    x, w = image(X), image(W, True)
    z = F.conv2d(x, w)
    z.backward(z.detach())
    want = [[186, 200, 188], [120, 173, 216], [120, 108, 185]]
    exactly(plane(w.grad), want)
    exactly((np.array(PATCHES).T @ np.ravel(Z)).reshape(3, 3), want)


def test_1_transposed_convolution() -> None:
    """The outer product z·wᵀ folded back, by three ways; its weight gradient is 116 everywhere."""
    z, w = image(Z), image(W, True)
    d = F.conv_transpose2d(z, w)
    exactly(plane(d), FOLDED)
    outer = np.outer(np.ravel(W), np.ravel(Z))[None].astype(np.float64)  # taps × positions
    exactly(plane(F.fold(outer, (5, 5), 3)), FOLDED)
    exactly(plane(F.conv_input_grad((1, 1, 5, 5), w, z)), FOLDED)
    d.backward(image(np.ones((5, 5))))
    exactly(plane(w.grad), np.full((3, 3), 116))


def test_1_padding_and_stride() -> None:
    x, w = image(X, True), image(W, True)
    z = F.conv2d(x, w, stride=2, padding=1)
    exactly(plane(z), [[6, 17, 3], [8, 17, 13], [6, 4, 4]])
    z.backward(image(np.ones((3, 3))))
    exactly(plane(w.grad), [[5, 6, 5], [7, 16, 7], [5, 6, 5]])
    exactly(
        plane(x.grad),
        [[2, 2, 2, 2, 2], [2, 4, 2, 4, 2], [2, 2, 2, 2, 2], [2, 4, 2, 4, 2], [2, 2, 2, 2, 2]],
    )


def test_1_pools() -> None:
    mean = plane(F.avg_pool2d(image(X), 3, stride=1))
    exactly(np.round(mean, 1), [[1.7, 1.7, 1.7], [1.0, 1.2, 1.8], [1.1, 0.8, 1.3]])
    largest = plane(F.max_pool2d(image(X), 3, stride=1))
    exactly(largest, [[3, 3, 3], [3, 3, 3], [3, 2, 3]])


# ------------------------------------------------------------ 2. pooling (001)


def test_2_mean_pool_shares_the_gradient() -> None:
    x = image(np.zeros((4, 4)), True)
    F.avg_pool2d(x, 2).backward(image([[1, 3], [2, 4]]))
    half = [0.5, 0.5, 1, 1]
    exactly(plane(x.grad), [[0.25, 0.25, 0.75, 0.75], [0.25, 0.25, 0.75, 0.75], half, half])


def test_2_max_pool_gives_it_to_the_winner() -> None:
    """Winners lower right, upper right, upper left, lower left, for g = 1, 3, 2, 4."""
    x = image([[0, 0, 0, 9], [0, 9, 0, 0], [9, 0, 0, 0], [0, 0, 9, 0]], True)
    F.max_pool2d(x, 2).backward(image([[1, 3], [2, 4]]))
    exactly(plane(x.grad), [[0, 0, 0, 3], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 4, 0]])


# ------------------------------------------------------------ 3. input gradient (001)

W1, W2 = [[0.1, 0.2], [0.2, 0.4]], [[-0.3, 0.1], [0.1, 0.2]]
G1, G2 = [[1, 3], [2, 2]], [[2, 1], [1, 1]]
FULL1 = [[0.1, 0.5, 0.6], [0.4, 1.6, 1.6], [0.4, 1.2, 0.8]]
FULL2 = [[-0.6, -0.1, 0.1], [-0.1, 0.3, 0.3], [0.1, 0.3, 0.2]]
SUM = [[-0.5, 0.4, 0.7], [0.3, 1.9, 1.9], [0.5, 1.5, 1.0]]


def test_3_input_gradient_of_two_kernels() -> None:
    x = image(np.zeros((3, 3)), True)
    w = tensor(np.array([[W1], [W2]]))
    F.conv2d(x, w).backward(np.array([[G1, G2]], np.float64))
    nearly(plane(x.grad), SUM)


def test_3_is_a_full_true_convolution_of_each() -> None:
    """A correlation forward means a true convolution backward."""
    for w, g, want in ((W1, G1, FULL1), (W2, G2, FULL2)):
        nearly(plane(F.conv2d(image(g), image(w), padding="full", mode="convolution")), want)
        nearly(plane(F.conv_input_grad((1, 1, 3, 3), image(w), image(g))), want)


def test_3_the_middle_cell() -> None:
    """.3 = 2·.2 + 1·.1 + 1·.1 − 1·.3, the four windows that see the middle."""
    form = node_form(F.conv2d(image(np.zeros((3, 3)), True), image(W2)))
    terms = [dict(term.factors) for term in form.wrt("x").terms((0, 0, 1, 1))]
    w, g = np.array(W2), np.array(G2)
    products = sorted(w[t["w"][2:]] * g[t[form.output][2:]] for t in terms)
    nearly(products, sorted([2 * 0.2, 1 * 0.1, 1 * 0.1, -1 * 0.3]))
    assert sum(products) == pytest.approx(0.3)


# ------------------------------------------------------------ 4. weight gradient (001)


def test_4_weight_gradient() -> None:
    x = image([[16, 2, 3, 13], [5, 11, 10, 8], [9, 7, 6, 12], [4, 14, 15, 1]])
    g = [[0.8, 0.1, -0.6], [0.3, 0.5, 0.7], [-0.4, 0, -0.2]]
    w = image(np.zeros((2, 2)), True)
    b = tensor(np.zeros(1), requires_grad=True)
    F.conv2d(x, w, b).backward(image(g))
    nearly(plane(w.grad), [[20.4, 2.8], [4.9, 12.7]])
    assert b.grad is not None
    nearly(b.grad.numpy(), [1.2])
    nearly(plane(F.conv_weight_grad(x, (1, 1, 2, 2), image(g))), [[20.4, 2.8], [4.9, 12.7]])


# ------------------------------------------------------------ 5. symbols (002)

EQUATIONS_Z = """
z_00 = x_00w_00+x_01w_01+x_10w_10+x_11w_11
z_01 = x_01w_00+x_02w_01+x_11w_10+x_12w_11
z_10 = x_10w_00+x_11w_01+x_20w_10+x_21w_11
z_11 = x_11w_00+x_12w_01+x_21w_10+x_22w_11
"""
EQUATIONS_X = """
x_00 = w_00z_00
x_01 = w_01z_00+w_00z_01
x_02 = w_01z_01
x_10 = w_10z_00+w_00z_10
x_11 = w_11z_00+w_10z_01+w_01z_10+w_00z_11
x_12 = w_11z_01+w_01z_11
x_20 = w_10z_10
x_21 = w_11z_10+w_10z_11
x_22 = w_11z_11
"""
EQUATIONS_W = """
w_00 = x_00z_00+x_01z_01+x_10z_10+x_11z_11
w_01 = x_01z_00+x_02z_01+x_11z_10+x_12z_11
w_10 = x_10z_00+x_11z_01+x_20z_10+x_21z_11
w_11 = x_11z_00+x_12z_01+x_21z_10+x_22z_11
"""


def node_form(z: Tensor) -> Form:
    """The form that a convolution recorded: what is run and differentiated is what is read here."""
    assert z.grad_fn is not None
    assert isinstance(z.grad_fn.kind, Form)
    return z.grad_fn.kind


def read_equations(text: str) -> dict[tuple[int, int], Terms]:
    """`x_01 = w_01z_00+...` as cell -> set of products, each a set of two cells."""
    found = {}
    for line in text.split("\n"):
        if line:
            left, right = line.split(" = ")
            products = [frozenset(re.findall(r"\w_\d\d", p)) for p in right.split("+")]
            assert all(len(p) == 2 for p in products)
            found[int(left[2]), int(left[3])] = set(products)
    return found


def enumerate_equations(form: Form, unknown: str, rows: int) -> dict[tuple[int, int], Terms]:
    """The same out of the form: every cell of the operand that is asked for."""
    letter = {form.output: "z"}
    read = form.wrt(unknown)
    found = {}
    for i, j in itertools.product(range(rows), repeat=2):
        terms = [
            frozenset(f"{letter.get(name, name)}_{cell[2]}{cell[3]}" for name, cell in t.factors)
            for t in read.terms((0, 0, i, j))
        ]
        assert len(set(terms)) == len(terms)
        found[i, j] = set(terms)
    return found


def test_5_symbols() -> None:
    """z, all nine δ_x and all four δ_w (the document's δ_z is z here: the output's place)."""
    form = node_form(F.conv2d(image(np.zeros((3, 3)), True), image(np.zeros((2, 2)))))
    assert enumerate_equations(form, form.output, 2) == read_equations(EQUATIONS_Z)
    assert enumerate_equations(form, "x", 3) == read_equations(EQUATIONS_X)
    assert enumerate_equations(form, "w", 2) == read_equations(EQUATIONS_W)


# ------------------------------------------------------------ 7. chain rule on a graph (004)


def test_7_chain_rule() -> None:
    x, y, z = (tensor(np.array(v), requires_grad=True) for v in (-2.0, 5.0, -4.0))
    q = (x + y).retain_grad()
    f = q * z
    assert (q.item(), f.item()) == (3, -12)
    f.backward()
    grads = [t.grad.item() if t.grad is not None else None for t in (q, z, x, y)]
    assert grads == [-4, 3, -4, -4]


# ------------------------------------------------------------ 8. softmax and cross-entropy (001)


def test_8_cross_entropy_line_by_line(rng: np.random.Generator) -> None:
    """−(1/f_y)·∂f_y/∂a_c = −(1/f_y)·(1_{y=c} f_y − f_y f_c) = −(1_{y=c} − f_c)."""
    logits, y = rng.standard_normal(5), 3
    e_y = np.eye(5)[y]
    a = tensor(logits, requires_grad=True)
    f = F.softmax(a, axis=0).retain_grad()
    loss = -F.log(f[y])
    loss.backward()
    share = f.numpy()
    assert a.grad is not None
    assert f.grad is not None
    # Line 1, at the outputs: −1/f_y, and nothing for the other classes.
    nearly(f.grad.numpy(), -e_y / share[y])
    # Line 2, the quotient rule for f_y = exp(a_y) / Σ exp(a_c).
    exponentials, total = np.exp(logits), np.exp(logits).sum()
    df_y = (e_y * exponentials[y] * total - exponentials[y] * exponentials) / total**2
    nearly(-1 / share[y] * df_y, a.grad.numpy())
    # Line 3: the same in f, and what remains.
    nearly(df_y, e_y * share[y] - share[y] * share)
    nearly(a.grad.numpy(), -(e_y - share))
    # Fused and over m samples: δ = (f − e(y)) / m.
    batch, labels = rng.standard_normal((6, 5)), rng.integers(0, 5, 6)
    b = tensor(batch, requires_grad=True)
    F.cross_entropy(b, labels).backward()
    assert b.grad is not None
    nearly(b.grad.numpy(), (F.softmax(batch, axis=1).numpy() - np.eye(5)[labels]) / 6)


def test_8_squared_error_through_an_activation(rng: np.random.Generator) -> None:
    """δ = (f − e(y))·f′: one factor more than softmax with cross-entropy."""
    a = tensor(rng.standard_normal(5), requires_grad=True)
    e_y = np.eye(5)[2]
    f = F.sigmoid(a)
    (0.5 * F.mse_loss(f, e_y, reduction="sum")).backward()
    assert a.grad is not None
    s = f.numpy()
    nearly(a.grad.numpy(), (s - e_y) * s * (1 - s))


# ------------------------------------------------------------ where the documents are wrong


def test_000_surviving_terms_are_x_minus_a_and_y_minus_b() -> None:
    """The text says that terms with x = x′−a and y = y′−a survive; the second is y = y′−b.

    In that document the forward pass is a true convolution: z[x′, y′] = Σ w[a, b]·x[x′−a, y′−b].
    """
    x = image(np.zeros((3, 4)), True)
    z = F.conv2d(x, image(np.zeros((2, 3))), padding="full", mode="convolution")
    found = convolution_terms(z)
    assert found
    for (row, column), products in found.items():
        for (a, b), (row_out, column_out) in products:
            assert row == row_out - a
            assert column == column_out - b  # the text: − a
    assert any(
        column != column_out - a
        for (_, column), products in found.items()
        for (a, _), (_, column_out) in products
    )


def convolution_terms(z: Tensor) -> dict[tuple[int, int], list[tuple[Any, Any]]]:
    """Cell of x -> pairs (cell of the unturned kernel, cell of z), by differences: it is linear.

    Which cells of w and g make δ_x is found by unit impulses, so it does not matter how the
    convolution turned its kernel.
    """
    kernel, found = (2, 3), {}
    for a, b in itertools.product(*map(range, kernel)):
        w = np.zeros((1, 1, *kernel))
        w[0, 0, a, b] = 1
        for p, q in itertools.product(*map(range, z.shape[2:])):
            x = image(np.zeros((3, 4)), True)
            g = np.zeros(z.shape)
            g[0, 0, p, q] = 1
            F.conv2d(x, tensor(w), padding="full", mode="convolution").backward(g)
            for row, column in np.argwhere(plane(x.grad)):
                found.setdefault((int(row), int(column)), []).append(((a, b), (p, q)))
    return found


def test_001_penalty_gradient_is_2_lambda_w(rng: np.random.Generator) -> None:
    """The text gives λW for the gradient of λ·Σ‖W‖²."""
    w = tensor(rng.standard_normal((3, 4)), requires_grad=True)
    (0.01 * F.sum(w * w)).backward()
    assert w.grad is not None
    nearly(w.grad.numpy(), 2 * 0.01 * w.numpy())
    assert not np.allclose(w.grad.numpy(), 0.01 * w.numpy())


def test_001_penalty_as_a_part_of_the_loss(rng: np.random.Generator) -> None:
    """`nn.L2Penalty` is the document's λ·Σ‖W‖²; and the factor is the transposed activation."""
    layer = nn.Linear(4, 3).double()
    x, labels = rng.standard_normal((6, 4)), rng.integers(0, 3, 6)
    loss = F.cross_entropy(layer(tensor(x)), labels) + nn.L2Penalty(0.01)(layer)
    loss.backward()
    w = layer.weight.numpy()
    f = F.softmax(layer(tensor(x)), axis=1).numpy()
    delta = (f - np.eye(3)[labels]) / 6
    assert layer.weight.grad is not None
    nearly(layer.weight.grad.numpy(), delta.T @ x + 2 * 0.01 * w)


def test_003_the_second_sum() -> None:
    """The text types 3,1,1 for 3,2,1 and still prints 15; what it types sums to 14."""
    typed = [3, 1, 1, 0, 1, 3, 1, 2, 2]
    assert sum(typed) == 14
    x, w = image(X), image(W, True)
    F.conv2d(x, w).backward(image(np.ones((3, 3))))
    assert plane(w.grad)[0, 1] == sum(PATCHES[1]) == 15


def test_003_a_transposed_convolution_is_no_inverse() -> None:
    """Folding the outer product does not give the picture back: <Ax, z> = <x, A*z>, no more."""
    d = plane(F.conv_transpose2d(image(Z), image(W)))
    exactly(d, FOLDED)
    assert not np.array_equal(d, X)
    assert np.vdot(plane(F.conv2d(image(X), image(W))), Z) == np.vdot(X, d)


def test_004_f_needs_a_negative_z() -> None:
    """With the z = 4 of the text, f would be 12; −12 needs z = −4."""
    x, y = tensor(np.array(-2.0)), tensor(np.array(5.0))
    assert ((x + y) * tensor(np.array(4.0))).item() == 12
    assert ((x + y) * tensor(np.array(-4.0))).item() == -12


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("padding", [0, 1, 2])
def test_002_the_backward_padding_does_not_depend_on_the_stride(
    kernel: int, dilation: int, padding: int
) -> None:
    """It is e − 1 − A, and the rows that the stride left over come back at the end."""
    for stride, size in itertools.product((1, 2, 3), (8, 9, 10, 11)):
        axis = Axis(kernel, stride, dilation, padding, padding)
        back = axis.input_gradient(size).window
        assert back.before == axis.effective - 1 - padding
        assert back.after == axis.effective - 1 - padding + axis.remainder(size)
        # Padded like this, the dilated gradient is correlated back to exactly the input's size.
        x = tensor(np.zeros((1, 1, size)), requires_grad=True)
        z = ops.conv1d(x, np.ones((1, 1, kernel)), None, stride, padding, dilation)
        z.backward(np.ones(z.shape))
        assert x.grad is not None
        dilated = (z.shape[2] - 1) * stride + 1
        assert dilated + back.before + back.after - axis.effective + 1 == size
