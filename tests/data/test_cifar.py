from __future__ import annotations

import gzip
import io
import lzma
import tarfile
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_idx import refused

from rot180.data import cifar10
from rot180.errors import ArgumentError, DataError

FUZZ = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def records(rng, count=4, labels=None):
    content = rng.integers(0, 256, (count, 3073)).astype(np.uint8)
    content[:, 0] = rng.integers(0, 10, count) if labels is None else labels
    return content.tobytes()


def tar_bytes(members, pack=bytes):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return pack(file.getvalue())


@pytest.mark.parametrize("below", ["", "cifar-10-batches-bin", "cifar10"])
def test_folder_with_some_batches(tmp_path, rng, below):
    folder = tmp_path / below
    folder.mkdir(exist_ok=True)
    second, fifth, test = records(rng), records(rng, 3), records(rng, 2)
    (folder / "data_batch_2.bin").write_bytes(second)
    (folder / "data_batch_5.bin").write_bytes(fifth)
    (folder / "test_batch.bin").write_bytes(test)
    train = cifar10(tmp_path)
    assert train.name == "cifar10 train (batches 2, 5)"
    assert train.image_shape == (3, 32, 32)
    raw = np.frombuffer(second + fifth, np.uint8).reshape(7, 3073)
    np.testing.assert_array_equal(train.labels, raw[:, 0])
    np.testing.assert_array_equal(train.images.reshape(7, -1), raw[:, 1:])
    assert len(cifar10(tmp_path, "test")) == 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
@pytest.mark.parametrize("prefix", ["", "cifar-10-batches-bin/", "./deep/er/"])
def test_archive(tmp_path, rng, pack, prefix):
    first, second, test = records(rng), records(rng, 3), records(rng, 2)
    members = [
        (f"{prefix}data_batch_2.bin", second),
        (f"{prefix}readme.html", b"x" * 5000),
        (f"{prefix}test_batch.bin", test),
        (f"{prefix}data_batch_1.bin", first),
    ]
    path = tmp_path / "cifar-10-binary.tar.any"
    path.write_bytes(tar_bytes(members, pack))
    train = cifar10(path)
    assert train.name == "cifar10 train (batches 1, 2)"
    raw = np.frombuffer(first + second, np.uint8).reshape(7, 3073)
    np.testing.assert_array_equal(train.labels, raw[:, 0])
    np.testing.assert_array_equal(cifar10(tmp_path, "test").images.reshape(-1)[:3], list(test[1:4]))
    assert list(tmp_path.iterdir()) == [path]  # nothing was unpacked


def test_not_whole_records(tmp_path, rng):
    path = tmp_path / "test_batch.bin"
    path.write_bytes(records(rng) + b"xy")
    with pytest.raises(DataError, match=r"12,294 = 4 · 3,073 \+ 2; expected a positive multiple"):
        cifar10(tmp_path, "test")
    path.write_bytes(b"")
    with pytest.raises(DataError, match="does not hold whole records"):
        cifar10(tmp_path, "test")


def test_label_out_of_range_names_file_and_record(tmp_path, rng):
    (tmp_path / "data_batch_3.bin").write_bytes(records(rng, labels=[0, 9, 10, 255]))
    with pytest.raises(DataError, match=r"data_batch_3.bin: label of record 2 .* 0 to 9, got 10"):
        cifar10(tmp_path)


def test_nothing_there(tmp_path, rng):
    with pytest.raises(DataError, match="rot180 data fetch cifar10"):
        cifar10(tmp_path)
    (tmp_path / "data_batch_1.bin").write_bytes(records(rng))
    with pytest.raises(DataError, match=r"no test_batch.bin"):
        cifar10(tmp_path, "test")
    with pytest.raises(ArgumentError, match="unknown split"):
        cifar10(tmp_path, "both")


def test_several_archives_are_a_question_not_a_guess(tmp_path, rng):
    packed = tar_bytes([("test_batch.bin", records(rng))], gzip.compress)
    (tmp_path / "cifar-10-binary-a.tar.gz").write_bytes(packed)
    (tmp_path / "cifar-10-binary-b.tar.gz").write_bytes(packed)
    with pytest.raises(DataError, match="several CIFAR-10 archives"):
        cifar10(tmp_path, "test")
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(packed)  # the official name decides
    assert len(cifar10(tmp_path, "test")) == 4


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_links_are_not_followed(tmp_path, rng, kind):
    (tmp_path / "secret").write_bytes(records(rng))
    path = tmp_path / "evil.tar"
    with tarfile.open(path, "w") as archive:
        info = tarfile.TarInfo("test_batch.bin")
        info.type, info.linkname = kind, str(tmp_path / "secret")
        archive.addfile(info)
    with pytest.raises(DataError, match="link or no plain file"):
        cifar10(path, "test")


def test_damaged_archives(tmp_path, rng):
    path = tmp_path / "archive"
    plain = tar_bytes([("data_batch_1.bin", records(rng)), ("data_batch_2.bin", records(rng))])
    second_header = 512 + -(-4 * 3073 // 512) * 512
    assert plain[second_header:].startswith(b"data_batch_2")
    broken = bytearray(plain)
    broken[second_header + 150] ^= 1  # its checksum: tarfile alone would silently stop here
    path.write_bytes(broken)
    with pytest.raises(DataError, match="something follows its end"):
        cifar10(path)
    for wrong in (plain[: second_header - 600], plain[: second_header + 700], b"", b"no archive"):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match=str(path)):
            cifar10(path)
    path.write_bytes(tar_bytes([("test_batch.bin", records(rng))] * 2))
    with pytest.raises(DataError, match="twice"):
        cifar10(path, "test")
    damaged = bytearray(gzip.compress(plain))
    damaged[-7] ^= 4
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="CRC"):
        cifar10(path)


def test_a_member_that_claims_an_exabyte(tmp_path):
    info = tarfile.TarInfo("test_batch.bin")
    info.size = 1 << 60
    path = tmp_path / "archive.tar"
    path.write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"\0" * 2048)
    tracemalloc.start()
    with pytest.raises(DataError):
        cifar10(path, "test")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 << 20


@FUZZ
@given(data=st.data())
def test_fuzz_archive(tmp_path, data):
    pack = data.draw(st.sampled_from([bytes, gzip.compress, lzma.compress]))
    content = bytearray(tar_bytes([("data_batch_1.bin", bytes(3073)), ("x", b"abc")], pack))
    for _ in range(data.draw(st.integers(1, 3))):
        # Headers are where the damage hurts: half of the flips fall into the first block.
        end = data.draw(st.sampled_from([min(512, len(content)), len(content)])) * 8
        position = data.draw(st.integers(0, end - 1))
        content[position // 8] ^= 1 << position % 8
    cut = data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))
    path = tmp_path / "archive"
    path.write_bytes(content[:cut] + data.draw(st.binary(max_size=20)))
    refused(lambda: cifar10(path))  # or read, where the flip hit nothing that matters


@FUZZ
@given(content=st.binary(max_size=400), head=st.sampled_from([b"", b"\x1f\x8b\x08", b"\xfd7zXZ\0"]))
def test_fuzz_bytes(tmp_path, content, head):
    archive = tmp_path / "archive"
    archive.write_bytes(head + content)
    folder = tmp_path / "folder"
    folder.mkdir(exist_ok=True)
    (folder / "test_batch.bin").write_bytes(content)
    for root in (archive, folder):
        with pytest.raises(DataError):
            cifar10(root, "test")


def test_the_real_data(material):
    root = material / "data"
    train, test = cifar10(root), cifar10(root, "test")
    assert train.name == "cifar10 train (batches 1)"
    assert train.images.shape == test.images.shape == (10_000, 3, 32, 32)
    assert np.bincount(test.labels).tolist() == [1000] * 10
    # The first training batch as published: its class counts and its first label, a frog.
    assert np.bincount(train.labels).tolist() == [
        1005, 974, 1032, 1016, 999, 937, 1030, 1001, 1025, 981
    ]  # fmt: skip
    assert train.classes[train.labels[0]] == "frog"
