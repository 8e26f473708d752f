from simplevtr.data import read_frame

import numpy as np
import pytest
from fuzzing import CUTS, FUZZ, cut
from hypothesis import given
from PIL import Image


def test_read_frame(tmp_path):
    path = tmp_path / "a.png"
    image = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    Image.fromarray(image).save(path)
    assert np.array_equal(read_frame(path, (2, 4)), image)
    Image.fromarray(image[..., 0]).save(path)  # grey
    assert read_frame(path).shape == (2, 4, 3)


def test_read_frame_ignores_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (4, 2)).save(tmp_path / "a.jpg", exif=exif)
    assert read_frame(tmp_path / "a.jpg").shape == (2, 4, 3)


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
