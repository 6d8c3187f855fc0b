"""Downloads, from a server of this process: nothing outside it is asked."""

from __future__ import annotations

import hashlib
import re
import socket
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from rot180.data import fetch
from rot180.data.fetch import SOURCES, Source
from rot180.errors import ArgumentError, DataError, MissingExtraError

pytest.importorskip("pooch")
FILES = {"one.gz": b"first content", "two.gz": b"second content"}


class Handler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        self.server.asked.append(self.path)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Two mirrors: `right/` has both files, `wrong/` another content under their names."""
    for mirror in ("right", "wrong"):
        (tmp_path / "www" / mirror).mkdir(parents=True)
        for name, content in FILES.items():
            (tmp_path / "www" / mirror / name).write_bytes(content + mirror.encode())
    hashes = {
        name: "sha256:" + hashlib.sha256(content + b"right").hexdigest()
        for name, content in FILES.items()
    }
    handler = partial(Handler, directory=tmp_path / "www")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        running.asked = []
        running.url = f"http://127.0.0.1:{running.server_port}/"
        for proxy in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(proxy, raising=False)
        monkeypatch.setitem(SOURCES, "tiny", Source(hashes, (running.url + "right/",)))
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def test_download_then_nothing_to_do(server, tmp_path):
    lines = []
    folder = fetch("tiny", tmp_path / "root", report=lines.append)
    assert folder == tmp_path / "root" / "tiny"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        name: content + b"right" for name, content in FILES.items()
    }
    assert [line.endswith("complete, hash right") for line in lines] == [True, True]
    asked = len(server.asked)
    fetch("tiny", tmp_path / "root")
    assert len(server.asked) == asked == 2


def test_a_spoiled_file_is_fetched_again(server, tmp_path):
    folder = fetch("tiny", tmp_path)
    (folder / "one.gz").write_bytes(b"spoiled")
    fetch("tiny", tmp_path)
    assert (folder / "one.gz").read_bytes() == FILES["one.gz"] + b"right"


def test_mirrors_that_are_down_or_lie_are_passed_over(server, tmp_path):
    with socket.socket() as taken:  # bound, not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        down = f"http://127.0.0.1:{taken.getsockname()[1]}/"
        lines = []
        folder = fetch(
            "tiny",
            tmp_path / "root",
            mirrors=[down, server.url + "absent", server.url + "wrong/", server.url + "right/"],
            report=lines.append,
        )
    assert (folder / "two.gz").read_bytes() == FILES["two.gz"] + b"right"
    assert [line.split(":")[0] for line in lines[:3]] == ["failed"] * 3
    assert "404" in lines[1]
    assert "hash" in lines[2]


def test_a_wrong_hash_everywhere_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError, match=r"one.gz: no mirror delivered it: .*hash") as caught:
        fetch("tiny", tmp_path / "root", mirrors=[server.url + "wrong", server.url + "absent/"])
    assert "404" in str(caught.value)
    assert "\n" not in str(caught.value)
    folder = tmp_path / "root" / "tiny"
    assert not folder.exists() or list(folder.iterdir()) == []


def test_unknown_and_embedded_names(tmp_path):
    for name in ("digits", "imagenet"):
        with pytest.raises(ArgumentError, match="one of mnist, fashion_mnist, cifar10"):
            fetch(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_without_pooch_one_line_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(MissingExtraError, match="downloads need pooch"):
        fetch("mnist", tmp_path)


def test_every_published_hash_has_its_form():
    lengths = {"sha256": 64}
    for source in SOURCES.values():
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
        for known in source.files.values():
            kind, digits = known.split(":")
            assert re.fullmatch(f"[0-9a-f]{{{lengths[kind]}}}", digits)
