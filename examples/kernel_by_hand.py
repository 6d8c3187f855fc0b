"""One convolution, forward, backward and step, written out; then the same by the engine.

The gradient with respect to the kernel is a correlation of the picture with the error; the one with
respect to the picture is the full correlation of the error with the kernel turned by 180 degrees.
"""

import argparse

import numpy as np

import rot180.nn.functional as F
from rot180 import tensor


def correlate(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    """z[p, q] = Σ w[r, s] · x[p + r, q + s], as four loops."""
    P, Q = x.shape[0] - w.shape[0] + 1, x.shape[1] - w.shape[1] + 1
    z = np.zeros((P, Q))
    for p in range(P):
        for q in range(Q):
            for r in range(w.shape[0]):
                for s in range(w.shape[1]):
                    z[p, q] += w[r, s] * x[p + r, q + s]
    return z


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few steps only")
    steps = 20 if parser.parse_args().quick else 200

    rng = np.random.default_rng(0)
    x, wanted = rng.standard_normal((8, 8)), rng.standard_normal((3, 3))
    target = correlate(x, wanted)
    by_hand = np.zeros((3, 3))
    engine = tensor(np.zeros((1, 1, 3, 3)), requires_grad=True)

    for _ in range(steps):
        error = 2 * (correlate(x, by_hand) - target) / target.size
        by_hand -= 0.1 * correlate(x, error)  # δw: the picture correlated with the error

        loss = F.mse_loss(F.conv2d(x[None, None], engine), target[None, None])
        engine.zero_grad()
        loss.backward()
        engine.writable()[...] -= 0.1 * engine.grad.data
    print("kernels differ by", np.abs(by_hand - engine.data[0, 0]).max())
    print("distance to the wanted kernel", np.abs(by_hand - wanted).max())

    g = rng.standard_normal(target.shape)
    turned = by_hand[::-1, ::-1]
    full = correlate(np.pad(g, 2), turned)  # δx: padded by kernel − 1
    picture = tensor(x[None, None], requires_grad=True)
    F.conv2d(picture, by_hand[None, None]).backward(g[None, None])
    print("input gradients differ by", np.abs(full - picture.grad.data[0, 0]).max())


if __name__ == "__main__":
    main()
