import numpy as np
import pytest

import rot180.nn.functional as F
from rot180 import nn
from rot180.core import manual_seed, tensor
from rot180.errors import ArgumentError, ShapeError
from rot180.nn.models import cnn, lenet5, mnist3, resnet20, vgg6
from rot180.optim import SGD

FACTORIES = {
    "lenet5": lenet5,
    "cnn": cnn,
    "mnist3": mnist3,
    "vgg6": vgg6,
    "resnet20": resnet20,
}
SMALLEST = {"lenet5": 12, "cnn": 2, "mnist3": 8, "vgg6": 8, "resnet20": 1}


@pytest.mark.parametrize("name", FACTORIES)
@pytest.mark.parametrize(
    ("channels", "classes", "size"), [(1, 10, 28), (3, 5, 32), (1, 10, 12), (3, 7, (16, 13))]
)
def test_models_take_images_and_learn(rng, name, channels, classes, size):
    sizes = size if isinstance(size, tuple) else (size, size)
    model = FACTORIES[name](channels, classes, size, generator=rng)
    x = rng.standard_normal((2, channels, *sizes)).astype(np.float32)
    logits = model(x)
    assert logits.shape == (2, classes)
    assert logits.dtype == np.float32
    logits.backward(rng.standard_normal(logits.shape).astype(np.float32))
    assert all(np.isfinite(p.grad.data).all() for p in model.parameters())


@pytest.mark.parametrize("name", FACTORIES)
def test_the_smallest_images(name):
    size = SMALLEST[name]
    assert FACTORIES[name](input_size=size).eval()(
        np.zeros((1, 1, size, size), np.float32)
    ).shape == (1, 10)
    if size > 1:
        with pytest.raises(ShapeError, match=f"{name}: .*pool"):
            FACTORIES[name](input_size=size - 1)
    with pytest.raises(ArgumentError, match=f"{name}: input_size"):
        FACTORIES[name](input_size=0)


def test_digits_fit_all_but_lenet5():
    x = np.zeros((1, 1, 8, 8), np.float32)
    for factory in (cnn, mnist3, vgg6, resnet20):
        assert factory(input_size=8).eval()(x).shape == (1, 10)
    with pytest.raises(ShapeError, match="lenet5: second convolution"):
        lenet5(input_size=8)


def test_sizes_are_the_published_ones():
    def count(model):
        return sum(p.size for p in model.parameters())

    assert count(lenet5()) == 61706
    assert count(mnist3()) == 160 + 4640 + 18496 + 577 * 128 + 129 * 64 + 65 * 10
    # 0.27 million: He et al., 2016, table 6; the projections make up 2,752 of these.
    assert count(resnet20(3, 10, 32)) == 272474
    pairs = [(3, 32), (32, 32), (32, 64), (64, 64), (64, 128), (128, 128)]
    convolutions = sum(k * c * 9 + k for c, k in pairs)
    assert count(vgg6(3, 10, 32)) == convolutions + 10 * 128 * 4 * 4 + 10


def test_a_generator_or_a_seed_decides_the_weights():
    for factory in FACTORIES.values():
        first = factory(generator=np.random.default_rng(1)).state_dict()
        second = factory(generator=np.random.default_rng(1)).state_dict()
        manual_seed(3)
        third = factory().state_dict()
        manual_seed(3)
        fourth = factory().state_dict()
        for name, value in first.items():
            np.testing.assert_array_equal(value.data, second[name].data)
            np.testing.assert_array_equal(third[name].data, fourth[name].data)


def test_names_of_weights():
    assert list(lenet5().state_dict())[:3] == [
        "features.0.weight",
        "features.0.bias",
        "features.3.weight",
    ]
    names = set(resnet20().state_dict())
    assert {"conv1.weight", "layer2.0.shortcut.0.weight", "layer3.2.bn2.running_var"} < names
    assert "layer1.0.shortcut.0.weight" not in names


def test_cnn_learns_the_digits_quickly(rng):
    from rot180.data import digits

    def batch(images):
        return images.astype(np.float32) / images.max()

    manual_seed(0)  # of dropout: 0.84 to 0.96 with other seeds
    train = digits("train")
    x, y = batch(train.images[:512]), train.labels[:512]
    model = cnn(input_size=8, generator=rng)
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    losses = []
    for step in range(48):
        at = slice(step % 8 * 64, step % 8 * 64 + 64)
        loss = F.cross_entropy(model(x[at]), y[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-8:]) < 0.5 < 2.0 < losses[0]
    assert (model.eval()(x).data.argmax(1) == y).mean() > 0.85


def build_torch(model, torch):
    """The same network in PyTorch, read off the modules."""
    made = {
        nn.Conv2d: lambda m: torch.nn.Conv2d(
            m.in_channels,
            m.out_channels,
            m.kernel_size,
            m.stride,
            m.padding,
            bias=m.bias is not None,
        ),
        nn.BatchNorm2d: lambda m: torch.nn.BatchNorm2d(m.num_features),
        nn.Linear: lambda m: torch.nn.Linear(m.in_features, m.out_features),
        nn.ReLU: lambda m: torch.nn.ReLU(),
        nn.MaxPool2d: lambda m: torch.nn.MaxPool2d(m.kernel_size),
        nn.AdaptiveAvgPool2d: lambda m: torch.nn.AdaptiveAvgPool2d(m.output_size),
        nn.Flatten: lambda m: torch.nn.Flatten(),
        nn.Identity: lambda m: torch.nn.Identity(),
    }
    if type(model) in made:
        return made[type(model)](model)

    class Twin(torch.nn.Module):
        def forward(self, x):
            parts = dict(self.named_children())
            if "bn2" in parts:
                inner = parts["conv2"](torch.relu(parts["bn1"](parts["conv1"](x))))
                return torch.relu(parts["bn2"](inner) + parts["shortcut"](x))
            for name, part in parts.items():
                x = part(x)
                if name == "bn1":
                    x = torch.relu(x)
            return x

    twin = Twin()
    for name, child in model.named_children():
        twin.add_module(name, build_torch(child, torch))
    return twin


@pytest.mark.parametrize(("name", "size"), [("lenet5", 14), ("vgg6", 8), ("resnet20", 8)])
def test_training_follows_pytorch(rng, name, size):
    torch = pytest.importorskip("torch")
    ours = FACTORIES[name](input_size=size, generator=rng).double()
    theirs = build_torch(ours, torch).double()
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    optimizer = SGD(ours.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    oracle = torch.optim.SGD(theirs.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-3)
    for _ in range(6):
        x, y = rng.standard_normal((8, 1, size, size)), rng.integers(0, 10, 8)
        loss = F.cross_entropy(ours(x), tensor(y))
        other = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        assert loss.item() == pytest.approx(other.item(), rel=1e-10)
        optimizer.zero_grad()
        oracle.zero_grad()
        loss.backward()
        other.backward()
        optimizer.step()
        oracle.step()
    for key, value in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key].numpy(), value, rtol=1e-7, atol=1e-9)
