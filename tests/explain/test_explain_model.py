"""A chain of layers: δ from the loss back to the first kernel, norms, shares, fields, bounds."""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import pytest

import rot180 as rt
from rot180 import nn
from rot180 import ops as F
from rot180.explain import ModelExplanation
from rot180.nn.models import lenet5, resnet20
from rot180.window import Window, receptive_field


def explained(rng: np.random.Generator, **options: object) -> tuple[nn.Module, ModelExplanation]:
    net = lenet5()
    image = rng.standard_normal((1, 28, 28)).astype(np.float32)
    return net, rt.explain.model(net, image, 3, **options)


def test_every_delta_from_the_loss_to_the_first_kernel(rng: np.random.Generator) -> None:
    net, m = explained(rng)
    assert [layer.kind for layer in m.layers[:4]] == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d"]
    assert [layer.output for layer in m.layers] == [f"z{i}" for i in range(1, 13)]
    assert all(layer.delta == f"δ_{layer.output}" for layer in m.layers)
    assert m.layers[0].parameters == ("w1", "b1")
    for name, value in m.values.items():
        if value.step is not None:
            assert m.strongest(name).agrees, name
            for flat in rng.integers(0, value.array.size, 5):
                index = np.unravel_index(int(flat), value.shape)
                assert m[name].at(tuple(int(i) for i in index)).agrees, name
    # and they are the gradients that training computes
    x = m.values["x"].array
    loss = F.cross_entropy(net(rt.tensor(x)), np.array([3]))
    loss.backward()
    grads = {path: p.grad for path, p in net.named_parameters()}
    first = grads["features.0.weight"]
    assert first is not None
    np.testing.assert_allclose(m["δ_w1"].array, first.data, rtol=1e-5, atol=1e-8)
    assert float(m["L"].array) == pytest.approx(loss.item(), rel=1e-6)


def test_equations_norms_maps(rng: np.random.Generator) -> None:
    _, m = explained(rng)
    assert m["δ_z2"][1, 4, 5].equation.startswith(("δ_z2_1,4,5 = δ_z3_", "δ_z2_1,4,5 = 0"))
    assert m["δ_z1"][1, 4, 5].equation == "δ_z1_1,4,5 = δ_z2_1,4,5·[z1_1,4,5 > 0]"
    assert m["δ_b1"][2].equation.count("δ_z1_2,") == 28 * 28
    assert m.norm("δ_w1") == pytest.approx(np.linalg.norm(m["δ_w1"].array.ravel()), rel=1e-6)
    assert m.map("δ_z4").shape == (16, 10, 10)
    rows = m.table()
    assert [row["layer"] for row in rows] == list(range(1, 13))
    assert rows[3]["shape"] == [16, 10, 10]
    assert m.layer("features.3") == m.layer(4) == m.layer("z4")
    text = str(m)
    assert "features.0 (Conv2d)" in text
    assert len(text) < 20_000


def test_shares_and_paths(rng: np.random.Generator) -> None:
    _, m = explained(rng)
    cell = m.strongest("δ_z3")
    shares = m.shares(cell)
    assert sum(s.share for s in shares) == pytest.approx(1.0)
    assert sum(s.value for s in shares) == pytest.approx(float(cell.value), rel=1e-6)
    paths = m.paths(cell)
    assert sum(paths.values()) == pytest.approx(1.0)
    assert set(paths) <= {f"δ_z4[{k}]" for k in range(16)}


def test_the_receptive_field_is_that_of_the_windows(rng: np.random.Generator) -> None:
    _, m = explained(rng)
    field = m.receptive("z4:0,4,4")["x"]
    windows = [Window.of((5, 5), padding=2), Window.of((2, 2), 2), Window.of((5, 5))]
    assert field.box == receptive_field(windows).span((4, 4))
    assert field.count == 14 * 14
    edge = m.receptive("z1:0,0,0")["x"]
    assert edge.box == (range(3), range(3))


def test_projective_and_receptive_fields_are_each_others_relation(rng: np.random.Generator) -> None:
    _, m = explained(rng)
    seen = m.projective("x:10,10")["z4"].mask
    for row in range(10):
        index = (0, 3, row, 4)
        sees = m.receptive(m["z4"].at(index))["x"].mask[0, 0, 10, 10]
        assert bool(sees) == bool(seen[index])


def test_a_residual_network_has_two_paths(rng: np.random.Generator) -> None:
    net = resnet20(in_channels=3)
    m = rt.explain.model(net, rng.standard_normal((3, 16, 16)), 1, lang="zh")
    assert all(m.strongest(n).agrees for n, v in m.values.items() if v.step is not None)
    sums = [n for n in m.values if n.startswith("δ_") and len(m.paths(m.strongest(n))) > 1]
    assert sums
    assert net.training


def test_the_model_is_left_as_it_was(rng: np.random.Generator) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Flatten(),
                        nn.Linear(8, 3))  # fmt: skip
    net.train()
    before = {k: v.data.copy() for k, v in net.state_dict().items()}
    m = rt.explain.model(net, rng.standard_normal((4, 1, 4, 4)), [0, 1, 2, 0])
    assert net.training
    assert all(np.array_equal(before[k], v.data) for k, v in net.state_dict().items())
    assert all(p.grad is None for p in net.parameters())
    assert m["δ_w1"].agrees
    squared = rt.explain.model(net, rng.standard_normal((1, 1, 4, 4)), np.ones((1, 3)),
                               loss=lambda z, t: F.mse_loss(z, rt.tensor(t)))  # fmt: skip
    assert squared["δ_w1"].agrees


@pytest.mark.skipif(sys.platform == "win32", reason="resource is not there")
def test_a_digit_in_time_and_memory(rng: np.random.Generator) -> None:
    began = time.perf_counter()
    _, m = explained(rng)
    str(m)
    for name in ("δ_w1", "δ_z1", "δ_w4", "δ_b1"):
        assert m.strongest(name).agrees
    assert time.perf_counter() - began < 10
    # the peak of this whole test process, other tests included
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 3 << 20
