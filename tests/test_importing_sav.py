"""SA-V: masklets of every fourth frame, and frames from the video next to them."""

import json
from functools import partial

from simplevtr.commands.doctor import main as doctor
from simplevtr.commands.import_dataset import main
from simplevtr.toolbox.importing import read_dataset
from simplevtr.video_io import open_sink

import numpy as np
import pytest
from footage import pictures, record
from foreign_formats import decoded, encoded
from json_files import save_json
from PIL import Image

SIZE = (48, 64)
NAME = "sav_000007"
read = partial(read_dataset, "sa-v")


def mask(top, left):
    pixels = np.zeros(SIZE, bool)
    pixels[top : top + 10, left : left + 12] = True
    return encoded(pixels)


EMPTY = encoded(np.zeros(SIZE, bool))
MASKLET = [[mask(2, 2), EMPTY], [mask(4, 4), mask(30, 40)], [None, mask(30, 42)]]


@pytest.fixture
def content():
    own = {"video_id": NAME, "video_duration": 10 / 24, "video_frame_count": 10.0}
    own |= {"video_height": float(SIZE[0]), "video_width": float(SIZE[1]), "masklet": MASKLET}
    own |= {"masklet_id": [0, 3], "masklet_frame_count": [3, 3], "masklet_num": 2}
    return own | {"masklet_type": ["manual", "manual"]}


@pytest.fixture
def source(tmp_path, content):
    """A folder as the archives have it, whose video is of level 20 t in frame t."""
    folder = tmp_path / "sav_train/sav_000"
    folder.mkdir(parents=True)
    write_film(folder / f"{NAME}.mp4", 10)
    rewrite(folder, content)
    auto = content | {"masklet_id": [5], "masklet_num": 1, "masklet_frame_count": [3]}
    save_json(folder / f"{NAME}_auto.json", auto | {"masklet": [[mask(0, 0)]] * 3})
    return folder


def rewrite(source, content, **values):
    save_json(source / f"{NAME}_manual.json", content | values)


def write_film(path, frames):
    with open_sink(path, 24, SIZE, overwrite=True) as sink:
        for t in range(frames):
            sink.write(np.full((*SIZE, 3), 20 * t % 256, np.uint8))


def test_an_archive(tmp_path, source):
    frames, output = tmp_path / "frames", tmp_path / "out.json"
    words = ["sa-v", str(source.parent), "--output", str(output), "--write-frames", str(frames)]
    assert main(words) == 0
    found = json.loads(output.read_text())
    (video,) = found["videos"]
    assert video["file_names"] == [f"{NAME}/{t:05d}.jpg" for t in (0, 4, 8)]
    for t in (0, 4, 8):
        level = np.asarray(Image.open(frames / f"{NAME}/{t:05d}.jpg")).mean()
        assert abs(level - 20 * t) < 6
    expected = [[decoded(m) for m in track] for track in zip(*MASKLET, strict=True)]
    for track, masks in zip(found["annotations"], expected, strict=True):
        for segmentation, pixels in zip(track["segmentations"], masks, strict=True):
            assert (segmentation is None) == (pixels is None or not pixels.any())
            assert segmentation is None or (decoded(segmentation) == pixels).all()
    assert found["categories"] == [{"id": 1, "name": "object"}]
    assert doctor([str(output), "--images", str(frames)]) == 0


def test_frames_that_were_taken_out_before(tmp_path, source):
    folder = tmp_path / "JPEGImages" / NAME
    folder.mkdir(parents=True)
    for t in range(10):
        Image.new("RGB", SIZE[::-1]).save(folder / f"{t:05d}.jpg")
    dataset = read(source / f"{NAME}_auto.json", images=tmp_path / "JPEGImages")
    (video,) = dataset.videos
    assert video.file_names == [f"{NAME}/{t:05d}.jpg" for t in (0, 4, 8)]
    assert len(read(source, images=tmp_path / "JPEGImages").tracks) == 2
    assert len(read(source, images=tmp_path / "JPEGImages", masklets="auto").tracks) == 1
    (folder / "00004.jpg").unlink()
    with pytest.raises(ValueError, match=f"{NAME}: has no frame 4, which .*auto.json annotates"):
        read(source / f"{NAME}_auto.json", images=tmp_path / "JPEGImages")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"video_id": 7}, "video_id must be text"),
        ({"video_id": "../x"}, "file name '../x'; a relative path below"),
        ({"video_height": 64.0}, r"height and width are \(64, 64\), but .* has \(48, 64\)"),
        ({"video_height": 48.5}, "video_height must be an integer"),
        ({"video_frame_count": 8.0}, "masklet has 3 frames; .* 8.0 has 2, every fourth one"),
        ({"video_frame_count": 24, "masklet": MASKLET[:1] * 6}, "has 10 frames, but frame 12 is"),
        ({"masklet": {}}, "masklet must be a list"),
        ({"masklet_id": [0, 0]}, "masklet_id has a number twice"),
        ({"masklet_id": [0, 1.5]}, "masklet_id is 1.5; an integer or a text"),
        ({"masklet": [*MASKLET[:2], [None]]}, r"masklet\[2\]: is \[None\]; a list of 2 masks"),
        ({"masklet": [[None, {"size": [4, 4]}], *MASKLET[1:]]}, r"masklet\[0\]: object 3: RLE"),
    ],
)
def test_fields_that_cannot_be_used(tmp_path, source, content, change, message):
    rewrite(source, content, **change)
    with pytest.raises(ValueError, match=f"{NAME}.*{message}"):
        read(source, write_frames=tmp_path / "frames")


def test_a_film_of_another_frame_rate_is_refused(tmp_path, source):
    write_film(source / f"{NAME}.mp4", 13)
    assert read(source, write_frames=tmp_path / "frames").videos
    write_film(source / f"{NAME}.mp4", 14)
    with pytest.raises(ValueError, match=f"{NAME}.mp4: has 14 frames; at most 13 are expected"):
        read(source, write_frames=tmp_path / "more")


def test_a_film_that_lacks_a_frame_in_the_middle_is_refused(tmp_path, source):
    """All later frames would have moved to other masks."""
    film = record(source / f"{NAME}.mp4", pictures(12), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(film.read_bytes())
    starts = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)]
    data[starts[2] : starts[3] - 20] = bytes(starts[3] - 20 - starts[2])
    film.write_bytes(data)
    with pytest.raises(ValueError, match=f"{NAME}.mp4: is damaged; 11 of 12 frames"):
        read(source, write_frames=tmp_path / "frames")


@pytest.mark.parametrize("broken", ["sav_000008_manual.json", "sav_000008.mp4"])
def test_a_broken_last_file_is_told_before_videos_are_decoded(tmp_path, source, content, broken):
    save_json(source / "sav_000008_manual.json", content | {"video_id": "sav_000008"})
    write_film(source / "sav_000008.mp4", 10)
    (source / broken).write_bytes(b"{")
    with pytest.raises(ValueError, match=broken):
        read(source, write_frames=tmp_path / "frames")
    assert not (tmp_path / "frames").exists()
    dataset = read(source, write_frames=tmp_path / "frames", skip_broken=True)
    assert (len(dataset.videos), [*dataset.broken]) == (1, ["videos"])


def test_two_files_of_one_video_are_refused(tmp_path, source, content):
    other = source.with_name("sav_001")
    other.mkdir()
    rewrite(other, content)
    write_film(other / f"{NAME}.mp4", 5)
    with pytest.raises(ValueError, match=rf"sav_001.*video_id is '{NAME}', as in .*sav_000"):
        read(source.parent, write_frames=tmp_path / "frames")
    dataset = read(source.parent, write_frames=tmp_path / "again", skip_broken=True)
    assert (len(dataset.videos), [*dataset.broken]) == (1, ["videos"])
    assert np.asarray(Image.open(tmp_path / f"again/{NAME}/00008.jpg")).mean() > 150


def test_a_video_id_may_have_a_dot(tmp_path, source, content):
    rewrite(source, content, video_id="clip.mp4")
    (source / f"{NAME}.mp4").rename(source / "clip.mp4.mp4")
    (video,) = read(source, write_frames=tmp_path / "frames").videos
    assert video.file_names[0] == "clip.mp4/00000.jpg"


def test_a_broken_mask_costs_its_frame(tmp_path, source, content):
    rewrite(source, content, masklet=[MASKLET[0], [EMPTY, "mask"], MASKLET[2]])
    dataset = read(source, write_frames=tmp_path / "frames", skip_broken=True)
    assert dataset.videos[0].file_names == [f"{NAME}/{t:05d}.jpg" for t in (0, 8)]
    assert [*dataset.broken] == ["frames"]


def test_what_is_missing_is_named(tmp_path, source):
    with pytest.raises(ValueError, match=r"SA-V needs a new folder .* \(--write-frames\), or"):
        read(source)
    with pytest.raises(ValueError, match=r"sav_000: SA-V needs a new folder"):
        read(source, images=source, write_frames=tmp_path / "frames")
    (source / f"{NAME}.mp4").unlink()
    with pytest.raises(FileNotFoundError, match=f"{NAME}.mp4: no such file"):
        read(source, write_frames=tmp_path / "frames")
    (source / f"{NAME}_manual.json").unlink()
    with pytest.raises(ValueError, match=r"holds no file \.\.\._manual.json \(--masklets\)"):
        read(source, write_frames=tmp_path / "frames")
