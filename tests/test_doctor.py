"""Each defect of the doctor: a good file, broken in one way, shows it alone and can be repaired."""

import copy
import json

from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.formats.ytvis import check_ground_truth
from simplevtr.toolbox.doctor import DEFECTS, Findings, Settings, examine
from simplevtr.toolbox.doctor.findings import described

import numpy as np
import pytest
from doctor_breaks import BREAKS, appended, area, both, box, mask, video
from doctor_samples import HEIGHT, WIDTH, found, make_good, read, repaired
from pycocotools import mask as coco_mask

IN_OTHER_TESTS = {
    "foreign-categories", "nothing-left",
    "missing-frame", "unreadable-frame", "frame-size",
    "leaked-frame", "leaked-file", "leaked-name",
}  # fmt: skip
FORMS = ("compressed", "uncompressed", "polygon")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """The content of a good file with compressed masks."""
    return read(make_good(tmp_path_factory.mktemp("good")))


@pytest.fixture
def content(good):
    return copy.deepcopy(good)


def test_every_defect_is_tested():
    assert {case.defect for case in BREAKS} | IN_OTHER_TESTS == set(DEFECTS)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_is_found_in_a_good_file_and_a_repair_changes_nothing(form, tmp_path):
    folder = make_good(tmp_path, segmentation=form)
    content = read(folder)
    examination = found(content, image_root=folder.image_root)
    assert not examination.findings.counts
    assert repaired(examination) == content
    assert not examination.findings.repairs
    assert examination.totals == {
        "videos": 3, "frames": 12, "tracks": 6, "masks": 21, "categories": 2,
        "not looked at": 0, "not decoded": 0,
    }  # fmt: skip


@pytest.mark.parametrize("annotations", [None, "missing"])
def test_a_file_without_ground_truth_is_good(good, annotations):
    content = {**good, "annotations": None}
    if annotations == "missing":
        del content["annotations"]
    examination = found(content)
    assert not examination.findings.counts
    assert repaired(examination) == content


@pytest.mark.parametrize("case", BREAKS, ids=str)
def test_a_defect_is_found_alone_and_repaired(content, case, tmp_path, monkeypatch):
    case.apply(content)
    examination = found(content)
    assert dict(examination.findings.counts) == {case.defect: 1}
    (example,) = examination.findings.examples[case.defect]
    assert described(example).isprintable()
    assert len(described(example)) < 400

    fixed = repaired(examination)
    assert set(found(fixed).findings.counts) == ({case.defect} if case.left else set())
    assert (len(fixed["videos"]), len(fixed["annotations"])) == (case.videos, case.tracks)
    if case.left:
        assert fixed == content
        assert not DEFECTS[case.defect].repair or case.defect == "repeated-track"
    else:
        assert examination.findings.repairs
    # Training and evaluation read what was repaired.
    monkeypatch.setattr("simplevtr.data.ytvis.find_frames", lambda *_: None)
    (tmp_path / "fixed.json").write_text(json.dumps(fixed))
    load_ytvis_json(tmp_path / "fixed.json", tmp_path)
    if case.defect != "too-large":
        check_ground_truth(fixed)


@pytest.mark.parametrize("case", [c for c in BREAKS if DEFECTS[c.defect].ignorable], ids=str)
def test_what_is_ignored_is_neither_counted_nor_repaired(content, case):
    case.apply(content)
    examination = found(content, ignored=(case.defect,))
    assert not examination.findings.counts
    assert repaired(examination) == content
    assert not examination.findings.repairs


def test_unusable_files_cannot_be_ignored():
    with pytest.raises(ValueError, match="'bad-mask' makes a file unusable; can be ignored: fore"):
        Findings(ignored=["bad-mask"])
    with pytest.raises(ValueError, match="'speling' is not a defect"):
        Findings(ignored=["speling"])


@pytest.mark.parametrize("key", ["videos", "categories"])
def test_an_empty_list_leaves_nothing(good, key):
    counts = found({**good, key: [], "annotations": None}).findings.counts
    assert dict(counts) == {"nothing-left": 1}


def test_places_name_video_annotation_frame_and_file(content):
    content["annotations"][3]["bboxes"][2] = [0, 0, 1, 1]
    (example,) = found(content).findings.examples["box-mask"]
    line = described(example)
    assert line.startswith("video 2, annotation 4, frame 2: the box is [0, 0, 1, 1], the")
    del example["detail"]
    assert example == {"entry": "annotations[3]", "video": 2, "annotation": 4, "frame": 2}
    assert described({"entry": "videos[3]", "detail": "is empty"}) == "videos[3]: is empty"
    example = {"video": 1, "file": "a\x1b[31m\ud800.jpg", "detail": "is empty"}
    assert described(example) == r"video 1, a\x1b[31m\ud800.jpg: is empty"


def test_examples_are_few_and_counts_are_not(content):
    for annotation in content["annotations"]:
        annotation["areas"] = [area and 1 for area in annotation["areas"]]
    examination = found(content)
    assert examination.findings.counts["wrong-area"] == examination.findings.total() == 21
    assert len(examination.findings.examples["wrong-area"]) == 20
    assert examination.findings.repairs == {"areas were computed from the masks": 21}


@pytest.mark.parametrize("offset", [2, 3])
def test_boxes_may_differ_by_two_pixels(content, offset):
    x, y, w, h = content["annotations"][0]["bboxes"][1]
    content["annotations"][0]["bboxes"][1] = [x, y, w + offset, h]
    assert found(content).findings.counts["box-mask"] == (offset == 3)
    assert not found(content, box_tolerance=3.0).findings.counts


def test_boxes_and_areas_of_random_masks_are_computed_right(content):
    generator = np.random.default_rng(0)
    masks = generator.random((12, HEIGHT, WIDTH)) < 0.003
    masks[0], masks[1, -1] = True, True
    masks[2, :, 0] = masks[3, :, -1] = masks[4, 0, 0] = True
    frames = [f"video1/{t:05d}.jpg" for t in range(len(masks))]
    content["videos"] = [{**content["videos"][0], "file_names": frames, "length": len(frames)}]
    rles = [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]
    annotation = {
        **content["annotations"][0],
        "segmentations": [{**code, "counts": code["counts"].decode()} for code in rles],
        "bboxes": [None] * len(masks),
        "areas": [None] * len(masks),
    }
    content["annotations"] = [annotation]
    (fixed,) = repaired(found(content))["annotations"]
    assert fixed["areas"] == masks.sum(axis=(1, 2)).tolist()
    for pixels, computed in zip(masks, fixed["bboxes"], strict=True):
        y, x = np.nonzero(pixels)
        assert computed == [x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1]


def test_runs_without_a_pixel_do_not_widen_boxes(content):
    # Pixel 100 alone, and foreground runs of length zero before and after it.
    counts = [7, 0, 93, 1, 20, 0, HEIGHT * WIDTH - 121]
    both(mask({"size": [HEIGHT, WIDTH], "counts": counts}), box(None), area(None))(content)
    fixed = repaired(found(content))["annotations"][0]
    assert (fixed["bboxes"][1], fixed["areas"][1]) == ([100 // HEIGHT, 100 % HEIGHT, 1, 1], 1)


@pytest.mark.parametrize(
    "good_values",
    [
        # A polygon out of the frame, and its box.
        both(mask([[-20, 10, 30, 10, 30, 90, -20, 90]]), box([-20, 10, 50, 80]), area(30 * 38)),
        # Zeros for null where the mask is null.
        both(box([0, 0, 0, 0], 0, 1), area(0, 0, 1)),
        # Names in natural order.
        both(
            video(file_names=[f"video1/{t}.jpg" for t in (8, 9, 10, 11)]),
            video(1, file_names=[f"v/{'0' * 9000}{t}" for t in (8, 9, 10, 11)]),
        ),
    ],
)
def test_what_is_no_defect(content, good_values):
    good_values(content)
    assert not found(content).findings.counts


def test_a_good_mask_next_to_bad_ones_is_still_measured(content, monkeypatch):
    monkeypatch.setattr("simplevtr.toolbox.doctor.masks._MOST_CHARS", 30)  # some at a time
    for frame, counts in ((0, "oooo"), (2, "~"), (3, "0"), (1, None)):
        if counts is not None:
            mask = {"size": [HEIGHT, WIDTH], "counts": counts}
            content["annotations"][0]["segmentations"][frame] = mask
    area(1)(content)
    examination = found(content)
    assert dict(examination.findings.counts) == {"bad-mask": 3, "wrong-area": 1}
    places = [
        (bad["annotation"], bad["frame"]) for bad in examination.findings.examples["bad-mask"]
    ]
    assert places == [(1, 0), (1, 2), (1, 3)]
    fixed = repaired(examination)["annotations"][0]
    assert [mask is None for mask in fixed["segmentations"]] == [True, False, True, True]
    assert [area is None for area in fixed["areas"]] == [True, False, True, True]


def test_a_track_without_a_usable_mask_is_dropped(content):
    content["annotations"][0]["segmentations"] = ["bad"] * 4
    examination = found(content)
    assert dict(examination.findings.counts) == {"bad-mask": 4}
    assert [a["id"] for a in repaired(examination)["annotations"]] == [2, 3, 4, 5, 6]


def test_new_ids_are_free_ones(content):
    content["annotations"][0]["id"] = None
    content["annotations"][1]["id"] = 3
    content["annotations"][5]["id"] = 900
    ids = [a["id"] for a in repaired(found(content))["annotations"]]
    assert len(set(ids)) == 6
    assert ids[1:5] == [3, ids[2], 4, 5]
    assert ids[5] == 900


def test_files_without_boxes_and_areas_are_good(content):
    for annotation in content["annotations"]:
        del annotation["bboxes"]
        annotation["areas"] = None
    examination = found(content)
    assert not examination.findings.counts
    fixed = repaired(examination)
    assert "bboxes" not in fixed["annotations"][0]


def test_categories_of_public_data_sets(good):
    assert not found(good, dataset_name="mine").findings.counts
    counts = found(good, dataset_name="ytvis_2019_val").findings.counts
    assert dict(counts) == {"foreign-categories": 1}


def test_tracks_of_an_unusable_video_are_no_defect_of_their_own(content):
    content["videos"][0]["height"] = None
    examination = found(content)
    assert dict(examination.findings.counts) == {"wrong-type": 1}
    assert {a["video_id"] for a in repaired(examination)["annotations"]} == {2, 3}


def test_integers_with_a_fraction_of_zero_are_repaired(good, content):
    for entry, keys in (
        (content["categories"][0], ("id",)),
        (content["videos"][0], ("id", "height", "length")),
        (content["annotations"][0], ("id", "video_id", "category_id")),
    ):
        entry.update({key: float(entry[key]) for key in keys})
    examination = found(content)
    assert dict(examination.findings.counts) == {"wrong-type": 7}
    assert repaired(examination) == good
    assert not any("." in str(e["id"]) for e in repaired(examination)["annotations"])
    content["annotations"][0]["video_id"] = 1e300
    assert len(repaired(found(content))["annotations"]) == len(good["annotations"]) - 1


def test_deep_nesting_is_no_end(content):
    deep = []
    for _ in range(100_000):
        deep = [deep]
    content["videos"][0]["extra"] = deep
    content["annotations"][0]["segmentations"][1] = deep
    content["annotations"][1]["bboxes"][1] = deep
    content["annotations"][2]["id"] = deep
    content["annotations"][3]["segmentations"][1] = {"size": deep, "counts": deep}
    examination = examine(content, Settings(repair=True))
    assert dict(examination.findings.counts) == {"wrong-type": 2, "bad-mask": 2, "bad-box": 1}
    assert not found(repaired(examination)).findings.counts


def test_unused_categories_count_tracks_that_are_dropped(content):
    appended("categories", {"id": 3, "name": "cow"})(content)
    content["annotations"].append({"id": 50, "video_id": 77, "category_id": 3})
    assert dict(found(content).findings.counts) == {"unknown-video": 1}


def test_tracks_may_have_lists_without_an_entry(content):
    content["videos"][0]["length"] = 0
    for annotation in content["annotations"][:2]:
        annotation.update(segmentations=[], bboxes=[], areas=[])
    examination = found(content)
    assert dict(examination.findings.counts) == {"length-mismatch": 1, "never-visible": 2}
    assert [video["id"] for video in repaired(examination)["videos"]] == [2, 3]
