import gzip
import json
import zipfile

from simplevtr.formats.files import write_bytes
from simplevtr.formats.results import load_results, write_results
from simplevtr.formats.ytvis import check_ground_truth

import numpy as np
import pytest
from track_samples import LENGTH, box, ground_truth, result, rle

GT = check_ground_truth(ground_truth(None))
TRACK = [box(0, 0, 4, 4), None, box(1, 1, 5, 5)]


def load(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return load_results(path, GT)


def test_a_file_is_read(tmp_path, caplog):  # packed ones: test_evaluation_fuzz.py
    loaded = load(tmp_path, [result(TRACK), result(TRACK, video_id=2)])
    found = [(track.video_id, track.category_id, track.score) for track in loaded]
    assert found == [(1, 1, 0.5), (2, 1, 0.5)]
    assert loaded[0].strip.area == 16
    assert caplog.text == ""
    load(tmp_path, [result(TRACK)])
    assert "mine.json has no predicted track in 1 of the 2 videos of" in caplog.text


BAD_VALUES = {
    "unknown video_id 3; the annotation file has 1, 2": {"video_id": 3},
    r"video_id must be an integer of 0 or more, got \[1\]": {"video_id": [1]},
    "video_id must be an integer of 0 or more, got True": {"video_id": True},
    "video_id must be an integer of 0 or more, got 1.0": {"video_id": 1.0},
    "unknown category_id 0; the annotation file has 1, 2": {"category_id": 0},
    "score is nan; it must be a number from 0 to 1": {"score": float("nan")},
    "score is inf": {"score": float("inf")},
    "score is '1'": {"score": "1"},
    "score is True": {"score": True},
    "score is 1000": {"score": 10**400},
    "score is 50": {"score": 50},
    "score is -0.01": {"score": -0.01},
    "segmentations must be a list": {"segmentations": {}},
    f"segmentations has 2 items, but the video has {LENGTH} frames": {"segmentations": [None] * 2},
    r"frame 1: RLE size is \[8, 6\]": {"segmentations": [None, rle(np.ones((8, 6))), None]},
    "frame 2: RLE counts": {"segmentations": [None, None, {"size": [6, 8], "counts": "PPP"}]},
    "frame 0: a segmentation must be null or an RLE": {
        "segmentations": [[[0, 0, 4, 0, 4, 4]], None, None]
    },
}


@pytest.mark.parametrize("message", BAD_VALUES)
def test_bad_entries_are_named(tmp_path, message):
    check_bad_entry(tmp_path, result(TRACK) | BAD_VALUES[message], message)


def test_what_is_no_entry_is_named(tmp_path):
    check_bad_entry(tmp_path, 5, "must be an object")
    lacking = {"video_id": 1, "category_id": 1}
    check_bad_entry(tmp_path, lacking, "lacks score, segmentations")


def check_bad_entry(tmp_path, entry, message):
    with pytest.raises(ValueError, match=rf"mine\.json: entries\[2\]: {message}"):
        load(tmp_path, [result(TRACK), result(TRACK, video_id=2), entry])


@pytest.mark.parametrize("content", ["{}", "null", "[", "", "[" * 200_000, "\ud800"])
def test_files_that_are_not_a_list_are_named(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_bytes(content.encode(errors="surrogatepass"))
    with pytest.raises(ValueError, match=r"mine\.json: "):
        load_results(path, GT)


@pytest.mark.parametrize("name", ["mine.zip", "mine.json.gz"])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", gzip.compress(b"[]" * 99, mtime=0)[:-9]])
def test_broken_archives_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=name):
        load_results(tmp_path / name, GT)


def test_archive_without_results(tmp_path):
    with zipfile.ZipFile(tmp_path / "mine.zip", "w") as archive:
        archive.writestr("other.json", "[]")
    with pytest.raises(ValueError, match=r"mine\.zip: .*no results\.json"):
        load_results(tmp_path / "mine.zip", GT)


def test_written_results_are_read_back_and_always_the_same(tmp_path):
    entries = [result(TRACK, score=1 / 3)]
    plain, archive = write_results(tmp_path / "new" / "a", entries)
    assert json.loads(plain.read_text()) == entries
    assert load_results(archive, GT) == load_results(plain, GT)
    _, again = write_results(tmp_path / "b", entries)
    assert again.read_bytes() == archive.read_bytes()
    assert {path.name for path in plain.parent.iterdir()} == {"results.json", "submission.zip"}


@pytest.mark.parametrize("name", ["results.json", "submission.zip"])
def test_existing_files_are_kept(tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=name):
        write_results(tmp_path, [])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"
    write_results(tmp_path, [], overwrite=True)
    assert load_results(tmp_path / "results.json", GT) == []


def test_files_are_replaced_only_if_asked(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(FileExistsError, match="file exists already"):
        write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_text() == "old"
    write_bytes(tmp_path / "file", b"new", overwrite=True)
    assert (tmp_path / "file").read_text() == "new"


def test_failed_write_leaves_the_old_file(tmp_path):
    (tmp_path / "file").write_text("old")
    with pytest.raises(TypeError):
        write_bytes(tmp_path / "file", None, overwrite=True)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("file", "old")]


def test_a_category_name_that_contradicts_its_id_is_refused(tmp_path):
    entry = result(TRACK)
    own = next(c.name for c in GT.categories if c.id == entry["category_id"])
    for name in (own, own.upper(), None):
        assert len(load(tmp_path, [{**entry, "category_name": name}])) == 1
    for name in ("unicorn", 7):
        with pytest.raises(ValueError, match=rf"entries\[1\]: category_name is {name!r}, but"):
            load(tmp_path, [entry, {**entry, "category_name": name}])


def test_entries_of_unknown_categories_can_be_left_out(tmp_path, caplog):
    path = tmp_path / "results.json"
    entries = [result(TRACK), {**result(TRACK), "category_id": 77}, result(TRACK, score=0.1)]
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"\[1\]: unknown category_id 77.*--unknown-categories sk"):
        load_results(path, GT)
    assert [track.score for track in load_results(path, GT, skip_unknown=True)] == [0.5, 0.1]
    assert "1 entries of categories that" in caplog.text
    entries[2]["segmentations"] = [None, None, {"size": [1, 1], "counts": "x"}]
    path.write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"entries\[2\]"):  # its place in the file
        load_results(path, GT, skip_unknown=True)
