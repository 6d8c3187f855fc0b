"""Windows of real networks and of other libraries' test lists give the stated sizes."""

import json

import pytest

from rot180.errors import ArgumentError
from rot180.window import Window, output_padding_for, pool_window, transposed


@pytest.fixture(scope="module")
def shapes(material):
    return json.loads((material / "conformance" / "shapes.json").read_text(encoding="utf-8"))


def window_of(entry):
    return Window.of(entry["k"], entry["s"], entry["p"], entry["d"], entry["g"])


@pytest.mark.parametrize(
    ("kind", "count"), [("conv", 3495), ("pool", 254), ("deepbench_conv", 218)]
)
def test_sizes_there_and_back(shapes, kind, count):
    assert len(shapes[kind]) == count
    for entry in shapes[kind]:
        window, sizes, outputs = window_of(entry), tuple(entry["i"]), tuple(entry["o"])
        assert window.output_size(sizes) == outputs, entry["id"]
        assert Window.parse(window.name) == window
        for record, h, p in zip(window.input_gradient(sizes), sizes, outputs, strict=True):
            assert record.window.output_size(record.dilate * (p - 1) + 1) == h, entry["id"]
        for record, h in zip(window.weight_gradient(sizes), sizes, strict=True):
            assert record.window.output_size(h) - record.surplus == record.taps, entry["id"]


def test_sizes_of_transposed_convolutions(shapes):
    assert len(shapes["deconv"]) == 206
    for entry in shapes["deconv"]:
        window, sizes, outputs = window_of(entry), tuple(entry["i"]), tuple(entry["o"])
        extra = output_padding_for(window, sizes, outputs)
        assert extra == (0,) * len(sizes), entry["id"]  # the list states it as a smaller crop
        convolution, found = transposed(window, sizes, extra)
        assert found == outputs, entry["id"]
        assert convolution.output_size(outputs) == sizes, entry["id"]


def test_pools_of_the_list_against_the_rule_of_pools(shapes):
    """All 254 sizes hold as windows (above); as pools, the rule 0 <= padding <= e // 2 sorts them.

    oneDNN derives the padding after from the stated output. 136 entries are within the rule. 34 are
    outside only because the padding after is negative (cells that the last window leaves
    over): sliced off first, the pool gives the stated size. 84 pad more than half the effective
    kernel, up to several kernels, so that windows may hold no cell at all: PyTorch refuses
    them, and so do we, naming the limit.
    """
    within, cropped, refused = 0, 0, 0
    for entry in shapes["pool"]:
        outputs = tuple(entry["o"])
        halves = [(d * (k - 1) + 1) // 2 for k, d in zip(entry["k"], entry["d"], strict=True)]
        rule = [max(pair) <= half for half, pair in zip(halves, entry["p"], strict=True)]
        crops = [min(after, 0) for _, after in entry["p"]]
        sizes = tuple(size + crop for size, crop in zip(entry["i"], crops, strict=True))
        padding = [(before, max(after, 0)) for before, after in entry["p"]]
        if not all(rule):
            refused += 1
            with pytest.raises(ArgumentError, match=r"padding (before|after) axis \d out of range"):
                pool_window(entry["k"], entry["s"], padding, entry["d"], input_size=sizes)
            continue
        window = pool_window(entry["k"], entry["s"], padding, entry["d"], input_size=sizes)
        assert window.output_size(sizes) == outputs, entry["id"]
        if any(crops):
            cropped += 1
            with pytest.raises(ArgumentError, match=r"to crop, slice the input"):
                pool_window(entry["k"], entry["s"], entry["p"], entry["d"], input_size=sizes)
        else:
            within += 1
    assert (within, cropped, refused) == (136, 34, 84)
