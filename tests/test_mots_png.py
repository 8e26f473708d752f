from functools import partial

from simplevtr.video_io import MotsPngSink

import numpy as np
import pytest
from PIL import Image
from track_samples import tracks_of_frame

SIZE = (20, 30)
frame = partial(tracks_of_frame, size=SIZE)


def box(top, left, height, width):
    mask = np.zeros(SIZE)
    mask[top : top + height, left : left + width] = 1
    return mask


def read(folder, index):
    with Image.open(folder / f"{index:06d}.png") as image:
        assert image.mode.startswith("I;16")
        return np.asarray(image)


def test_a_pixel_is_class_and_instance(tmp_path):
    with MotsPngSink(tmp_path / "masks", SIZE) as sink:
        sink.write(frame(0, (3, 0, 0.9, box(2, 3, 4, 5)), (12, 39, 0.8, box(10, 10, 2, 2))))
        sink.write(frame(1))
        assert sink.count == 2
    first = read(tmp_path / "masks", 0)
    assert first.shape == SIZE
    expected = np.zeros(SIZE, dtype=np.uint16)
    expected[2:6, 3:8], expected[10:12, 10:12] = 1003, 40012
    np.testing.assert_array_equal(first, expected)
    assert not read(tmp_path / "masks", 1).any()
    assert sorted(p.name for p in (tmp_path / "masks").iterdir()) == ["000000.png", "000001.png"]


def test_the_higher_score_owns_an_overlap(tmp_path):
    low, high = box(0, 0, 10, 10), box(5, 5, 10, 10)
    with MotsPngSink(tmp_path / "masks", SIZE) as sink:
        sink.write(frame(0, (1, 0, 0.4, low), (2, 0, 0.5, high)))
        sink.write(frame(1, (1, 0, 0.6, low), (2, 0, 0.5, high)))
        sink.write(frame(2, (2, 0, 0.5, high), (1, 0, 0.5, low)))  # the older one
    assert [read(tmp_path / "masks", i)[7, 7] for i in range(3)] == [1002, 1001, 1001]


def test_a_track_keeps_its_value(tmp_path):
    mask = box(0, 0, 4, 4)
    with MotsPngSink(tmp_path / "masks", SIZE) as sink:
        sink.write(frame(0, (1, 2, 0.5, mask)))
        sink.write(frame(1, (1, 7, 0.9, mask)))
    assert [read(tmp_path / "masks", i).max() for i in range(2)] == [3001, 3001]


def test_ids_beyond_999_get_numbers_that_are_free_in_their_class(tmp_path):
    a, b = box(0, 0, 4, 4), box(10, 10, 4, 4)
    with MotsPngSink(tmp_path / "masks", SIZE) as sink:
        sink.write(frame(0, (999, 0, 0.9, a), (1000, 0, 0.8, b)))
        sink.write(frame(1, (1001, 1, 0.9, a), (1000, 0, 0.8, b)))
        sink.write(frame(2, (998, 0, 0.9, a)))  # its own number was given away
    pictures = [read(tmp_path / "masks", i) for i in range(3)]
    assert (pictures[0][0, 0], pictures[0][10, 10]) == (1999, 1998)
    assert (pictures[1][0, 0], pictures[1][10, 10]) == (2999, 1998)
    assert pictures[2][0, 0] == 1997


def test_a_full_class_is_refused_and_what_is_done_is_kept(tmp_path, caplog):
    def overfull():
        with MotsPngSink(tmp_path / "masks", SIZE) as sink:
            for i in range(1000):
                sink.write(frame(i, (i + 1, 5, 0.9, box(0, 0, 1, 1))))

    with pytest.raises(ValueError, match=r"label 5 has more than 999 tracks \(track 1000\)"):
        overfull()
    assert not (tmp_path / "masks").exists()
    assert len(list((tmp_path / "masks.partial").iterdir())) == 999
    assert "999 frames done are kept" in caplog.text


def test_what_does_not_fit_is_refused(tmp_path):
    mask = box(0, 0, 4, 4)
    with MotsPngSink(tmp_path / "masks", SIZE) as sink:
        sink.write(frame(0, (1, 64, 0.9, mask)))
        with pytest.raises(ValueError, match="frame 0 came, expected 1"):
            sink.write(frame(0))
        with pytest.raises(ValueError, match=r"frame 1 has size \(20, 31\), expected \(20, 30\)"):
            sink.write(frame(1, size=(20, 31)))
        for label in (65, -1):
            with pytest.raises(ValueError, match=f"first 65 classes, not label {label};"):
                sink.write(frame(1, (2, label, 0.9, mask)))
    assert read(tmp_path / "masks", 0).max() == 65001


def test_a_folder_with_files_is_not_written_to(tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="masks exists already"):
        MotsPngSink(tmp_path / "masks", SIZE)
    with MotsPngSink(tmp_path / "masks", SIZE, overwrite=True) as sink:
        sink.write(frame(0))
    assert (tmp_path / "masks" / "mine.txt").read_text() == "mine"
    with pytest.raises(ValueError, match=r"allowed: a folder"):
        MotsPngSink(tmp_path / "masks.mp4", SIZE)
