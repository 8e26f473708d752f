from simplevtr.formats import images
from simplevtr.formats.images import check_frame, frame_size, read_frame, read_reduced_frame

import numpy as np
import pytest
from fuzzing import CUTS, FUZZ, cut
from hypothesis import given
from PIL import Image, ImageOps
from test_transforms import texture


def test_read_frame(tmp_path):
    path = tmp_path / "a.png"
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    Image.fromarray(image).save(path)
    assert np.array_equal(read_frame(path, (2, 4)), image)
    Image.fromarray(image[..., 0]).save(path)  # grey
    assert read_frame(path).shape == (2, 4, 3)


TURNS = range(1, 9)  # EXIF orientations; from 5 on, height and width change places


def save_turned(path, pixels, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {".webp": {"lossless": True}, ".jpg": {"quality": 95}}
    Image.fromarray(pixels).save(path, exif=exif, **options.get(path.suffix, {}))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", TURNS)
@pytest.mark.parametrize("size", [(32, 48), (32, 32)])
def test_frames_are_read_as_exif_turns_them(tmp_path, suffix, orientation, size):
    pixels = texture(*size)
    path = tmp_path / f"a{suffix}"
    save_turned(path, pixels, orientation)
    with Image.open(path) as image:
        upright = np.array(ImageOps.exif_transpose(image))
    assert np.array_equal(read_frame(path), upright)
    assert np.array_equal(read_frame(path, upright.shape[:2]), upright)
    assert frame_size(path) == upright.shape[:2]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", TURNS[4:])
def test_an_annotated_size_that_fits_the_stored_pixels_alone_decides(tmp_path, suffix, orientation):
    pixels = texture(32, 48)
    path = tmp_path / f"a{suffix}"
    save_turned(path, pixels, orientation)
    save_turned(tmp_path / f"plain{suffix}", pixels, 1)
    assert np.array_equal(read_frame(path, (32, 48)), read_frame(tmp_path / f"plain{suffix}"))
    assert frame_size(path, (32, 48)) == (32, 48)
    with pytest.raises(ValueError, match="48x32 or, as stored without its EXIF.*32x48.*says 30x30"):
        read_frame(path, (30, 30))


def test_reduced_jpegs_are_turned_too(tmp_path):
    save_turned(tmp_path / "a.jpg", texture(48, 62), 6)
    whole = read_frame(tmp_path / "a.jpg")
    half, factor = read_reduced_frame(tmp_path / "a.jpg", (62, 48), reduction=2)
    assert (factor, half.shape) == (2, (31, 24, 3))
    assert np.abs(half.astype(int) - whole[::2, ::2]).mean() < 20


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jp2", "a.pgm"])
def test_16_bit_grey_keeps_its_upper_8_bits(tmp_path, name):
    values = np.arange(256 * 64, dtype=np.uint16).reshape(64, 256) * 4
    if name == "a.pgm":
        (tmp_path / name).write_bytes(b"P5 256 64 65535\n" + values.astype(">u2").tobytes())
    else:
        Image.fromarray(values).save(tmp_path / name)
    frame = read_frame(tmp_path / name)
    assert np.array_equal(frame, np.repeat((values >> 8).astype(np.uint8)[..., None], 3, axis=2))


def test_the_first_frame_of_12_bits_is_warned_of(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(images, "_warned_of", [])
    for name, most in (("bright.png", 4096), ("a.png", 4095), ("b.png", 4095)):
        Image.fromarray(np.full((4, 6), most, np.uint16)).save(tmp_path / name)
        check_frame(tmp_path / name)
    assert [record.args[0] for record in caplog.records] == [str(tmp_path / "a.png")]


@pytest.mark.parametrize(("dtype", "kind"), [(np.int32, "integer"), (np.float32, "floating point")])
def test_pixels_without_a_known_range_are_refused(tmp_path, dtype, kind):
    Image.fromarray(np.full((4, 6), 300, dtype)).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=rf"a\.tif .*32-bit {kind} .*save it with 8 or 16 bits"):
        read_frame(tmp_path / "a.tif")


def test_read_frame_refuses(tmp_path):
    path = tmp_path / "a.jpg"
    with pytest.raises(FileNotFoundError, match=r"a\.jpg does not exist"):
        read_frame(path)
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read"):
        read_frame(path)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read.*truncated"):
        read_frame(path)
    Image.new("RGB", (4, 2)).save(path)
    with pytest.raises(ValueError, match=r"a\.jpg has 2x4 pixels.*says 4x2"):
        read_frame(path, (4, 2))


def test_formats_that_pillow_hands_to_other_programs_are_not_opened(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("RGB", (8, 8)).save(path, "EPS")
    assert Image.open(path).format == "EPS"
    with pytest.raises(ValueError, match=r"a\.jpg cannot be read"):
        read_frame(path)


@FUZZ
@given(cuts=CUTS)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF"])
@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of odd metadata
def test_any_bytes_are_a_frame_or_refused(tmp_path, kind, cuts):
    path = tmp_path / "a.jpg"
    pixels = np.random.default_rng(0).integers(0, 255, (16, 24, 3), np.uint8)
    Image.fromarray(pixels).save(path, kind)
    path.write_bytes(cut(path.read_bytes(), cuts))
    try:
        frame = read_frame(path, (16, 24))
    except ValueError as error:
        message = str(error)
    else:
        message = "no error, " + str(path)
        assert (frame.shape, frame.dtype) == ((16, 24, 3), np.uint8)
    assert str(path) in message
