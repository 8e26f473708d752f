from simplevtr.formats.ytvis import load_annotated, load_ground_truth

import pytest
from json_files import change, save_json
from track_samples import LENGTH, annotation, box, ground_truth

TRACK = [box(0, 0, 4, 4), None, box(1, 1, 3, 3)]


def load(tmp_path, content):
    return load_ground_truth(save_json(tmp_path / "truth.json", content))


def test_area_is_the_files_or_else_the_masks_own(tmp_path):
    with_areas = annotation(1, TRACK, areas=[100, None, 50])
    without = annotation(2, TRACK, area=7)
    del without["areas"]
    gt = load(tmp_path, ground_truth([with_areas, without]))
    assert [track.area for track in gt.tracks] == [75, 10]
    assert [track.strip.area for track in gt.tracks] == [10, 10]


def test_an_empty_list_is_not_a_mask(tmp_path):
    track = annotation(1, TRACK)
    listed = {**track, "id": 2, "segmentations": [mask or [] for mask in track["segmentations"]]}
    gt = load(tmp_path, ground_truth([track, listed]))
    assert gt.tracks[0].strip == gt.tracks[1].strip
    for wrong in ({}, "", 0, False):
        listed["segmentations"] = [mask or wrong for mask in track["segmentations"]]
        with pytest.raises(ValueError, match=r"annotations\[1\]: frame \d: "):
            load(tmp_path, ground_truth([track, listed]))


def test_length_may_be_left_to_the_file_names(tmp_path):
    content = ground_truth([annotation(1, TRACK)])
    del content["videos"][0]["length"]
    assert load(tmp_path, content).videos[0].length == LENGTH


@pytest.mark.parametrize("annotations", [None, "missing", []])
def test_no_annotations_is_no_ground_truth(tmp_path, annotations):
    content = ground_truth(annotations)
    if annotations == "missing":
        del content["annotations"]
    gt = load(tmp_path, content)
    assert not gt.tracks
    assert gt.tracks == ([] if annotations == [] else None)
    with pytest.raises(ValueError, match=r"truth\.json has (no|an empty list of) annotations"):
        load_annotated(tmp_path / "truth.json")
    assert load(tmp_path, ground_truth([annotation(1, TRACK)])).tracks


def test_a_file_of_crowds_alone_cannot_be_scored(tmp_path):
    crowds = [annotation(i, TRACK, iscrowd=1) for i in (1, 2)]
    load(tmp_path, ground_truth([*crowds, annotation(3, TRACK)]))
    load_annotated(tmp_path / "truth.json")
    load(tmp_path, ground_truth(crowds))
    with pytest.raises(ValueError, match=r"truth\.json: all 2 annotations are crowds.*--crowds"):
        load_annotated(tmp_path / "truth.json")


@pytest.mark.parametrize("number", [2**63, -1])
def test_ids_fit_64_bits(tmp_path, number):
    content = ground_truth([annotation(1, TRACK)])
    content["videos"][1]["id"] = number
    with pytest.raises(ValueError, match=rf"videos\[1\]: id must be an integer of 0.*{number}"):
        load(tmp_path, content)
    content["videos"][1]["id"] = 2**63 - 1
    assert load(tmp_path, content).videos[1].id == 2**63 - 1


def test_names_are_compared_in_one_unicode_form(tmp_path):
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    content = ground_truth([], categories=(decomposed,))
    assert load(tmp_path, content).categories[0].name == composed
    content = ground_truth([], categories=(decomposed, composed))
    with pytest.raises(ValueError, match=r"categories\[1\]: name .* is used by categories\[0\]"):
        load(tmp_path, content)


A = ("annotations", 1)
BAD = {
    "has no list 'videos'": change(["videos"], None),
    "has no list 'categories'": change(["categories"], {}),
    "'annotations' is a dict; a list": change(["annotations"], {}),
    r"videos\[1\]: must be an object": change(["videos", 1], 5),
    r"videos\[1\]: id must be an integer": change(["videos", 1, "id"], "1"),
    r"videos\[1\]: height must be an integer of 1 or more, got 0": change(
        ["videos", 1, "height"], 0
    ),
    r"videos\[1\]: width must be an integer": change(["videos", 1, "width"], 2.5),
    r"videos\[1\]: length must be an integer": change(["videos", 1, "length"], None),
    r"videos\[1\]: length is 3, but there are 1 file_names": change(
        ["videos", 1, "file_names"], ["a.jpg"]
    ),
    r"videos\[1\]: id 1 is used by videos\[0\]": change(["videos", 1, "id"], 1),
    r"categories\[1\]: id 1 is used by categories\[0\]": change(["categories", 1, "id"], 1),
    r"categories\[1\]: name 'cat' is used by categories\[0\]": change(
        ["categories", 1, "name"], "cat"
    ),
    r"categories\[1\]: name must be text": change(["categories", 1, "name"], 2),
    r"annotations\[1\]: must be an object": change(list(A), None),
    r"annotations\[1\]: id 1 is used by annotations\[0\]": change([*A, "id"], 1),
    r"annotations\[1\]: unknown video_id 9": change([*A, "video_id"], 9),
    r"annotations\[1\]: unknown category_id 9": change([*A, "category_id"], 9),
    r"annotations\[1\]: category_id must be an integer": change([*A, "category_id"], [1]),
    r"annotations\[1\]: iscrowd must be 0 or 1": change([*A, "iscrowd"], 2),
    r"annotations\[1\]: segmentations must be a list": change([*A, "segmentations"], None),
    r"annotations\[1\]: segmentations has 2 items, but the video has 3": change(
        [*A, "segmentations"], [None] * 2
    ),
    r"annotations\[1\]: bboxes has 2 items": change([*A, "bboxes"], [None] * 2),
    r"annotations\[1\]: areas has 4 items": change([*A, "areas"], [None] * 4),
    r"annotations\[1\]: areas must be numbers": change([*A, "areas"], [-1, None, 2]),
    r"annotations\[1\]: frame 1: polygon": change([*A, "segmentations", 1], [[1, 2]]),
    r"annotations\[1\]: frame 2: RLE size": change(
        [*A, "segmentations", 2], {"size": [1, 1], "counts": [1]}
    ),
    r"annotations\[1\]: frame 0: RLE counts": change(
        [*A, "segmentations", 0], {"size": [6, 8], "counts": "PPP"}
    ),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_content_is_named(tmp_path, message):
    content = ground_truth([annotation(1, TRACK), annotation(2, TRACK)])
    BAD[message](content)
    with pytest.raises(ValueError, match=rf"truth\.json: {message}"):
        load(tmp_path, content)


def test_content_that_is_not_an_object(tmp_path):
    with pytest.raises(ValueError, match=r"truth\.json: holds a list; an object"):
        load(tmp_path, [])
    with pytest.raises(FileNotFoundError, match=r"nothing\.json"):
        load_ground_truth(tmp_path / "nothing.json")
