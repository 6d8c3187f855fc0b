import numpy as np
import pytest

from rot180 import nn
from rot180.errors import ArgumentError, DataError, ShapeError
from rot180.interop import load_model, load_safetensors, save_model
from rot180.optim import SGD


def net():
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def test_a_model_comes_back_with_the_same_bits(tmp_path, rng):
    first, second = net(), net()
    first(rng.standard_normal((4, 1, 4, 4)).astype(np.float32))
    save_model(first, tmp_path / "m.safetensors", {"epoch": "1"})
    weights = list(second.parameters())
    optimizer = SGD(second.parameters(), 0.1)
    assert load_model(second, tmp_path / "m.safetensors") == ([], [])
    assert list(second.parameters()) == weights == optimizer.param_groups[0]["params"]
    for name, value in first.state_dict().items():
        assert second.state_dict()[name].numpy().tobytes() == value.numpy().tobytes(), name
    assert second[1].num_batches_tracked.item() == 1
    assert load_safetensors(tmp_path / "m.safetensors")[1] == {"epoch": "1"}


def test_pytorch_reads_and_writes_the_same_file(tmp_path):
    torch = pytest.importorskip("torch")
    from safetensors import torch as files

    n = torch.nn
    theirs = n.Sequential(n.Conv2d(1, 2, 3), n.BatchNorm2d(2), n.Flatten(), n.Linear(8, 3))
    ours = net()
    save_model(ours, tmp_path / "a")
    theirs.load_state_dict(files.load_file(tmp_path / "a"))
    files.save_file(theirs.state_dict(), tmp_path / "b")
    again = net()
    load_model(again, tmp_path / "b")
    for name, value in ours.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name].numpy(), value.numpy())


def test_another_model_is_told(tmp_path):
    save_model(net(), tmp_path / "m")
    other = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(ArgumentError, match=r"missing: none; unexpected: 1\."):
        load_model(other, tmp_path / "m")
    assert load_model(other, tmp_path / "m", strict=False).missing_keys == []
    with pytest.raises(ShapeError, match=r"0\.weight; expected \(3, 1, 3, 3\)"):
        load_model(nn.Sequential(nn.Conv2d(1, 3, 3)), tmp_path / "m", strict=False)
    with pytest.raises(DataError, match="cannot read"):
        load_model(other, tmp_path / "absent")
