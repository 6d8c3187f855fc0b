import errno
import json
import os
import struct

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rot180.errors import ArgumentError, DataError, DTypeError
from rot180.interop import load_safetensors, save_safetensors, write_atomically

DTYPES = ["?", "u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]


@pytest.fixture
def whole(tmp_path, rng):
    """A good file and its bytes."""
    path = tmp_path / "good.safetensors"
    tensors = {"a.weight": rng.standard_normal((3, 4)), "b": np.arange(5), "c": np.zeros((0, 2))}
    save_safetensors(path, tensors, {"epoch": "3", "name": "卷积"})
    return path.read_bytes()


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_with_the_same_bits(tmp_path, rng, dtype):
    values = rng.integers(0, 2, size=(2, 3, 4)).astype(dtype)
    save_safetensors(tmp_path / "x", {"x": values})
    (back,) = load_safetensors(tmp_path / "x")[0].values()
    assert back.dtype == values.dtype
    assert back.shape == values.shape
    assert back.tobytes() == values.tobytes()
    assert back.flags.writeable


def test_odd_arrays_come_back_in_order(tmp_path, rng):
    base = rng.standard_normal((4, 6))
    arrays = {
        "fortran": np.asfortranarray(base),
        "transposed": base.T,
        "strided": base[::2, ::-3],
        "big endian": base.astype(">f8"),
        "scalar": np.array(2.5),
        "empty": base[:0],
        "nan": np.array([np.nan, -0.0, np.inf]),
        "broadcast": np.broadcast_to(base[0], (3, 6)),
    }
    save_safetensors(tmp_path / "x", arrays)
    back, texts = load_safetensors(tmp_path / "x")
    assert texts == {}
    assert set(back) == set(arrays)
    for name, array in arrays.items():
        assert back[name].shape == array.shape, name
        np.testing.assert_array_equal(back[name], array, err_msg=name)
        assert back[name].dtype.isnative


def test_metadata_and_the_official_reader_agree(tmp_path, whole):
    safetensors_numpy = pytest.importorskip("safetensors.numpy")
    (tmp_path / "x").write_bytes(whole)
    ours, texts = load_safetensors(tmp_path / "x")
    theirs = safetensors_numpy.load(whole)
    assert texts == {"epoch": "3", "name": "卷积"}
    assert set(ours) == set(theirs)
    for name, array in ours.items():
        np.testing.assert_array_equal(array, theirs[name])


def test_an_empty_dictionary_is_a_file(tmp_path):
    save_safetensors(tmp_path / "x", {})
    assert load_safetensors(tmp_path / "x") == ({}, {})


@pytest.mark.parametrize("value", [np.zeros(2, complex), np.array([None]), np.array(["a"])])
def test_types_without_a_name_are_refused(tmp_path, value):
    with pytest.raises(DTypeError, match="tensor 'x'; expected bool"):
        save_safetensors(tmp_path / "x", {"x": value})
    assert not list(tmp_path.iterdir())


def test_names_and_texts_are_checked(tmp_path):
    with pytest.raises(ArgumentError, match="bad tensor name"):
        save_safetensors(tmp_path / "x", {"__metadata__": np.zeros(1)})
    with pytest.raises(ArgumentError, match="bad metadata"):
        save_safetensors(tmp_path / "x", {}, {"epoch": 3})


def load_bytes(path, content):
    path.write_bytes(content)
    return load_safetensors(path)


def test_every_truncation_is_a_data_error(tmp_path, whole):
    for length in range(len(whole)):
        with pytest.raises(DataError, match="not a whole safetensors file"):
            load_bytes(tmp_path / "x", whole[:length])


def test_an_over_long_file_is_a_data_error(tmp_path, whole):
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_bytes(tmp_path / "x", whole + b"\0")


def test_a_missing_file_and_a_folder_are_data_errors(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*nothing; got No such file"):
        load_safetensors(tmp_path / "nothing")
    with pytest.raises(DataError, match="cannot read"):
        load_safetensors(tmp_path)


def with_header(header, body=b""):
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize(
    "content",
    [
        with_header(b'{"x":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}', b"\0" * 4),
        with_header(b'{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', b"\0" * 4),
        with_header(b'{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', b"\0" * 4),
        with_header(b'{"x":{"dtype":"F32","shape":[9223372036854775808,0],"data_offsets":[0,0]}}'),
        with_header(b'{"x":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}', b"\0" * 3),
        with_header(b'{"__metadata__":{"a":1}}'),
        with_header(b'{"__metadata__":[]}'),
        with_header(b"[]"),
        with_header(b"[" * 100_000),
        with_header(b"\xff\xfe"),
        struct.pack("<Q", 2**64 - 1),
    ],
)
def test_inconsistent_headers_are_data_errors(tmp_path, content):
    with pytest.raises(DataError) as caught:
        load_bytes(tmp_path / "x", content)
    assert "\n" not in str(caught.value)


FUZZ = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def read_or_data_error(path, content):
    """Any other exception than a DataError fails the test."""
    try:
        tensors, texts = load_bytes(path, content)
    except DataError as error:
        message = str(error)
    else:
        message = ""
        assert all(isinstance(array, np.ndarray) for array in tensors.values())
        assert all(isinstance(text, str) for text in texts.values())
    assert "\n" not in message


@FUZZ
@given(st.data())
def test_flipped_bytes_give_a_file_or_a_data_error(tmp_path, whole, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    read_or_data_error(tmp_path / "x", bytes(damaged))


@FUZZ
@given(st.binary(max_size=200))
def test_random_bytes_give_a_data_error(tmp_path, content):
    read_or_data_error(tmp_path / "x", content)
    read_or_data_error(tmp_path / "x", with_header(content))


@FUZZ
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["__metadata__", "x", "dtype", "shape", "data_offsets"]), inner
            )
        ),
        max_leaves=8,
    )
)
def test_random_headers_give_a_file_or_a_data_error(tmp_path, header):
    read_or_data_error(tmp_path / "x", with_header(json.dumps(header).encode()))


def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_safetensors(path, {"x": np.zeros(3)})
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"cannot write .*model.safetensors; got No space left"):
        save_safetensors(path, {"x": np.ones(3)})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.safetensors"]


def test_an_interrupt_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x"
    write_atomically(path, b"old")

    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x"]


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(DataError, match=r"cannot write .*nowhere"):
        save_safetensors(tmp_path / "nowhere" / "x", {})
