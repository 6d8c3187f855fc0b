"""A backward pass of one's own, and the test that tells whether it is right.

For a linear function the adjoint identity ⟨f(x), g⟩ = ⟨x, f*(g)⟩ holds exactly, for any x and g: no
step size, no tolerance to argue about. The wrong version forgets the divisor of a mean pool.
"""

import argparse

import numpy as np

import rot180 as rt


class MeanPool(rt.Function):
    """2×2 mean pool: an output is a quarter of four cells, so each of them gets a quarter back."""

    @staticmethod
    def forward(ctx, x):
        n, c, h, w = x.shape
        return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))

    @staticmethod
    def backward(ctx, g):
        return np.repeat(np.repeat(g.data, 2, 2), 2, 3) / 4


class WrongPool(MeanPool):
    """The divisor is missing in the backward pass: a real and common mistake."""

    @staticmethod
    def backward(ctx, g):
        return np.repeat(np.repeat(g.data, 2, 2), 2, 3)


def adjoint_gap(f, x: np.ndarray, g: np.ndarray) -> float:
    leaf = rt.tensor(x, requires_grad=True)
    z = f(leaf)
    z.backward(g)
    return abs(float((z.data * g).sum() - (x * leaf.grad.data).sum()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one size only")
    sizes = [4] if parser.parse_args().quick else [4, 8, 32]
    rng = np.random.default_rng(0)
    for size in sizes:
        x = rng.standard_normal((2, 3, size, size))
        g = rng.standard_normal((2, 3, size // 2, size // 2))
        for pool in (MeanPool, WrongPool):
            gap = adjoint_gap(pool.apply, x, g)
            print(f"{size:3}  {pool.__name__:9}  ⟨f(x), g⟩ − ⟨x, f*(g)⟩ = {gap:.1e}")


if __name__ == "__main__":
    main()
