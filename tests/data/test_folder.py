from __future__ import annotations

import io
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_idx import refused

from rot180.data import image_folder, read_image
from rot180.errors import ArgumentError, DataError

Image = pytest.importorskip("PIL.Image")

FUZZ = settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def draw(path, rng, mode="L", size=(6, 5)):
    """A random picture of (width, height) `size`; returns its pixels."""
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.fixture
def plain(tmp_path, rng):
    """Two classes, ten pictures each, without split folders."""
    for name in ("dog", "cat"):
        for number in range(10):
            draw(tmp_path / "pets" / name / f"{number}.png", rng)
    return tmp_path / "pets"


def test_classes_are_the_sorted_folders(plain, rng):
    pixels = draw(plain / "cat" / "0.png", rng)
    (plain / "cat" / "notes.txt").write_text("no picture")
    (plain / "cat" / ".hidden.png").write_text("no picture")
    (plain / ".cache").mkdir()
    everything = image_folder(plain)
    assert everything.classes == ("cat", "dog")
    assert everything.images.shape == (20, 1, 5, 6)  # grey stays one channel
    assert everything.labels.tolist() == [0] * 10 + [1] * 10
    assert everything.name == "pets all"
    np.testing.assert_array_equal(everything.images[0, 0], pixels)


def test_without_split_folders_a_fifth_of_each_class_tests(plain):
    train, test = image_folder(plain, "train"), image_folder(plain, "test")
    assert np.bincount(train.labels).tolist() == [8, 8]
    assert np.bincount(test.labels).tolist() == [2, 2]
    both = {image.tobytes() for image in [*train.images, *test.images]}
    assert both == {image.tobytes() for image in image_folder(plain).images}


@pytest.mark.parametrize("word", ["test", "val", "valid"])
def test_split_folders(tmp_path, rng, word):
    for number in range(3):
        draw(tmp_path / "train" / "b" / f"{number}.png", rng)
        draw(tmp_path / "train" / "c" / f"{number}.png", rng)
    draw(tmp_path / word / "a" / "0.png", rng)
    draw(tmp_path / word / "c" / "0.png", rng)
    train, test = image_folder(tmp_path, "train"), image_folder(tmp_path, "test")
    assert train.classes == test.classes == ("a", "b", "c")
    assert train.labels.tolist() == [1, 1, 1, 2, 2, 2]
    assert test.labels.tolist() == [0, 2]
    assert len(image_folder(tmp_path)) == len(image_folder(tmp_path, "all")) == 8


def test_train_may_be_a_class(tmp_path, rng):
    for name in ("train", "bus"):
        draw(tmp_path / name / "0.png", rng)
    assert image_folder(tmp_path).classes == ("bus", "train")


def test_different_sizes_need_size(plain, rng):
    draw(plain / "dog" / "3.png", rng, size=(9, 8))
    with pytest.raises(DataError) as caught:
        image_folder(plain)
    message = str(caught.value)
    assert f"{plain / 'cat' / '0.png'} is 5×6, {plain / 'dog' / '3.png'} is 8×9" in message
    assert "give size=" in message
    assert image_folder(plain, size=(3, 4)).images.shape == (20, 1, 3, 4)


def test_one_coloured_picture_makes_three_channels(plain, rng):
    pixels = draw(plain / "dog" / "3.png", rng, "RGB")
    everything = image_folder(plain)
    assert everything.images.shape == (20, 3, 5, 6)
    np.testing.assert_array_equal(everything.images[13], pixels.transpose(2, 0, 1))
    assert np.ptp(everything.images[0], axis=0).max() == 0


def test_a_damaged_picture_is_named(plain):
    path = plain / "dog" / "3.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(DataError, match=r"3\.png: not a readable picture"):
        image_folder(plain)


def test_folders_that_are_none(tmp_path, rng):
    with pytest.raises(DataError, match="cannot be read: No such file"):
        image_folder(tmp_path / "absent")
    with pytest.raises(DataError, match="no class folders"):
        image_folder(tmp_path)
    (tmp_path / "cat").mkdir()
    with pytest.raises(DataError, match="class folder 'cat' holds no pictures"):
        image_folder(tmp_path)
    draw(tmp_path / "cat" / "0.png", rng)
    with pytest.raises(DataError, match="no pictures in this split"):
        image_folder(tmp_path, "train")
    draw(tmp_path / "train" / "cat" / "0.png", rng)
    with pytest.raises(DataError, match="no test/ or val/ or valid/ beside train/"):
        image_folder(tmp_path, "test")
    with pytest.raises(ArgumentError, match="unknown split"):
        image_folder(tmp_path, "validation")


def save(tmp_path, picture, suffix=".png", **options):
    path = tmp_path / f"picture{suffix}"
    picture.save(path, **options)
    return path


def test_every_mode(tmp_path, rng):
    grey = rng.integers(0, 256, (4, 5)).astype(np.uint8)
    colour = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    first = colour.transpose(2, 0, 1)
    luma = np.rint(colour @ [0.299, 0.587, 0.114])

    one_bit = save(tmp_path, Image.fromarray(grey > 99))
    np.testing.assert_array_equal(read_image(one_bit), [(grey > 99) * np.uint8(255)])
    rgb = save(tmp_path, Image.fromarray(colour))
    np.testing.assert_array_equal(read_image(rgb), first)
    assert np.abs(read_image(rgb, channels=1)[0] - luma).max() <= 1
    path = save(tmp_path, Image.fromarray(grey))
    np.testing.assert_array_equal(read_image(path), [grey])
    np.testing.assert_array_equal(read_image(path, channels=3), [grey] * 3)
    assert read_image(path, channels=3, size=(7, 8)).shape == (3, 7, 8)

    indexed = Image.fromarray(grey % 4)
    indexed.putpalette([0, 0, 0, 255, 0, 0, 0, 255, 0, 9, 9, 9])
    table = np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0], [9, 9, 9]])
    path = save(tmp_path, indexed)
    np.testing.assert_array_equal(read_image(path), table[grey % 4].transpose(2, 0, 1))
    indexed.putpalette([0, 0, 0, 50, 50, 50, 60, 60, 60, 9, 9, 9])
    np.testing.assert_array_equal(
        read_image(save(tmp_path, indexed)), [np.array([0, 50, 60, 9])[grey % 4]]
    )
    # See-through cells show the white page.
    path = save(tmp_path, indexed, transparency=0)
    np.testing.assert_array_equal(
        read_image(path, channels=1), [np.array([255, 50, 60, 9])[grey % 4]]
    )
    alpha = np.dstack([colour, np.where(grey > 99, 255, 0).astype(np.uint8)])
    path = save(tmp_path, Image.fromarray(alpha))
    np.testing.assert_array_equal(read_image(path), np.where(grey > 99, first, 255))
    path = save(tmp_path, Image.fromarray(np.dstack([grey, alpha[:, :, 3]])))
    np.testing.assert_array_equal(read_image(path), [np.where(grey > 99, grey, 255)])
    path = save(tmp_path, Image.fromarray(grey), transparency=int(grey[0, 0]))
    np.testing.assert_array_equal(read_image(path), [np.where(grey == grey[0, 0], 255, grey)])

    deep = rng.integers(0, 65536, (4, 5)).astype(np.uint16)
    for suffix in (".png", ".tiff"):
        path = save(tmp_path, Image.fromarray(deep), suffix)
        np.testing.assert_array_equal(read_image(path), [np.rint(deep / 257)])
        assert read_image(path, channels=3).shape == (3, 4, 5)
    path = save(tmp_path, Image.fromarray((grey / 255).astype(np.float32)), ".tiff")
    np.testing.assert_array_equal(read_image(path), [grey])
    for wrong in (grey.astype(np.float32), np.full((2, 2), -1, np.int32)):
        path = save(tmp_path, Image.fromarray(wrong), ".tiff")
        with pytest.raises(DataError, match="expected 0 to"):
            read_image(path)

    cmyk = Image.fromarray(colour).convert("CMYK")
    path = save(tmp_path, cmyk, ".tiff")
    np.testing.assert_array_equal(
        read_image(path), np.asarray(cmyk.convert("RGB")).transpose(2, 0, 1)
    )
    for suffix in (".bmp", ".gif", ".jpg", ".ppm", ".tga", ".webp"):
        assert read_image(save(tmp_path, Image.fromarray(colour), suffix)).shape == (3, 4, 5)


def test_camera_rotation_is_obeyed(tmp_path, rng):
    grey = rng.integers(0, 256, (4, 5)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise
    path = save(tmp_path, Image.fromarray(grey), exif=exif)
    np.testing.assert_array_equal(read_image(path)[0], np.rot90(grey, -1))


def test_bombs_and_strangers(tmp_path, monkeypatch):
    path = save(tmp_path, Image.new("L", (300, 300)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 80_000)
    with pytest.raises(DataError, match="90000 pixels"):  # Pillow's warning
        read_image(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40_000)
    with pytest.raises(DataError, match="decompression bomb"):  # Pillow's error
        read_image(path)
    with pytest.raises(DataError, match="no such file"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(DataError, match="not a readable picture"):
        read_image(tmp_path)
    with pytest.raises(ArgumentError, match="1, 3 or None, got 2"):
        read_image(path, channels=2)


def test_postscript_is_no_picture(tmp_path):
    path = tmp_path / "picture.eps"  # Pillow would start Ghostscript for it
    path.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n%%EOF\n")
    with pytest.raises(DataError, match="cannot identify"):
        read_image(path)


def test_without_pillow_one_line_names_the_extra(tmp_path, monkeypatch):
    from rot180.errors import MissingExtraError

    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(MissingExtraError, match=r"pip install \"rot180\[data\]\""):
        image_folder(tmp_path)


@pytest.fixture(scope="module")
def samples():
    rng = np.random.default_rng(0)
    picture = Image.fromarray(rng.integers(0, 256, (6, 7, 3)).astype(np.uint8))
    packed = []
    for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "PPM", "TGA", "ICO", "WEBP"):
        file = io.BytesIO()
        picture.save(file, kind)
        packed.append(file.getvalue())
    return packed


@FUZZ
@given(data=st.data())
def test_fuzz(tmp_path, samples, data):
    content = bytearray(data.draw(st.sampled_from(samples)))
    for _ in range(data.draw(st.integers(1, 3))):
        position = data.draw(st.integers(0, len(content) * 8 - 1))
        content[position // 8] ^= 1 << position % 8
    cut = data.draw(st.sampled_from([len(content), data.draw(st.integers(0, len(content)))]))
    path = tmp_path / "picture"
    for wrong in (content[:cut], data.draw(st.binary(max_size=100)), content[:12] + content[20:]):
        path.write_bytes(wrong)
        refused(lambda: read_image(path))  # or read, where the damage still makes a picture


def test_import_pulls_in_nothing_slow():
    code = (
        "import sys; before = set(sys.modules); import numpy; numpy_has = set(sys.modules)\n"
        "import rot180.data\n"
        "slow = {'PIL', 'pooch', 'requests', 'lzma', 'tarfile', 'gzip', 'hypothesis'}\n"
        "print(sorted(slow & (set(sys.modules) - numpy_has)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
