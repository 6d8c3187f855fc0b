"""`rot180 bench`, `cache`, and what `doctor` says of the compiled step."""

import json

import pytest

from rot180.cli import main

pytest.importorskip("llvmlite")


@pytest.fixture
def rot180(capsys, tmp_path, monkeypatch):
    """Run a command line in this process, with a cache of its own: (code, output, errors)."""
    monkeypatch.setenv("ROT180_CACHE", str(tmp_path / "rot180"))

    def run(*words):
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return left.value.code, out, err

    return run


SHORT = ("--batch-size", 4, "--seconds", 0, "--threads", 1)


def test_bench_as_text(rot180):
    code, out, _ = rot180("bench", *SHORT, "--why", "--precision", "direct")
    assert code == 0
    assert out.startswith("lenet5, 4 images 1×28×28, ")
    for part in ("conv z 6→16 5×5 + bias", "[direct", "update of 10 parameters", "arena ", "%"):
        assert part in out
    assert "shares of a step" in out
    code, out, _ = rot180("bench", *SHORT)
    assert len(out.splitlines()) == 4


def test_bench_as_json(rot180):
    code, out, _ = rot180("bench", *SHORT, "--why", "--json", "--optimizer", "adamw")
    found = json.loads(out)
    assert code == 0
    assert found["threads"] == 1
    assert found["steps"] >= 3
    assert found["arena_bytes"] >= found["arena_bytes_least"] > 0
    assert sum(row["share"] for row in found["shares"]) == pytest.approx(1)
    assert any("direct" in row["why"] for row in found["tasks"])


def test_bench_wrong_use(rot180):
    for words, part in (
        (("--model", "lenet6"), "did you mean lenet5?"),
        (("--input", "3"), "channels, rows and columns"),
        (("--optimizer", "magic"), "unknown optimiser"),
    ):
        code, out, err = rot180("bench", *SHORT, *words)
        assert code == 2
        assert out == ""
        assert part in err
        assert err.count("\n") == 1


def test_cache(rot180, tmp_path):
    folder = tmp_path / "rot180"
    assert json.loads(rot180("cache", "info", "--json")[1])["entries"] == 0
    folder.mkdir()
    for name in ("a.o", "b.o"):
        (folder / name).write_bytes(bytes(1000))
    found = json.loads(rot180("cache", "info", "--json")[1])
    assert found == {"folder": str(folder), "entries": 2, "bytes": 2000}
    assert "2 kernels" in rot180("cache", "info")[1]
    assert "2 kernels removed" in rot180("cache", "clear")[1]
    assert list(folder.iterdir()) == []
    assert json.loads(rot180("cache", "clear", "--json")[1])["removed"] == 0


def test_doctor_shows_the_compiled_step(rot180):
    found = json.loads(rot180("doctor", "--json")[1])
    assert found["core"]["llvmlite"]
    assert found["compiled"]["target"] in ("avx512", "avx2", "sse2", "neon")
    assert found["compiled"]["threads"] >= 1
    assert "compiled    " in rot180("doctor")[1]
