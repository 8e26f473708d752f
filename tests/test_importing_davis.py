import json
from pathlib import Path

from simplevtr.importing import read_davis

import numpy as np
import pytest
from foreign_formats import SIZE, assert_same_tracks, imported, known_dataset, write_davis
from PIL import Image


@pytest.fixture
def source(tmp_path):
    return write_davis(known_dataset(tmp_path / "known"), tmp_path / "davis")


def test_youtube_vos_round_trip(tmp_path):
    known = known_dataset(tmp_path / "known")
    source = write_davis(known, tmp_path / "davis", void=True)
    assert_same_tracks(known, imported("davis", source, tmp_path / "out.json"))


def test_davis_has_one_category_and_void_is_background(tmp_path):
    known = known_dataset(tmp_path / "known")
    dataset = read_davis(write_davis(known, tmp_path / "davis", meta=False, void=True))
    assert dataset.categories == [(1, "object")]
    assert [len(video.tracks) for video in dataset.videos] == [2, 2]
    assert dataset.notes["frames with void pixels, taken as background"] == 8
    objects = read_davis(tmp_path / "davis", void=-1)
    assert [len(video.tracks) for video in objects.videos] == [3, 3]


def test_frames_without_a_png(source):
    for path in (source / "Annotations").glob("*/0000[13].png"):
        path.unlink()
    annotated = read_davis(source).videos[0]
    assert annotated.file_names == ["video1/00000.jpg", "video1/00002.jpg"]
    assert sorted(annotated.tracks[1].masks) == [0, 1]
    complete = read_davis(source, frames="all")
    assert len(complete.videos[0].file_names) == 4
    assert sorted(complete.videos[0].tracks[1].masks) == [0, 2]
    assert complete.notes["frames without a PNG taken as empty"] == 4


def test_subfolder_and_list_of_videos(tmp_path, source):
    for name in ("Annotations", "JPEGImages"):
        folder = source / name
        folder.rename(source / "480p")
        folder.mkdir()
        (source / "480p").rename(folder / "480p")
    with pytest.raises(ValueError, match=r"480p: holds no PNG; .*subfolder"):
        read_davis(source)
    videos = tmp_path / "val.txt"
    for folder in ("Annotations", "JPEGImages"):
        (source / folder / "480p/video2").rename(source / folder / "480p/video 2")
    meta = source / "meta.json"
    meta.write_text(meta.read_text().replace("video2", "video 2"))
    videos.write_text(" video 2\n\n")
    (only,) = read_davis(source, subfolder="480p", videos=videos).videos
    assert (only.name, only.file_names[0]) == ("video 2", "video 2/00000.jpg")
    videos.write_text("video 2\nvideo9\n")
    with pytest.raises(ValueError, match=r"val.txt: video 'video9' is not in"):
        read_davis(source, subfolder="480p", videos=videos)


def save(picture, path):
    Image.fromarray(picture).save(path)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((*SIZE, 3), np.uint8), "00002.png: is a PNG of mode 'RGB'; a palette"),
        (np.zeros(SIZE, np.uint16), "00002.png: is a PNG of mode 'I;16'"),
        (np.zeros((9, 9), np.uint8), "00002.png: has 9 x 9 pixels .*expected 48 x 64"),
        (np.full(SIZE, 7, np.uint8), "00002.png: object 7 is not in meta.json; there: 1, 2"),
    ],
)
def test_bad_pictures_are_named(source, picture, message):
    save(picture, source / "Annotations/video1/00002.png")
    with pytest.raises(ValueError, match=message):
        read_davis(source)


def test_a_picture_of_another_format_is_refused(source):
    path = source / "Annotations/video1/00002.png"
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(path, format="GIF")
    with pytest.raises(ValueError, match=r"00002.png: cannot be read as a PNG"):
        read_davis(source)


def test_missing_frames_are_named(source):
    save(np.zeros(SIZE, np.uint8), source / "Annotations/video1/00009.png")
    with pytest.raises(FileNotFoundError, match=r"00009.png: there is no frame .*00009"):
        read_davis(source)
    with pytest.raises(FileNotFoundError, match=r"nowhere.*: no such folder"):
        read_davis(source, images=Path("nowhere"))


def test_frames_of_two_sizes_are_refused(source):
    save(np.zeros((48, 65, 3), np.uint8), (source / "JPEGImages").resolve() / "video1/00003.jpg")
    with pytest.raises(ValueError, match=r"00003.jpg: has 48 x 65 .*00000.jpg .* has 48 x 64"):
        read_davis(source)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"meta.json: is \[\]; an object"),
        ({"videos": 3}, r"meta.json, 'videos': is 3"),
        ({"videos": {}}, r"meta.json: has no video 'video1'"),
        ({"videos": {"video1": {"objects": {"one": {}}}}}, "object 'one': .*must be a number"),
        ({"videos": {"video1": {"objects": {"1": {"category": 5}}}}}, "'category' is 5; a text"),
    ],
)
def test_bad_meta_is_named(source, content, message):
    (source / "meta.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message):
        read_davis(source)


def test_objects_without_category(source):
    """As in the parts of YouTube-VOS whose categories are not public."""
    videos = {
        "video1": {"objects": {"1": {"frames": []}, "2": {"category": "dog"}}},
        "video2": {"objects": {"1": {}, "2": {}}},
    }
    (source / "meta.json").write_text(json.dumps({"videos": videos}))
    dataset = read_davis(source)
    found = [[track.category for track in video.tracks] for video in dataset.videos]
    assert found == [["object", "dog"], ["object", "object"]]
    assert dataset.categories == [(1, "dog"), (2, "object")]
    assert dataset.notes["objects without category, taken as 'object'"] == 3


def test_unknown_choice_is_refused(source):
    with pytest.raises(ValueError, match="frames is 'some'; allowed: annotated, all"):
        read_davis(source, frames="some")
