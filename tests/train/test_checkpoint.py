"""Checkpoints: complete or not there, whatever fails while they are written."""

import errno
import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from rot180.errors import DataError, DTypeError
from rot180.train.checkpoint import CheckpointStore
from rot180.train.packing import pack, unpack


def content(number):
    model = {"weight": np.full((3, 4), number, np.float32), "steps": np.array(number)}
    return model, {"momentum": np.full(5, number / 2)}, {"epoch": number, "random": 2**100 + number}


def check(found, number):
    model, arrays, state = content(number)
    assert found.state == state
    for got, want in ((found.model, model), (found.arrays, arrays)):
        assert got.keys() == want.keys()
        for name in want:
            assert got[name].dtype == want[name].dtype
            assert np.array_equal(got[name], want[name])


def test_save_and_load(tmp_path):
    store = CheckpointStore(tmp_path / "checkpoint")
    for number in (1, 2, 3):
        folder = store.save(*content(number))
        check(CheckpointStore(tmp_path / "checkpoint").load(), number)
    assert folder.name == "000003"
    left = sorted(entry.name for entry in store.root.iterdir())
    assert left == ["000002", "000003", "LAST"]


def test_nothing_there(tmp_path):
    with pytest.raises(DataError, match="there is no checkpoint"):
        CheckpointStore(tmp_path).load()


def damage_truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def damage_longer(path):
    path.write_bytes(path.read_bytes() + b"\0")


def damage_bit(path):
    blob = bytearray(path.read_bytes())
    blob[len(blob) // 2] ^= 1
    path.write_bytes(bytes(blob))


def damage_remove(path):
    path.unlink()


@pytest.mark.parametrize("file", ["model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("damage", [damage_truncate, damage_longer, damage_bit, damage_remove])
def test_a_damaged_one_is_noticed_and_the_one_before_it_used(tmp_path, file, damage):
    store = CheckpointStore(tmp_path)
    store.save(*content(1))
    newest = store.save(*content(2))
    damage(newest / file)
    store = CheckpointStore(tmp_path)
    found = store.load()
    check(found, 1)
    assert len(found.warnings) == 1
    assert "000002" in found.warnings[0]
    assert "\n" not in found.warnings[0]
    # the next one does not collide with the damaged one, and the verified one stays as a reserve
    assert store.save(*content(3)).name == "000003"
    assert sorted(e.name for e in tmp_path.iterdir()) == ["000001", "000003", "LAST"]


def test_all_damaged(tmp_path):
    store = CheckpointStore(tmp_path)
    damage_bit(store.save(*content(1)) / "model.safetensors")
    with pytest.raises(DataError, match=r"every checkpoint in .* is damaged"):
        CheckpointStore(tmp_path).load()


@pytest.mark.parametrize("pointer", [None, b"", b"999999\n", b"\xff\xfe", b"../../etc\n"])
def test_a_lost_or_strange_pointer_costs_nothing(tmp_path, pointer):
    store = CheckpointStore(tmp_path)
    store.save(*content(1))
    store.save(*content(2))
    if pointer is None:
        (tmp_path / "LAST").unlink()
    else:
        (tmp_path / "LAST").write_bytes(pointer)
    check(CheckpointStore(tmp_path).load(), 2)


class FailingDisk:
    """From its k-th call on, every call of the file system that takes room fails."""

    def __init__(self, monkeypatch, k):
        self.left = k
        for owner, name in (
            (os, "fsync"),
            (pathlib.Path, "mkdir"),
            (pathlib.Path, "rename"),
            (pathlib.Path, "replace"),
            (pathlib.Path, "open"),
        ):
            monkeypatch.setattr(owner, name, self.wrap(getattr(owner, name), name))

    def wrap(self, original, name):
        def call(*args, **kwargs):
            if name == "open" and args[1:2] != ("xb",):
                return original(*args, **kwargs)  # reading takes no room
            self.left -= 1
            if self.left < 0:
                if name == "open":  # a part of the file is there all the same
                    with original(*args, **kwargs) as file:
                        file.write(b"half")
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*args, **kwargs)

        return call


def test_a_full_disk_at_every_call(tmp_path):
    first = CheckpointStore(tmp_path / "start")
    first.save(*content(1))
    first.save(*content(2))
    said = []
    for k in range(100):
        root = tmp_path / f"disk-{k}"
        shutil.copytree(tmp_path / "start", root)
        store = CheckpointStore(root)
        store.load()
        with pytest.MonkeyPatch.context() as patch:
            disk = FailingDisk(patch, k)
            try:
                store.save(*content(3))
            except DataError as error:
                said.append(str(error))
        found = CheckpointStore(root).load()
        assert not found.warnings
        check(found, found.state["epoch"])
        assert found.state["epoch"] in (2, 3)
        # and when there is room again, all is as ever
        store.save(*content(4))
        check(CheckpointStore(root).load(), 4)
        assert not [e for e in root.iterdir() if e.name.endswith(".tmp")]
        if disk.left >= 0:
            break
    assert len(said) >= 15
    assert all("No space left on device" in line and "intact" in line for line in said)
    assert disk.left >= 0


def test_a_write_that_fails_for_real(tmp_path):
    """The system itself cuts files at 2,000 bytes: a part is written, then EFBIG."""
    pytest.importorskip("resource")
    program = """
import resource, sys, numpy as np
from rot180.errors import DataError
from rot180.train.checkpoint import CheckpointStore
from pathlib import Path
store = CheckpointStore(Path(sys.argv[1]))
store.save({"w": np.zeros(10)}, {}, {"epoch": 1})
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))
try:
    store.save({"w": np.zeros(10000)}, {}, {"epoch": 2})
except DataError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "File too large" in done.stdout
    found = CheckpointStore(tmp_path).load()
    assert found.state["epoch"] == 1
    assert not found.warnings


def test_state_is_json_without_nan(tmp_path):
    folder = CheckpointStore(tmp_path).save(*content(1))
    state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
    assert state["files"].keys() == {"model.safetensors", "optimizer.safetensors"}


def test_packing_gives_back_what_it_got():
    tree = {
        "lr": 0.1,
        "steps": (1, 2),
        "nested": [{"a": np.arange(3)}, None, True, "text"],
        7: np.float64(0.5),
        "inf": float("inf"),
        "scalar": np.array(3.0, np.float32),
    }
    arrays = {}
    back = unpack(json.loads(json.dumps(pack(tree, "t", arrays), allow_nan=False)), arrays)
    assert back["lr"] == 0.1
    assert back["steps"] == [1, 2]
    assert np.array_equal(back["nested"][0]["a"], np.arange(3))
    assert back["nested"][1:] == [None, True, "text"]
    assert back[7] == 0.5
    assert back["inf"] == float("inf")
    assert back["scalar"].shape == ()
    with pytest.raises(DTypeError, match=r"t\.x cannot be stored.*got object"):
        pack({"x": object()}, "t", {})
    with pytest.raises(DataError, match="is missing"):
        unpack({"$array": "gone"}, {})
