import errno
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from simplevtr.commands import report as tool
from simplevtr.evaluation.ytvis_eval import evaluate_tracks
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import load_ground_truth
from simplevtr.toolbox.report.folder import PAGE

import numpy as np
import pytest
from conftest import check_refused
from json_files import all_crowds, change, edit_json
from PIL import Image
from pycocotools import mask as coco_mask
from report_samples import CATEGORIES, HEIGHT, HOSTILE, LENGTH, WIDTH, make_report_folder, read_data


@pytest.fixture
def data(tmp_path):
    """The tool's arguments but for --output."""
    return make_report_folder(tmp_path / "data")


@pytest.fixture
def make(data, tmp_path):
    """Makes a report; returns its folder."""

    def make(*more, name="report", arguments=data):
        assert tool.main([*arguments, "--output", str(tmp_path / name), *more]) == 0
        return tmp_path / name

    return make


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    root = tmp_path_factory.mktemp("report")
    arguments = make_report_folder(root / "data")
    assert tool.main([*arguments, "--output", str(root / "report"), "--title", HOSTILE]) == 0
    return root / "report"


def everything(folder):
    return {str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file()}


def test_files_of_a_report(report):
    frames = {f"frames/{v}/{t}.jpg" for v in (1, 2) for t in range(LENGTH)}
    pages = {f"page/{path.name}" for path in PAGE.iterdir() if path.name != "index.html"}
    expected = {"index.html", "data.js", "videos/1.js", "videos/2.js"} | frames | pages
    assert everything(report) == expected
    with Image.open(report / "frames/1/0.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (WIDTH, HEIGHT))  # never enlarged


def test_pages_name_only_files_beside_them(report):
    for path in [report / "index.html", *(report / "page").iterdir()]:
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path
        assert "innerHTML" not in text, path
    for name in re.findall(r'(?:src|href)="([\w/.]+)"', (report / "index.html").read_text()):
        assert (report / name).is_file(), name


def test_scripts_of_data_cannot_be_left(report):
    for path in [report / "data.js", *(report / "videos").iterdir()]:
        text = path.read_bytes()
        assert b"<" not in text
        assert text.count(b"\n") == 1
        assert text.isascii()
    assert HOSTILE not in (report / "index.html").read_text()
    data = read_data(report / "data.js")
    assert data["title"] == HOSTILE
    assert data["categories"] == CATEGORIES


def test_overview(report, tmp_path):
    make_report_folder(tmp_path)
    gt = load_ground_truth(tmp_path / "gt.json")
    scores = evaluate_tracks(gt, load_results(tmp_path / "results.json", gt))
    data = read_data(report / "data.js")
    overall = dict(zip(data["scores"]["columns"], data["scores"]["overall"], strict=True))
    for name, value in overall.items():
        expected = scores.stats[name]
        assert value is None if np.isnan(expected) else value == pytest.approx(expected, abs=1e-4)
    for name, row in zip(CATEGORIES, data["scores"]["categories"], strict=True):
        assert row["values"][0] == pytest.approx(scores.per_category[name]["AP"], abs=1e-4)
    assert [row["true"] for row in data["scores"]["categories"]] == [2, 2, 1]
    assert [row["predicted"] for row in data["scores"]["categories"]] == [4, 1, 1]
    # Of the cats the best-scored track of video 2 covers 3 of 5 frames (IoU 0.6).
    half = data["scores"]["byCategory"][0]["50"]
    assert len(half) == 101
    assert half[50] == pytest.approx(1.0)
    assert data["scores"]["byIou"][0]["iou"] == 0.5
    totals = {"videos": 3, "frames": 15, "true": 5, "predicted": 6, "switches": 1}
    assert data["totals"] == {**totals, "matches": 3, "misses": 2, "falsePositives": 3}
    # Rows and columns: the three categories, then none.
    assert data["confusion"] == [[2, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 1], [1, 0, 1, 0]]


def test_videos(report):
    data = read_data(report / "data.js")
    right, wrong, empty = data["videos"]
    assert (right["name"], right["ap"], right["iou"], right["switches"]) == ("right", 100, 1, 0)
    assert wrong["name"] == "<b>wrong"
    assert (wrong["true"], wrong["predicted"], wrong["matches"], wrong["switches"]) == (3, 3, 1, 1)
    assert (wrong["misses"], wrong["falsePositives"], wrong["iou"]) == (2, 2, 0.2)
    assert (empty["ap"], empty["predicted"]) == (None, 1)
    assert (data["worst"], data["best"]) == (["2"], ["1"])


def test_tracks_of_a_video(report):
    video = read_data(report / "videos/2.js")
    assert video["frames"] == list(range(LENGTH))
    assert [(t["name"], t["category"], t["colour"]) for t in video["true"]] == [
        (1, 0, 0), (2, 1, 1), (3, 2, 2),
    ]  # fmt: skip
    keys = ("score", "kind", "on", "iou", "colour")
    assert [tuple(t[key] for key in keys) for t in video["predicted"]] == [
        (0.95, "match", 1, 0.6, 0),
        (0.7, "alone", None, 0.4, 3),
        (0.6, "category", 2, 1.0, 1),
    ]
    assert [mask is None for mask in video["predicted"][0]["masks"]] == [False] * 3 + [True] * 2
    counts = video["true"][2]["masks"][4]
    mask = coco_mask.decode({"size": [HEIGHT, WIDTH], "counts": counts.encode()})
    expected = np.zeros((HEIGHT, WIDTH), np.uint8)
    expected[10:30, 38:58] = 1
    np.testing.assert_array_equal(mask, expected)


def test_switches(report):
    (switch,) = read_data(report / "data.js")["switches"]
    assert (switch["video"], switch["lastFrame"], switch["frame"]) == ("2", 2, 3)
    assert switch["frames"] == [1, 2, 3, 4]
    assert [mask is None for mask in switch["old"]["masks"]] == [False, False, True, True]
    assert [mask is None for mask in switch["new"]["masks"]] == [True, True, False, False]
    assert None not in switch["true"]["masks"]
    assert (switch["old"]["score"], switch["new"]["score"]) == (0.95, 0.7)


def test_without_ground_truth(data, make):
    listed = make(name="listed", arguments=["--video-list", *data[1:]])
    edit_json(data[1], change(["annotations"], None))
    for folder in (listed, make()):
        found = read_data(folder / "data.js")
        assert found["scored"] is False
        assert "scores" not in found
        assert [row["predicted"] for row in found["videos"]] == [2, 3, 1]
        assert (found["worst"], found["best"]) == (["3", "2"], ["1"])  # by the mean score
        video = read_data(folder / "videos/1.js")
        assert (video["true"], len(video["predicted"])) == ([], 2)


def test_the_number_and_size_of_frames_are_bounded(make):
    more = ["--videos", "1", "--max-frames", "2", "--frame-width", "32", "--switches", "0"]
    output = make(*more)
    assert read_data(output / "videos/2.js")["frames"] == [0, 4]
    assert len(read_data(output / "videos/2.js")["true"][0]["masks"]) == 2
    frames = list((output / "frames").rglob("*.jpg"))
    assert len(frames) == 4
    with Image.open(frames[0]) as image:
        assert image.size == (32, 24)
    assert not (make("--videos", "0", "--switches", "0", name="none") / "frames").exists()
    only = make("--videos", "0", name="only")
    assert {p.name for p in (only / "frames/2").iterdir()} == {f"{t}.jpg" for t in range(1, 5)}


def test_tracks_beyond_the_most_are_counted(make, monkeypatch):
    monkeypatch.setattr("simplevtr.toolbox.report.content.MOST_TRACKS", 2)
    output = make()
    videos = [read_data(output / f"videos/{number}.js") for number in (1, 2)]
    assert [(len(v["predicted"]), v["leftOut"]) for v in videos] == [(2, 0), (2, 1)]


def test_results_may_be_empty(data, make):
    Path(data[3]).write_text("[]")
    found = read_data(make() / "data.js")
    assert (found["totals"]["misses"], found["switches"]) == (5, [])
    plain = make(name="plain", arguments=["--video-list", *data[1:]])
    assert read_data(plain / "data.js")["worst"] == []


def test_an_existing_report_is_replaced_only_if_told(data, tmp_path, call, capsys):
    output = tmp_path / "report"
    arguments = [*data, "--output", str(output)]
    assert call(tool, *arguments)[0] == 0
    (output / "notes.txt").write_text("mine")
    (output / "frames/1/99999.jpg").write_text("old")
    check_refused(call(tool, *arguments), "report", "--overwrite")
    assert (output / "frames/1/99999.jpg").exists()
    assert tool.main([*arguments, "--overwrite"]) == 0
    assert (output / "notes.txt").read_text() == "mine"
    assert not (output / "frames/1/99999.jpg").exists()
    capsys.readouterr()
    for name in ("frames/v1/0.jpg", "videos/mine.mp4", "page/a.json"):  # inputs, for instance
        (output / name).parent.mkdir(exist_ok=True)
        (output / name).write_text("mine")
        check_refused(call(tool, *arguments, "--overwrite"), name, "would delete it; move it")
        (output / name).unlink()


def test_a_folder_that_exists_may_be_on_another_disk(data, tmp_path, monkeypatch):
    output, replace = tmp_path / "report", os.replace
    # Of a run that was killed, in a container with the same process number.
    left = output / f".report.{os.getpid()}.partial"
    (left / "page").mkdir(parents=True)
    (left / "index.html").touch()

    def refuse(source, target):
        if output not in Path(source).parents:
            raise OSError(errno.EXDEV, "Invalid cross-device link", str(source), None, str(target))
        replace(source, target)

    monkeypatch.setattr("os.replace", refuse)
    for more in ([], ["--overwrite"]):
        assert tool.main([*data, "--output", str(output), *more]) == 0
        assert [*output.glob(".report.*")] == [left]
        assert (output / "page/main.js").read_bytes() == (PAGE / "main.js").read_bytes()


def test_an_interrupt_while_a_report_is_replaced_leaves_a_whole_one(data, make, monkeypatch):
    output, delete = make(), shutil.rmtree

    def stop(*folders, **options):
        delete(*folders, **options)
        raise KeyboardInterrupt

    before = everything(output)
    monkeypatch.setattr("shutil.rmtree", stop)  # of thousands of frames, which takes long
    assert tool.main([*data, "--output", str(output), "--overwrite"]) == 130
    assert {name for name in everything(output) if ".partial/" not in name} == before


def test_a_full_disk_is_told_in_a_line(data, tmp_path, call, monkeypatch):
    def full(self, *_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    told = call(tool, *data, "--output", tmp_path / "report")
    check_refused(told, f"No space left on device: '{tmp_path / 'report'}'", lines=2)
    monkeypatch.setattr(Path, "write_bytes", full)
    told = call(tool, *data, "--output", tmp_path / "report")
    check_refused(told, "No space left on device", "partial/", lines=2)
    assert not (tmp_path / "report").exists()


def test_another_folder_is_never_overwritten(data, tmp_path, call):
    output = tmp_path / "precious"
    output.mkdir()
    (output / "index.html").write_text("my page")
    check_refused(call(tool, *data, "--output", output, "--overwrite"), "precious", "not a report")
    assert everything(output) == {"index.html"}


def test_frames_lie_below_the_images(data, tmp_path, call):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "data/secret.png")
    edit_json(data[1], change(["videos", 0, "file_names", 2], "right/../../secret.png"))
    check_refused(call(tool, *data, "--output", tmp_path / "report"), "file_names[2]", lines=2)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data"]  # nothing half done


def test_names_of_frames_have_two_spellings(data, make, tmp_path):
    """As the disk of a Mac and the annotation file may write an accent."""
    os.rename(tmp_path / "data/images/right", tmp_path / "data/images/caf\u00e9")
    content = Path(data[1]).read_text().replace('"right/', '"cafe\\u0301/')
    Path(data[1]).write_text(content)
    assert (make() / "frames/1/0.jpg").is_file()


def test_frames_that_cannot_be_used(data, tmp_path, call):
    arguments = [*data, "--output", tmp_path / "report"]
    frame = tmp_path / "data/images/right/00001.png"
    Image.new("RGB", (WIDTH + 1, HEIGHT)).save(frame)
    check_refused(call(tool, *arguments), "00001.png", "48x65", "48x64", lines=2)
    frame.write_bytes(b"no image")
    check_refused(call(tool, *arguments), "00001.png", "cannot be read", lines=2)
    frame.unlink()
    check_refused(call(tool, *arguments), "00001.png", "does not exist", lines=2)
    shutil.rmtree(tmp_path / "data/images")
    check_refused(call(tool, *arguments), "images", "does not exist")


def test_frames_are_shown_as_training_reads_them(make, tmp_path):
    """As EXIF turns them, which is how they were labelled."""
    turned = Image.new("RGB", (HEIGHT, WIDTH))
    turned.paste((255, 255, 255), (0, 0, HEIGHT // 2, WIDTH))  # the left half as it is stored
    exif = turned.getexif()
    exif[0x0112] = 6  # shown turned to the right
    turned.save(tmp_path / "data/images/right/00001.png", exif=exif)
    with Image.open(make() / "frames/1/1.jpg") as image:
        assert image.size == (WIDTH, HEIGHT)
        upper, lower = (image.convert("L").getpixel((WIDTH // 2, y)) for y in (4, HEIGHT - 4))
        assert (upper > 200, lower < 50) == (True, True)


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--iou-threshold", "0", "iou_threshold"),
        ("--score-threshold", "nan", "score_threshold"),
        ("--score-threshold", "50", "score_threshold is 50.0; it must be a number from 0 to 1"),
        ("--videos", "-1", "videos"),
        ("--max-frames", "0", "max_frames"),
        ("--frame-width", "1", "frame_width"),
    ],
)
def test_bad_options(data, tmp_path, call, option, value, word):
    check_refused(call(tool, *data, "--output", tmp_path / "report", option, value), word)


def test_needs_neither_torch_nor_detectron2():
    code = "import sys, simplevtr.toolbox.report; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=PAGE.parents[3]).returncode == 0


def test_bad_files(data, tmp_path, call):
    below = Path(data[1]) / "report"
    check_refused(call(tool, *data, "--output", below), "gt.json is not a folder")
    output = ["--output", tmp_path / "report"]
    check_refused(call(tool, "--gt", "none.json", *data[2:], *output), "none.json")
    check_refused(call(tool, "--video-list", data[3], *data[2:], *output), "results.json")
    check_refused(call(tool, *data[:2], "--results", data[1], *data[4:], *output), "gt.json")
    edit_json(data[1], all_crowds)
    check_refused(call(tool, *data, *output), "gt.json: all 5 annotations are crowds")
