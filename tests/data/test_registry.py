from __future__ import annotations

import sys
from pathlib import Path

import pytest
from test_mnist import write

from rot180.data import DATASETS, default_root, load
from rot180.data.fetch import SOURCES
from rot180.errors import ArgumentError, DataError


def test_what_is_known_of_each_set():
    assert list(DATASETS) == ["digits", "mnist", "fashion_mnist", "cifar10"]
    for name, info in DATASETS.items():
        assert info.name == name
        assert info.attribution
        assert info.licence
        assert info.embedded != (name in SOURCES)  # everything is here or can be had


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_embedded_set_is_as_described(split):
    loaded, info = load("digits", split), DATASETS["digits"]
    assert loaded.image_shape == info.image_shape
    assert len(loaded) == getattr(info, split)
    assert len(load("digits", "all")) == info.train + info.test


def test_load_by_name_from_a_root(tmp_path, rng, monkeypatch):
    write(tmp_path / "fashion-mnist", rng, count=3)
    assert load("fashion-mnist", root=tmp_path).name == "fashion_mnist train"
    monkeypatch.setattr(sys.modules["rot180.data.registry"], "default_root", lambda: tmp_path)
    assert len(load("fashion_mnist")) == 3
    with pytest.raises(DataError, match="rot180 data fetch mnist"):
        load("mnist", root=tmp_path)


def test_load_a_folder(tmp_path, rng):
    image_module = pytest.importorskip("PIL.Image")
    for name in ("a", "b"):
        for number in range(5):
            path = tmp_path / "digits" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            image_module.fromarray(rng.integers(0, 256, (4, 4)).astype("uint8")).save(path)
    assert load(tmp_path / "digits").name == "digits train"
    assert load(str(tmp_path / "digits"), "test", size=6).images.shape == (2, 1, 6, 6)


def test_neither_name_nor_folder(tmp_path):
    with pytest.raises(ArgumentError, match="no data set and no folder 'mnits'; expected digits,"):
        load("mnits")
    with pytest.raises(ArgumentError, match="size is for folders"):
        load("digits", size=3)


def test_default_root(monkeypatch):
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(variable, raising=False)
    for platform, expected in (
        ("linux", "/home/me/.cache/rot180"),
        ("darwin", "/home/me/Library/Caches/rot180"),
        ("win32", "/home/me/AppData/Local/rot180"),
    ):
        monkeypatch.setattr(sys, "platform", platform)
        assert default_root().as_posix() == expected
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/elsewhere")
    assert default_root() == Path("/elsewhere/rot180")
