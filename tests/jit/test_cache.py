"""The cache of machine code: damaged entries are made anew, an unkind disk costs entries only."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import pytest

from rot180.jit.cache import Cache, default_folder


def refuse() -> bytes:
    raise AssertionError("it is in the cache")


def test_made_once_and_found_by_another_process(tmp_path: Path) -> None:
    first = Cache(tmp_path / "new" / "folder")
    assert first.get("a", lambda: b"code") == b"code"
    second = Cache(tmp_path / "new" / "folder")
    assert second.get("a", refuse) == b"code"
    assert (first.made, first.found, second.made, second.found) == (1, 0, 0, 1)
    assert [path.name for path in (tmp_path / "new" / "folder").iterdir()] == ["a.o"]


@pytest.mark.skipif(os.name == "nt", reason="permissions of another kind")
def test_the_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    Cache(tmp_path / "own").get("a", lambda: b"code")
    assert (tmp_path / "own").stat().st_mode & 0o077 == 0
    assert (tmp_path / "own" / "a.o").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", ["cut", "bit", "empty", "text", "longer"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    Cache(tmp_path).get("a", lambda: b"code" * 100)
    file = tmp_path / "a.o"
    data = bytearray(file.read_bytes())
    if damage == "cut":
        data = data[: len(data) // 2]
    elif damage == "bit":
        data[-7] ^= 4
    elif damage == "longer":
        data += b"!"
    else:
        data = bytearray() if damage == "empty" else bytearray(b"no code")
    file.write_bytes(data)
    again = Cache(tmp_path)
    assert again.get("a", lambda: b"new") == b"new"
    assert Cache(tmp_path).get("a", refuse) == b"new"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_a_disk_that_takes_nothing(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import rot180.jit.cache as module

    def broken(*args: Any, **options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(module.tempfile, "mkstemp", broken)
        assert Cache(tmp_path).get("a", lambda: b"code") == b"code"
    assert list(tmp_path.iterdir()) == []
    with monkeypatch.context() as patch:  # the disk is full in the middle of the file
        patch.setattr(module.os, "fdopen", broken)
        assert Cache(tmp_path).get("a", lambda: b"code") == b"code"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("here")
    cache = Cache(tmp_path / "file")
    assert cache.get("a", lambda: b"code") == b"code"
    assert cache.entries() == []
    assert cache.clear() == 0


def test_no_folder() -> None:
    cache = Cache(None)
    assert [cache.get("a", lambda: b"code") for _ in range(2)] == [b"code"] * 2
    assert cache.made == 2
    assert cache.entries() == []


def test_an_error_of_the_compiler_leaves_nothing(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    with pytest.raises(ValueError, match="compiler"):
        cache.get("a", lambda: (_ for _ in ()).throw(ValueError("compiler")))
    assert list(tmp_path.iterdir()) == []
    assert cache.get("a", lambda: b"code") == b"code"


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number, name in enumerate("abc"):
        cache.get(name, lambda: bytes(1000))
        os.utime(tmp_path / f"{name}.o", (number, number))
    before = time.time()
    cache.get("a", refuse)  # used again
    assert [path.name for path, _, _ in cache.entries()] == ["b.o", "c.o", "a.o"]
    assert cache.entries()[-1][2] >= before - 2
    size = cache.entries()[0][1]
    cache.trim(2 * size)
    assert [path.name for path, _, _ in cache.entries()] == ["c.o", "a.o"]
    cache.trim()
    assert len(cache.entries()) == 2
    assert cache.clear() == 2
    assert cache.entries() == []


def _work(folder: Path, seed: int, queue: Any) -> None:
    cache = Cache(folder)
    wrong = 0
    for round_ in range(60):
        name = f"k{(round_ * 7 + seed) % 12}"
        wrong += cache.get(name, lambda name=name: name.encode() * 5000) != name.encode() * 5000
        if round_ % 20 == 19:
            cache.clear()
    queue.put(wrong)


def test_several_processes_use_a_folder_at_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    processes = [context.Process(target=_work, args=(tmp_path, n, queue)) for n in range(3)]
    for process in processes:
        process.start()
    assert [queue.get(timeout=120) for _ in processes] == [0, 0, 0]
    for process in processes:
        process.join(60)
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".o"]


def test_the_default_folder_is_the_user_s(monkeypatch: pytest.MonkeyPatch) -> None:
    assert default_folder() == Path(os.environ["ROT180_CACHE"])
    monkeypatch.delenv("ROT180_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setattr("sys.platform", "linux")
    assert default_folder() == Path("/somewhere/rot180")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_folder() == Path.home() / ".cache" / "rot180"
