import json

import numpy as np
import pytest

import rot180.nn.functional as F
from rot180 import nn
from rot180.core import generator_state
from rot180.errors import ArgumentError, ShapeError


def fields(model, shape):
    return {line.name: line.receptive_field for line in nn.summary(model, shape).layers}


def test_lenet5_line_by_line():
    found = nn.summary(nn.models.lenet5(), (1, 28, 28))
    assert found.parameters == found.trainable == 61706
    assert found.macs == 28 * 28 * 6 * 25 + 100 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    first = found.layers[0]
    assert (first.name, first.kind, first.output_shape) == ("features.0", "Conv2d", (6, 28, 28))
    assert (first.parameters, first.receptive_field) == (156, (5, 5))
    assert [line.receptive_field[0] for line in found.layers] == [
        5, 5, 6, 14, 14, 16, 28, 28, 28, 28, 28, 28,
    ]  # fmt: skip
    table = str(found)
    assert "features.3 (Conv2d)" in table
    assert table.endswith("61,706 parameters (61,706 trainable), 416,520 multiply-adds")
    assert json.loads(json.dumps(found.to_dict()))["layers"][0]["output_shape"] == [6, 28, 28]


def seen_from(model, shape, axes):
    """The box of input cells that the middle output depends on, by trying each of them."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, *shape))
    base = model(x).data
    middle = (0, 0, *(size // 2 for size in base.shape[2:]))
    touched = []
    for cell in np.ndindex(*shape[1:]):
        changed = x.copy()
        changed[(0, slice(None), *cell)] += 1.0
        if model(changed).data[middle] != base[middle]:
            touched.append(cell)
    spans = np.ptp(np.array(touched), axis=0) + 1
    return tuple(int(span) for span in spans)


CHAINS = [
    nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 2, (2, 3), dilation=(2, 1))),
    nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 3)),
    nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(1, 2, 2), nn.AvgPool2d((2, 1))),
    nn.Sequential(nn.ReplicationPad2d((1, 0, 2, 1)), nn.Conv2d(1, 1, 3), nn.Dropout()),
    nn.Sequential(nn.Conv2d(1, 2, 3, padding="same_upper", stride=2), nn.Conv2d(2, 1, 2)),
]


@pytest.mark.parametrize("model", CHAINS, ids=lambda m: str(len(m)))
def test_receptive_fields_are_what_outputs_depend_on(model):
    shape = (1, 15, 14)
    model.double().eval()
    last = nn.summary(model, shape).layers[-1]
    assert last.receptive_field == seen_from(model, shape, 2)


def test_residual_sums_take_the_larger_branch():
    block = nn.models.BasicBlock(2, 2)
    found = fields(nn.Sequential(block, nn.Conv2d(2, 1, 3)), (2, 12, 12))
    assert found["0.conv2"] == (5, 5)
    assert found["0.shortcut"] == (1, 1)
    assert found["1"] == (7, 7)


def test_what_cannot_be_told_is_left_out():
    class Strange(nn.Module):
        def forward(self, x):
            return F.conv2d(x, np.ones((1, 1, 3, 3), np.float32), padding=1)

    found = fields(nn.Sequential(Strange(), nn.Conv2d(1, 1, 3)), (1, 8, 8))
    assert found == {"0": None, "1": None}
    found = fields(
        nn.Sequential(nn.ConvTranspose2d(1, 1, 2, stride=2), nn.Conv2d(1, 1, 3)), (1, 4, 4)
    )
    assert found == {"0": None, "1": None}
    assert fields(nn.Sequential(nn.Linear(3, 2)), (3,)) == {"0": None}


def test_multiply_adds_count_every_use_of_a_weight():
    model = nn.Sequential(
        nn.Conv2d(4, 6, 3, groups=2), nn.ConvTranspose2d(6, 2, 2, stride=2), nn.Linear(12, 5)
    )
    found = nn.summary(model, (4, 8, 8))
    assert [line.macs for line in found.layers] == [
        6 * 2 * 9 * 36,
        6 * 2 * 4 * 36,
        12 * 5 * 2 * 12,
    ]


def test_shared_weights_count_once():
    layer = nn.Linear(3, 3)
    model = nn.Sequential(layer, nn.ReLU(), layer)
    found = nn.summary(model, (3,))
    assert found.parameters == 12
    model.requires_grad_(False)
    assert nn.summary(model, (3,)).trainable == 0


def test_the_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout())
    model[1].eval()
    before = {k: v.numpy().copy() for k, v in model.state_dict().items()}
    random = generator_state()
    nn.summary(model, (1, 6, 6))
    assert [m.training for m in model.modules()] == [True, True, False, True]
    assert generator_state() == random
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    assert not any(vars(m).get("_forward_hooks") for m in model.modules())
    with pytest.raises(ShapeError):
        nn.summary(model, (3, 6, 6))
    assert not any(vars(m).get("_forward_hooks") for m in model.modules())
    with pytest.raises(ArgumentError, match="input_shape"):
        nn.summary(model, (1, 0, 6))


def test_other_inputs_and_results():
    assert nn.summary(nn.Embedding(5, 3), (4,), np.int64).layers[0].output_shape == (4, 3)
    pool = nn.MaxPool2d(2, return_indices=True)
    assert nn.summary(pool, (1, 4, 4)).layers[0].output_shape is None
    assert "MaxPool2d (MaxPool2d)  -" in str(nn.summary(pool, (1, 4, 4)))
    double = nn.Linear(3, 2).double()
    assert nn.summary(double, (3,)).macs == 6
