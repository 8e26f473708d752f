import json

from simplevtr.importing import read_coco_tracks

import pytest
from foreign_formats import (
    assert_same_tracks,
    coco_content,
    imported,
    known_dataset,
    write_coco,
)


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known", ragged=False)


@pytest.mark.parametrize("by_folder", [False, True])
@pytest.mark.parametrize("shape", ["compressed", "uncompressed", "polygon"])
def test_round_trip(tmp_path, by_folder, shape):
    known = known_dataset(tmp_path / "known", ragged=shape == "compressed")
    source = write_coco(known, tmp_path / "coco.json", by_folder=by_folder, shape=shape)
    other = imported("coco-tracks", source, tmp_path / "out.json", "--images", known.images)
    assert_same_tracks(known, other)
    assert other.content["categories"] == known.content["categories"]


def read(known, tmp_path, change, **options):
    content = coco_content(known, **options)
    change(content)
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    return read_coco_tracks(path, images=known.images)


def test_frames_beside_the_file(known, tmp_path):
    source = write_coco(known, known.images / "coco.json")
    assert len(read_coco_tracks(source).videos) == 2


def test_what_has_no_mask_is_counted(known, tmp_path):
    def change(content):
        del content["annotations"][0]["segmentation"]
        content["annotations"][1]["segmentation"] = []
        content["annotations"][2]["iscrowd"] = 1

    dataset = read(known, tmp_path, change)
    assert dataset.notes["annotations without a segmentation left out"] == 2
    assert dataset.notes["crowd annotations left out"] == 1
    assert sum(len(t.masks) for v in dataset.videos for t in v.tracks) == 14 - 3


def test_categories_keep_their_ids(known, tmp_path):
    def change(content):
        content["categories"] = [{"id": 2, "name": "dog"}, {"id": 1, "name": "cat"}]

    assert read(known, tmp_path, change).categories == [(1, "cat"), (2, "dog")]


def set_in(key, index, **values):
    return lambda content: content[key][index].update(values)


def without(key, index, name):
    return lambda content: content[key][index].pop(name)


FIRST = "annotation 0: "


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("annotations", 0, "track_id"), FIRST + "'track_id' or 'instance_id' is None"),
        (set_in("annotations", 0, track_id=1.5), FIRST + ".* is 1.5; an integer or a text"),
        (set_in("annotations", 0, track_id=1), "annotation 1: track 1 has category 'dog' here"),
        (set_in("annotations", 0, image_id=77), FIRST + "there is no image 77"),
        (set_in("annotations", 0, category_id=9), FIRST + "category_id is 9; known: 1, 2"),
        (set_in("annotations", 0, iscrowd="no"), FIRST + "iscrowd is 'no'"),
        (set_in("annotations", 0, segmentation=[[1, 2]]), FIRST + r"polygon \[1, 2\]"),
        (set_in("annotations", 0, segmentation=[[1, 2, 3, 4, 5, None]]), "else than numbers"),
        (set_in("annotations", 0, segmentation=[[0, 0, 1e300, 0, 1, 1]]), r"1e\+300 is out of all"),
        (set_in("annotations", 0, segmentation=[[0, 0, float("nan"), 0, 1, 1]]), "nan is out of"),
        (set_in("annotations", 0, segmentation=[[0, 0, 9e4, 9e4] * 99]), "an outline of"),
        (
            set_in("annotations", 0, segmentation={"size": [48, 64]}),
            "RLE counts must be non-empty text",
        ),
        (
            set_in("annotations", 0, segmentation={"size": [10**9, 10**9], "counts": "a"}),
            r"RLE size is \[1000000000",
        ),
        (
            set_in("annotations", 0, segmentation={"size": [48, 64], "counts": [10**30]}),
            r"RLE counts must be integers in \[0, 3072\]",
        ),
        (
            set_in("annotations", 0, segmentation={"size": 3, "counts": "a"}),
            FIRST + "RLE size is 3",
        ),
        (set_in("images", 0, height=47), "height and width are .47, 64., but .* has .48, 64."),
        (set_in("images", 0, id=201), "image 201: the id appears twice"),
        (set_in("images", 0, frame_index=0), "images .* of video 2 are the same frame"),
        (without("images", 0, "frame_index"), "such as 'video2/00003.jpg', have none"),
        (without("images", 0, "video_id"), "image 203: 'video_id' is None"),
        (set_in("images", 0, file_name="../../secret.jpg"), "'../../secret.jpg'; a path below"),
        (set_in("images", 0, file_name="/etc/secret.jpg"), "'/etc/secret.jpg'; a path below"),
        (set_in("images", 0, file_name="C:\\secret.jpg"), "a path below"),
        (set_in("images", 0, file_name="a\0b"), "without control characters"),
        (set_in("categories", 0, id=2), "category 2 'dog': id or name appears twice"),
        (set_in("categories", 0, id=True), "'id' is True; an integer >= 0"),
        (lambda content: content.pop("images"), "coco.json: 'images' is None; a list"),
        (lambda content: content["annotations"].insert(0, 3), "coco.json, annotation: is 3"),
    ],
)
def test_bad_values_are_named(known, tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        read(known, tmp_path, change)


def test_missing_image_is_named(known, tmp_path):
    with pytest.raises(FileNotFoundError, match="00009.jpg: no such frame"):
        read(known, tmp_path, set_in("images", 0, file_name="video2/00009.jpg"))


def test_a_track_has_one_mask_a_frame(known, tmp_path):
    def change(content):
        content["annotations"].insert(0, dict(content["annotations"][0], id=99))

    with pytest.raises(ValueError, match="annotation 0: track 0 has a second mask"):
        read(known, tmp_path, change)


@pytest.mark.parametrize("text", ["", "{", "[1]", "[" * 100_000, '{"a": \xff}'])
def test_files_that_are_no_coco_file(tmp_path, text):
    path = tmp_path / "coco.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"coco.json: (not valid JSON|is )"):
        read_coco_tracks(path)
