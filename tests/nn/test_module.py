import copy

import numpy as np
import pytest

from rot180 import nn
from rot180.core import Tensor, tensor
from rot180.errors import ArgumentError, DTypeError, GraphError, ShapeError
from rot180.optim import SGD


class Net(nn.Module):
    def __init__(self):
        self.scale = nn.Parameter(np.ones(3, np.float32))
        self.body = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
        self.head = nn.Linear(3, 2, bias=False)
        self.register_buffer("count", tensor(np.array(5)))
        self.register_buffer("scratch", tensor(np.zeros(2)), persistent=False)

    def forward(self, x):
        return self.head(self.body(x) * self.scale)


NAMES = ["scale", "body.0.weight", "body.0.bias", "head.weight"]


def test_parts_are_found_in_order_of_assignment():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert [name for name, _ in net.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in net.named_parameters("net")] == [f"net.{n}" for n in NAMES]
    assert [name for name, _ in net.named_buffers()] == ["count", "scratch"]
    assert [name for name, _ in net.named_modules()] == ["", "body", "body.0", "body.1", "head"]
    assert [name for name, _ in net.named_children()] == ["body", "head"]
    assert list(net.children()) == [net.body, net.head]
    assert list(net.state_dict()) == ["scale", "count", "body.0.weight", "body.0.bias",
                                      "head.weight"]  # fmt: skip


def test_names_and_order_are_pytorchs():
    torch = pytest.importorskip("torch")

    def build(n):
        return n.Sequential(
            n.Conv2d(1, 4, 3), n.BatchNorm2d(4), n.Sequential(n.Linear(3, 2), n.LayerNorm(2))
        )

    ours, theirs = build(nn), build(torch.nn)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        mine = ours.state_dict()[name]
        assert mine.shape == tuple(value.shape)
        assert str(mine.dtype) == str(value.dtype).removeprefix("torch.")
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    assert ours.load_state_dict(theirs.state_dict()) == ([], [])
    for name, value in theirs.state_dict().items():
        np.testing.assert_array_equal(ours.state_dict()[name].numpy(), value.numpy())


def test_a_shared_part_counts_once_and_is_saved_twice():
    net = Net()
    net.tied = net.head
    net.again = net.scale
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert {"tied.weight", "again"} < set(net.state_dict())
    assert len(list(net.modules())) == 5
    net.load_state_dict(net.state_dict())


def test_a_module_may_know_its_parent():
    net = Net()
    net.head.parent = net
    assert [name for name, _ in net.named_parameters()] == NAMES
    assert len(net.state_dict()) == 5


def test_attributes_may_be_replaced_and_removed():
    net = Net()
    net.extra = None
    net.extra = nn.Parameter([1.0])
    assert "extra" in dict(net.named_parameters())
    net.extra = None
    assert "extra" not in dict(net.named_parameters())
    del net.head
    assert [name for name, _ in net.named_children()] == ["body"]
    net.count = None
    assert "count" not in net.state_dict()


def test_forgetting_super_init_is_harmless():
    class Bare(nn.Module):
        def __init__(self):
            self.w = nn.Parameter([1.0])

    bare = Bare().eval()
    assert not bare.training
    assert len(list(bare.parameters())) == 1


def test_loading_is_in_place_so_the_optimiser_keeps_its_parameters(rng):
    net = nn.Linear(3, 2)
    optimizer = SGD(net.parameters(), lr=1.0)
    weight, memory = net.weight, net.weight.data
    version = weight.version.count
    state = {"weight": rng.standard_normal((2, 3)), "bias": Tensor(np.zeros(2, np.float32))}
    assert net.load_state_dict(state) == ([], [])
    assert net.weight is weight
    assert weight.data is memory
    assert weight.version.count > version
    np.testing.assert_array_equal(memory, state["weight"].astype(np.float32))
    weight.grad = Tensor(np.ones((2, 3), np.float32))
    optimizer.step()
    np.testing.assert_array_equal(net.weight.data, state["weight"].astype(np.float32) - 1)


def test_a_state_that_does_not_fit_changes_nothing():
    net = nn.Linear(3, 2)
    before = {k: v.numpy().copy() for k, v in net.state_dict().items()}
    good = np.zeros((2, 3))
    with pytest.raises(ArgumentError, match="missing: bias; unexpected: other"):
        net.load_state_dict({"weight": good, "other": good})
    with pytest.raises(ShapeError, match=r"bias; expected \(2,\), got \(3,\)"):
        net.load_state_dict({"weight": good, "bias": np.zeros(3)})
    with pytest.raises(DTypeError, match="bias; expected float32, got complex128"):
        net.load_state_dict({"weight": good, "bias": np.zeros(2, complex)})
    for name, value in net.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])
    result = net.load_state_dict({"weight": good, "other": good}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["other"]
    np.testing.assert_array_equal(net.weight.data, 0)


def test_switches_reach_everything_below():
    net = Net()
    assert net.training
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())
    seen = []
    net.apply(seen.append)
    assert seen == [net.body[0], net.body[1], net.body, net.head, net]


def test_gradients_are_forgotten(rng):
    net = Net()
    y = net(rng.standard_normal((2, 4)).astype(np.float32))
    y.backward(rng.standard_normal(y.shape).astype(np.float32))
    assert all(p.grad is not None for p in net.parameters())
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_conversion_keeps_the_tensors(rng):
    net = Net()
    net.head.weight.grad = Tensor(np.ones((2, 3), np.float32))
    weight = net.head.weight
    assert net.double() is net
    assert net.head.weight is weight
    assert weight.dtype == np.float64
    assert weight.grad.dtype == np.float64
    assert net.count.dtype == np.int64
    assert net(rng.standard_normal((2, 4))).dtype == np.float64
    assert net.float().head.weight.dtype == np.float32
    with pytest.raises(DTypeError, match="expected float32 or float64, got int64"):
        net.to(np.int64)


def test_hooks_see_and_may_replace_the_result(rng):
    layer = nn.Linear(3, 2)
    x = rng.standard_normal((4, 3)).astype(np.float32)
    seen = []
    remove = layer.register_forward_hook(lambda m, args, y: seen.append((m, args[0], y)))
    y = layer(x)
    assert len(seen) == 1
    assert seen[0][0] is layer
    assert seen[0][1] is x
    assert seen[0][2] is y
    replace = layer.register_forward_hook(lambda m, args, y: y * 0.0)
    np.testing.assert_array_equal(layer(x).data, 0)
    remove()
    replace()
    np.testing.assert_array_equal(layer(x).data, y.data)
    assert len(seen) == 2


def test_a_copy_stands_alone(rng):
    net = Net()
    other = copy.deepcopy(net)
    x = rng.standard_normal((2, 4)).astype(np.float32)
    np.testing.assert_array_equal(net(x).data, other(x).data)
    other.scale.writable()[...] = 7
    assert net.scale.data[0] == 1
    assert list(other.state_dict()) == list(net.state_dict())


def test_no_forward_is_told():
    with pytest.raises(GraphError, match="Module has no forward"):
        nn.Module()(1)


def test_integers_cannot_be_learned():
    with pytest.raises(DTypeError):
        nn.Parameter(np.array([1, 2]))
    assert nn.Parameter(np.array([1, 2]), requires_grad=False).dtype == np.int64


def test_sequential_is_a_list_of_modules():
    parts = [nn.Linear(3, 3), nn.ReLU(), nn.Linear(3, 2)]
    row = nn.Sequential(*parts)
    assert len(row) == 3
    assert list(row) == parts
    assert row[1] is parts[1]
    assert row[-1] is parts[2]
    assert list(row[:2]) == parts[:2]
    row.append(nn.Sigmoid())
    assert list(row.state_dict()) == ["0.weight", "0.bias", "2.weight", "2.bias"]
    named = nn.Sequential({"first": parts[0], "second": parts[2]})
    assert next(iter(named.state_dict())) == "first.weight"
    with pytest.raises(ArgumentError, match="not a module; got <class"):
        nn.Sequential(nn.ReLU)
    with pytest.raises(ArgumentError, match="a function needs a module around it"):
        nn.Sequential(nn.functional.relu)
    with pytest.raises(ArgumentError, match="bad name"):
        nn.Sequential({"forward": nn.ReLU()})


def test_module_list_and_dict_own_their_modules():
    layers = nn.ModuleList(nn.Linear(2, 2) for _ in range(2)).extend([nn.ReLU()])
    assert len(layers) == 3
    assert len(list(layers.parameters())) == 4
    table = nn.ModuleDict({"a": nn.Linear(2, 2), "b": nn.ReLU()})
    table["c"] = layers
    assert list(table) == table.keys() == ["a", "b", "c"]
    assert "a" in table
    assert len(table) == 3
    assert "c.0.weight" in table.state_dict()
    table["a"] = nn.Tanh()
    assert isinstance(table["a"], nn.Tanh)
    assert table.items()[0][0] == "b"
    with pytest.raises(ArgumentError, match="no module 'z'"):
        table["z"]
    with pytest.raises(ArgumentError, match="bad name"):
        table["training"] = nn.ReLU()
    with pytest.raises(ArgumentError, match="bad name"):
        table["a.b"] = nn.ReLU()


EXPRESSIONS = [
    "Conv2d(1, 6, 5, padding=2)",
    "Conv1d(2, 4, (3,), stride=2, padding='full', groups=2, bias=False, padding_mode='reflect')",
    "ConvTranspose2d(4, 2, 3, stride=2, output_padding=1, mode='convolution')",
    "Linear(3, 2)",
    "Linear(3, 2, bias=False)",
    "MaxPool2d(2, stride=(2, 1), ceil_mode=True, ties='split')",
    "AvgPool3d(2, count_include_pad=False, divisor_override=3)",
    "BatchNorm2d(4, momentum=None, affine=False)",
    "LayerNorm((3, 4), bias=False)",
    "GroupNorm(2, 4)",
    "Dropout(p=0.25)",
    "LeakyReLU(negative_slope=0.2)",
    "Softmax(axis=1)",
    "Upsample(scale_factor=2, mode='bilinear')",
    "CrossEntropyLoss(label_smoothing=0.1)",
    "Embedding(5, 3, padding_idx=0)",
    "ZeroPad2d((1, 2, 0, 0))",
    "Flatten()",
]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_repr_is_the_call_that_makes_it(expression):
    made = eval(f"nn.{expression}")
    assert repr(made) == expression


def test_the_repr_shows_the_tree():
    assert repr(Net()) == (
        "Net(\n  (body): Sequential(\n    (0): Linear(4, 3)\n    (1): ReLU()\n  )\n"
        "  (head): Linear(3, 2, bias=False)\n)"
    )
