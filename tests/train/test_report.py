"""Pictures and the report: any number of classes, names, channels and mistakes."""

import html.parser

import numpy as np
import pytest

from rot180.errors import MissingExtraError
from rot180.train import RunFolder, write_report
from rot180.train.figures import confusion_png, curves_png, mistakes_png

pytest.importorskip("matplotlib")


def size(png):
    assert png.startswith(b"\x89PNG")
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def record(epoch, **more):
    return {
        "epoch": epoch,
        "step": 9 * epoch,
        "train_loss": 1 / epoch,
        "lr": 0.1,
        "seconds": 1.0,
        **more,
    }


@pytest.mark.parametrize("dark", [False, True])
def test_curves(dark):
    width, height = size(curves_png([record(e) for e in range(1, 60)], dark=dark))
    assert 600 < width < 1200
    assert 300 < height < 500
    full = [record(e, train_accuracy=1.0, val_accuracy=0.5, val_loss=0.2) for e in (1, 2)]
    assert size(curves_png(full, dark=dark))[0] > width
    steps = [{"epoch": 1, "step": n, "loss": 2.0 / n, "lr": n / 10} for n in range(1, 19)]
    assert curves_png(full, steps, dark=dark) != curves_png(full, dark=dark)
    size(curves_png([record(1)], [{**steps[0], "loss": None}]))
    size(curves_png([]))
    size(curves_png([record(1, val_loss=None, train_accuracy=None)]))


@pytest.mark.parametrize(
    "names", [["a", "b"], [str(i) for i in range(10)], ["猫", "<b>", "a" * 20], list("abcde") * 25]
)
def test_confusion(names, rng):
    counts = rng.integers(0, 50, (len(names), len(names)))
    assert max(size(confusion_png(counts, names))) < 1600
    size(confusion_png(np.zeros_like(counts), names, dark=True))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("count", [1, 24])
def test_mistakes(channels, count, rng):
    images = rng.integers(0, 256, (count, channels, 9, 7)).astype(np.uint8)
    captions = [("true automobile", "said airplane, 97 %")] * count
    width, height = size(mistakes_png(images, captions, "title"))
    assert width < 1200
    assert height < 1200


class Strict(html.parser.HTMLParser):
    """Every opened element is closed, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.pictures = [], 0

    def handle_starttag(self, tag, attrs):
        if tag == "img":
            self.pictures += 1
            assert dict(attrs)["alt"]
        if tag not in ("meta", "img", "source"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("wrong", [0, 1, 40])
def test_report(tmp_path, rng, wrong):
    run = RunFolder.create(tmp_path / "run", {"data": {"name": "<x>"}, "free": 3, "none": None})
    run.log({"kind": "epoch", **record(1, val_loss=float("nan"))})
    labels = rng.integers(0, 4, 50)
    scores = np.eye(4)[labels] * 5
    scores[:wrong] = np.roll(scores[:wrong], 1, axis=1)
    images = rng.integers(0, 256, (50, 1, 8, 8)).astype(np.uint8)
    assert write_report(run, scores, labels, images, ["<a>", "b&", "c", "d"], summary="<t>") == ""
    page = (run.path / "report.html").read_text(encoding="utf-8")
    parser = Strict()
    parser.feed(page)
    assert parser.open == []
    assert parser.pictures == 3
    assert "<a>" not in page
    assert "&lt;a&gt;" in page
    assert f"<b>{wrong}</b><span>of 50 images" in page
    assert ("None of 50 wrong" in page) == (wrong == 0)
    assert ("1 of 50 wrong, the worst first; then the least certain" in page) == (wrong == 1)
    if wrong:
        return
    # the same again, byte for byte
    write_report(run, scores, labels, images, ["<a>", "b&", "c", "d"], summary="<t>")
    assert (run.path / "report.html").read_text(encoding="utf-8") == page


def test_the_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"pictures need matplotlib.*rot180\[plot\]"):
        curves_png([])
