import math

import numpy as np
import pytest

from rot180 import nn
from rot180.core import Tensor
from rot180.errors import ArgumentError, ShapeError
from rot180.nn import init


def weight(*shape, dtype=np.float64):
    return Tensor(np.full(shape, np.nan, dtype))


def seeded(seed=0):
    return np.random.default_rng(seed)


def test_fans_follow_pytorch():
    torch = pytest.importorskip("torch")
    for shape in [(6, 4, 3, 5), (6, 4), (2, 3, 7)]:
        theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.zeros(shape))
        assert init.fans(weight(*shape)) == theirs
    with pytest.raises(ShapeError, match="at least two axes"):
        init.fans(weight(3))


@pytest.mark.parametrize("name", ["linear", "sigmoid", "tanh", "relu", "leaky_relu"])
def test_gains_follow_pytorch(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == pytest.approx(torch.nn.init.calculate_gain(name))
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(
        torch.nn.init.calculate_gain("leaky_relu", 0.3)
    )


SHAPE = (64, 32, 5, 5)
FAN_IN, FAN_OUT = 32 * 25, 64 * 25
DEVIATIONS = {
    "default": 1 / math.sqrt(3 * FAN_IN),
    "he": math.sqrt(2 / FAN_IN),
    "he_normal": math.sqrt(2 / FAN_IN),
    "he_uniform": math.sqrt(2 / FAN_IN),
    "kaiming": math.sqrt(2 / FAN_IN),
    "kaiming_normal": math.sqrt(2 / FAN_IN),
    "kaiming_uniform": math.sqrt(2 / FAN_IN),
    "glorot": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "glorot_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "glorot_uniform": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "xavier": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "xavier_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "xavier_uniform": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "orthogonal": 1 / math.sqrt(FAN_IN),
    "normal": 0.01,
    "uniform": 0.05 / math.sqrt(3),
    "zeros": 0.0,
    "ones": 0.0,
}


@pytest.mark.parametrize("name", init.INITS)
def test_every_name_has_its_deviation(name):
    w = weight(*SHAPE)
    assert init.init_by_name(name)(w, seeded()) is w
    assert w.data.std() == pytest.approx(DEVIATIONS[name], rel=0.02)
    assert w.data.mean() == pytest.approx(1.0 if name == "ones" else 0.0, abs=1e-3)


def test_uniform_ones_stay_inside_their_bound():
    w = weight(*SHAPE)
    init.init_by_name("default")(w, seeded())
    assert 0.99 / math.sqrt(FAN_IN) < np.abs(w.data).max() <= 1 / math.sqrt(FAN_IN)
    init.kaiming_uniform_(w, a=math.sqrt(5), generator=seeded())
    again = weight(*SHAPE)
    init.default_(again, seeded())
    np.testing.assert_allclose(w.data, again.data, rtol=1e-12)
    init.kaiming_normal_(w, mode="fan_out", nonlinearity="linear", generator=seeded())
    assert w.data.std() == pytest.approx(1 / math.sqrt(FAN_OUT), rel=0.02)


@pytest.mark.parametrize("shape", [(3, 8), (8, 3), (4, 2, 2), (5, 5)])
def test_orthogonal_rows_or_columns(shape):
    w = weight(*shape)
    init.orthogonal_(w, gain=2.0, generator=seeded())
    m = w.data.reshape(shape[0], -1)
    gram = m @ m.T if m.shape[0] <= m.shape[1] else m.T @ m
    np.testing.assert_allclose(gram, 4 * np.eye(len(gram)), atol=1e-12)


def test_one_seed_gives_the_same_network_in_both_precisions():
    for function in (init.kaiming_normal_, init.xavier_uniform_, init.orthogonal_):
        single, double = weight(4, 3, dtype=np.float32), weight(4, 3)
        function(single, generator=seeded(1))
        function(double, generator=seeded(1))
        np.testing.assert_array_equal(single.data, double.data.astype(np.float32))


def test_writing_counts_as_a_change():
    w = weight(2, 2)
    before = w.version.count
    init.constant_(w, 3.0)
    assert w.version.count == before + 1
    assert (w.data == 3).all()


def test_layers_start_as_in_pytorch():
    layer = nn.Conv2d(16, 32, 3, groups=2)
    bound = 1 / math.sqrt(8 * 9)
    assert 0.98 * bound < np.abs(layer.weight.data).max() <= bound
    assert 0.8 * bound < np.abs(layer.bias.data).max() <= bound
    transposed = nn.ConvTranspose2d(16, 32, 3)
    bound = 1 / math.sqrt(32 * 9)
    assert 0.98 * bound < np.abs(transposed.weight.data).max() <= bound
    linear = nn.Linear(100, 50)
    assert 0.98 * 0.1 < np.abs(linear.weight.data).max() <= 0.1
    bilinear = nn.Bilinear(25, 10, 20)
    assert 0.98 * 0.2 < np.abs(bilinear.weight.data).max() <= 0.2
    embedding = nn.Embedding(100, 50)
    assert embedding.weight.data.std() == pytest.approx(1, rel=0.05)


def test_unknown_words_are_told():
    for call, message in [
        (lambda: init.init_by_name("best"), "init_by_name; expected default"),
        (lambda: init.calculate_gain("swish"), "calculate_gain; expected linear"),
        (lambda: init.kaiming_normal_(weight(2, 2), mode="fan"), "fan_in or fan_out"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            call()
