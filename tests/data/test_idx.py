"""IDX: what is written comes back, and everything else is one clear DataError."""

from __future__ import annotations

import gzip
import lzma
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rot180.data import read_idx
from rot180.data.idx import DTYPES
from rot180.errors import DataError

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def idx_bytes(array: np.ndarray, code: int = 0x08) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(DTYPES[code]).tobytes()


def refused(read) -> bool:
    """Whether `read` raises DataError, on one line; any other exception passes through."""
    try:
        read()
    except DataError as error:
        message = str(error)
    else:
        return False
    assert "\n" not in message
    return True


@pytest.mark.parametrize("code", DTYPES)
@pytest.mark.parametrize("shape", [(7,), (3, 2, 4), (0, 5)])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_round_trip(tmp_path, rng, code, shape, pack):
    array = rng.integers(0, 100, shape).astype(DTYPES[code])
    path = tmp_path / "file"
    path.write_bytes(pack(idx_bytes(array, code)))
    back = read_idx(path)
    assert back.dtype == array.dtype.newbyteorder("=")
    assert back.dtype.isnative
    assert back.flags.writeable
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file; expected first bytes 00 00, a type code (08 09 0b 0c 0d 0e)"),
        (b"\x00\x00\x08", "not an IDX file"),
        (b"\x00\x01\x08\x01\x00\x00\x00\x00", "got 00 01 08 01"),
        (b"\x00\x00\x0a\x01\x00\x00\x00\x00", "got 00 00 0a 01"),
        (b"\x00\x00\x08\x00", "dimension count; expected 1 to 64, got 0"),
        (b"\x00\x00\x08\xff", "got 255"),
        (b"\x00\x00\x08\x03\x00\x00\x00\x02\x00", "3 dimensions · 4 bytes = 12; got 5"),
        (
            b"\x00\x00\x0b\x02\x00\x00\x00\x02\x00\x00\x00\x03abc",
            "truncated IDX file: 2 · 3 · 2 = 12 bytes; expected 12 bytes after the header, got 3",
        ),
        (b"\x00\x00\x08\x01\x00\x00\x00\x02abc", "over-long IDX file: 2 · 1 = 2 bytes"),
        (b"\x00\x00\x08\x02" + b"\xff" * 8, "declares too much: 4294967295 · 4294967295 · 1 ="),
        (b"\x00\x00\x08\x03" + b"\0" * 4 + b"\xff" * 8, "declares too much: 0 · 4294967295"),
        (b"\x1f\x8b\x08\x00damaged", "cannot be read"),
        (b"\xfd7zXZ\x00damaged", "cannot be read"),
    ],
)
def test_damage_is_told_with_the_arithmetic(tmp_path, content, message):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_idx(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        read_idx(tmp_path / "absent")
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path)


def test_gzip_checksum_is_looked_at(tmp_path):
    packed = bytearray(gzip.compress(idx_bytes(np.arange(200))))
    packed[-6] ^= 1  # within the CRC
    path = tmp_path / "file.gz"
    path.write_bytes(packed)
    with pytest.raises(DataError, match="CRC"):
        read_idx(path)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_packed_file_cut_short_or_with_something_behind(tmp_path, pack):
    packed = pack(idx_bytes(np.arange(200)))
    path = tmp_path / "file"
    for wrong in (packed[:-3], packed[: len(packed) // 2], packed + b"more"):
        path.write_bytes(wrong)
        with pytest.raises(DataError):
            read_idx(path)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_memory_follows_the_bytes_that_came_not_the_header(tmp_path, pack):
    path = tmp_path / "file"
    path.write_bytes(
        pack(b"\x00\x00\x08\x04" + struct.pack(">4I", 1 << 15, 1 << 15, 1 << 15, 1 << 15))
    )
    tracemalloc.start()
    with pytest.raises(DataError, match=f"= {1 << 60:,} bytes"):
        read_idx(path)
    with pytest.raises(DataError, match="truncated"):
        read_idx(path, max_bytes=1 << 61)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_gzip_bomb_stops_where_the_header_said(tmp_path):
    path = tmp_path / "file.gz"
    path.write_bytes(gzip.compress(idx_bytes(np.arange(10)) + b"\0" * (64 << 20), 1))
    tracemalloc.start()
    with pytest.raises(DataError, match="over-long"):
        read_idx(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


@FUZZ
@given(content=st.binary(max_size=200), code=st.sampled_from(sorted(DTYPES)), data=st.data())
def test_fuzz(tmp_path, content, code, data):
    """Random bytes, random bodies behind a sound start, bit flips, cuts and tails."""
    sound = idx_bytes(np.arange(24).reshape(2, 3, 4), code)
    flipped = bytearray(data.draw(st.sampled_from([sound, gzip.compress(sound, mtime=0)])))
    position = data.draw(st.integers(0, len(flipped) * 8 - 1))
    flipped[position // 8] ^= 1 << position % 8
    cut = data.draw(st.integers(0, len(sound) - 1))
    path = tmp_path / "file"
    for wrong, must_fail in (
        (content, False),
        (bytes([0, 0, code]) + content, False),
        (bytes(flipped), False),
        (sound[:cut], True),
        (sound + content + b"!", True),
    ):
        path.write_bytes(wrong)
        assert refused(lambda: read_idx(path, max_bytes=1 << 20)) or not must_fail


def test_the_real_files(material):
    images = read_idx(material / "data" / "mnist" / "t10k-images-idx3-ubyte.gz")
    assert images.shape == (10_000, 28, 28)
    assert images.dtype == np.uint8
