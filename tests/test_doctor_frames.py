"""The doctor on image files, and on videos that two splits share."""

import copy
import json
import os
import shutil
from pathlib import Path

from simplevtr.commands.doctor import table
from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.toolbox.doctor.frame_files import fault_of, read_split

import numpy as np
import pytest
from doctor_samples import HEIGHT, WIDTH, found, make_good, read, repaired
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    return make_good(tmp_path)


@pytest.fixture
def good(folder):
    return read(folder)


def frame(folder, name):
    return Path(folder.image_root) / name


def check_broken_frame(folder, good, defect, **settings):
    """The frame 2 of video 1 is broken: that is found, and a repair leaves it out."""
    good["annotations"][0]["length"] = 4
    examination = found(good, image_root=folder.image_root, **settings)
    assert dict(examination.findings.counts) == {defect: 1}
    (example,) = examination.findings.examples[defect]
    assert (example["video"], example["frame"], example["file"]) == (1, 2, "video1/00002.jpg")
    fixed = repaired(examination)
    assert fixed["videos"][0]["length"] == 3
    assert fixed["videos"][0]["file_names"] == [f"video1/0000{t}.jpg" for t in (0, 1, 3)]
    track = good["annotations"][0]
    for key in ("segmentations", "bboxes", "areas"):
        expected = [track[key][t] for t in (0, 1, 3)]
        assert fixed["annotations"][0][key] == expected
    assert fixed["annotations"][0]["length"] == 3
    assert not found(fixed, image_root=folder.image_root, **settings).findings.counts
    path = Path(folder.json_file).with_name("fixed.json")
    path.write_text(json.dumps(fixed))
    assert len(load_ytvis_json(path, folder.image_root)) == 3
    return example["detail"]


def test_missing_frame(folder, good):
    frame(folder, "video1/00002.jpg").unlink()
    assert check_broken_frame(folder, good, "missing-frame") == "there is no such file"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_in_the_place_of_a_frame_does_not_block(folder, good):
    path = frame(folder, "video1/00002.jpg")
    path.unlink()
    os.mkfifo(path)
    check_broken_frame(folder, good, "missing-frame")


def test_unreadable_frame(folder, good):
    frame(folder, "video1/00002.jpg").write_bytes(b"no image")
    detail = check_broken_frame(folder, good, "unreadable-frame")
    assert folder.image_root not in detail


@pytest.mark.parametrize("part", [0.3, 0.67, 0.99])
@pytest.mark.parametrize("kind", ["jpg", "progressive", "png", "webp", "tiff"])
def test_a_frame_that_is_cut_short_is_found(folder, good, kind, part):
    path = frame(folder, "video1/00002.jpg")
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    options = {"progressive": True} if kind == "progressive" else {}
    form = "jpeg" if kind in ("jpg", "progressive") else kind
    Image.fromarray(noise).save(path, format=form, **options)
    path.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
    check_broken_frame(folder, good, "unreadable-frame")


def test_frames_that_are_not_decoded_are_counted(folder, good):
    path = frame(folder, "video1/00002.jpg")
    path.write_bytes(path.read_bytes()[:-300])
    examination = found(good, image_root=folder.image_root, decode=False)
    assert not examination.findings.counts
    assert examination.totals["not decoded"] == 12
    assert table(examination, examples=1) == (
        "no defects; 12 frames were not decoded (without --no-decode)"
    )
    assert found(good).totals["not looked at"] == 12


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
def test_frames_that_exif_turns_fit_one_of_their_two_readings(folder, good, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    for size in ((WIDTH, HEIGHT), (HEIGHT, WIDTH)):
        Image.new("RGB", size).save(frame(folder, "video1/00002.jpg"), exif=exif)
        counts = found(good, image_root=folder.image_root).findings.counts
        assert bool(counts) == (orientation == 3 and size == (HEIGHT, WIDTH))
    Image.new("RGB", (WIDTH, 2 * HEIGHT)).save(frame(folder, "video1/00002.jpg"), exif=exif)
    detail = check_broken_frame(folder, good, "frame-size")
    assert ("EXIF" in detail) == (orientation != 3)


def test_pixels_are_judged_as_the_loader_reads_them(folder, good):
    path = frame(folder, "video1/00002.jpg")
    Image.new("I;16", (WIDTH, HEIGHT)).save(path, format="TIFF")
    assert not found(good, image_root=folder.image_root).findings.counts
    Image.new("F", (WIDTH, HEIGHT)).save(path, format="TIFF")
    assert "32-bit" in check_broken_frame(folder, good, "unreadable-frame")


def test_names_may_be_spelled_in_either_form_of_unicode(folder, good):
    frame(folder, "video1").rename(frame(folder, "vide\u0301o"))
    good["videos"][0]["file_names"] = [f"vid\u00e9o/0000{t}.jpg" for t in range(4)]
    assert not found(good, image_root=folder.image_root).findings.counts


def test_frame_of_another_size(folder, good):
    Image.new("RGB", (WIDTH, HEIGHT + 1)).save(frame(folder, "video1/00002.jpg"))
    detail = check_broken_frame(folder, good, "frame-size")
    expected = "has 49x64 pixels (height x width), but its annotation file says 48x64"
    assert detail == expected


def test_a_video_takes_the_size_that_frames_and_masks_agree_on(folder, good):
    content = copy.deepcopy(good)
    content["videos"][1].update(height=WIDTH, width=HEIGHT)
    examination = found(content, image_root=folder.image_root)
    assert dict(examination.findings.counts) == {"frame-size": 4}
    assert repaired(examination) == good


def test_a_video_whose_masks_have_not_the_size_of_its_frames_is_dropped(folder, good):
    for t in range(4):
        Image.new("RGB", (2 * WIDTH, 2 * HEIGHT)).save(frame(folder, f"video1/0000{t}.jpg"))
    examination = found(good, image_root=folder.image_root)
    assert dict(examination.findings.counts) == {"frame-size": 4}
    fixed = repaired(examination)
    assert [video["id"] for video in fixed["videos"]] == [2, 3]
    assert {track["video_id"] for track in fixed["annotations"]} == {2, 3}
    assert examination.findings.repairs["annotations were dropped with their videos"] == 2


def test_a_track_that_was_visible_in_a_lost_frame_only_is_dropped(folder, good):
    for key in ("segmentations", "bboxes", "areas"):
        values = good["annotations"][0][key]
        good["annotations"][0][key] = [None, None, values[2], None]
    frame(folder, "video1/00002.jpg").unlink()
    examination = found(good, image_root=folder.image_root)
    assert dict(examination.findings.counts) == {"missing-frame": 1}
    assert [track["id"] for track in repaired(examination)["annotations"]] == [2, 3, 4, 5, 6]


def test_a_folder_without_any_of_the_frames_is_another_one(good, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="none of the 12 frames is below .*video1/00000"):
        found(good, image_root=str(tmp_path / "empty"))


def test_paths_that_cannot_be_are_missing(tmp_path):
    for path in (tmp_path, "\ud800\x00", "\udc80/0.jpg"):
        assert fault_of(path, (5, 7), decode=True).defect == "missing-frame"


@pytest.fixture
def other(tmp_path):
    """A split of other videos under the same names."""
    folder = make_good(tmp_path, split="valid")
    generator = np.random.default_rng(0)
    for path in Path(folder.image_root).rglob("*.jpg"):
        noise = generator.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)
    return folder


def leaks(folder, other, *, images=False, rename=None, ignored=()):
    content = read(other)
    for video in content["videos"]:
        video["file_names"] = [rename(name) if rename else name for name in video["file_names"]]
    split = read_split(content, "valid.json", other.image_root if images else None)
    root = folder.image_root if images else None
    return found(read(folder), image_root=root, others=(split,), ignored=ignored)


@pytest.mark.parametrize(
    ("rename", "images", "defect"),
    [
        (None, False, "leaked-file"),
        (lambda name: name.replace("/", "/img_"), False, "leaked-name"),
        (lambda name: "other_" + name, False, None),
        (None, True, None),  # equal names of different images
    ],
)
def test_names_that_two_splits_share_are_a_warning(folder, other, rename, images, defect):
    examination = leaks(folder, other, rename=rename, images=images)
    assert dict(examination.findings.counts) == ({defect: 3} if defect else {})
    assert repaired(examination) == read(folder)
    if defect == "leaked-file":
        (example, *_) = examination.findings.examples[defect]
        assert example["detail"] == "4 of its file names are also in valid.json"


def test_files_that_two_splits_share_after_the_first_frame(folder):
    content = read(folder)
    for video in content["videos"]:
        video["file_names"] = [name.replace("/", "\\") for name in video["file_names"][1:]]
    for root in (None, folder.image_root):
        split = read_split(content, "valid.json", root)
        examination = found(read(folder), image_root=root, others=(split,))
        assert dict(examination.findings.counts) == {"leaked-file": 3}


@pytest.mark.parametrize("flat", [False, True])
def test_clips_that_two_splits_have_cut_from_one_video(folder, flat):
    content = read(folder)
    if flat:
        (Path(folder.image_root) / "all").mkdir()
        for video in content["videos"]:
            for t, name in enumerate(video["file_names"]):
                video["file_names"][t] = f"all/{name.replace('/', '_')}"
                frame(folder, name).rename(frame(folder, video["file_names"][t]))
    other = copy.deepcopy(content)
    for video, own in zip(other["videos"], content["videos"], strict=True):
        video["file_names"], own["file_names"] = own["file_names"][2:], own["file_names"][:2]
    split = read_split(other, "valid.json", folder.image_root)
    examination = found(content, image_root=folder.image_root, others=(split,))
    assert examination.findings.counts["leaked-name"] == (0 if flat else 3)


def test_equal_first_frames_under_other_names(folder, other):
    shutil.copy(frame(folder, "video2/00000.jpg"), frame(other, "video3/00000.jpg"))
    examination = leaks(folder, other, images=True)
    assert dict(examination.findings.counts) == {"leaked-frame": 1}
    (example,) = examination.findings.examples["leaked-frame"]
    assert example["video"] == 2
    assert example["detail"].endswith("valid/JPEGImages/video3/00000.jpg")
    assert [video["id"] for video in repaired(examination)["videos"]] == [1, 3]
    ignored = leaks(folder, other, images=True, ignored=["leaked-frame"])
    assert repaired(ignored) == read(folder)


def test_black_first_frames_are_no_leak(folder, other):
    for path in (frame(folder, "video2/00000.jpg"), frame(other, "video3/00000.jpg")):
        Image.new("RGB", (WIDTH, HEIGHT)).save(path)
    assert not leaks(folder, other, images=True).findings.counts


def test_broken_entries_of_another_split_share_nothing(folder):
    content = {"videos": [None, {}, {"file_names": 3}, {"file_names": [None, ""]}, "a"]}
    split = read_split(content, "valid.json", folder.image_root)
    assert (split.files, split.folders, split.first_frames) == (set(), set(), {})
