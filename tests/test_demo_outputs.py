"""What the demo writes with each of its options, from files, streams and interrupted runs."""

import json
import os
import signal

from simplevtr.commands import demo
from simplevtr.visualization import TrackPainter

import numpy as np
import pytest
from demo_model import BrightestHalf, command_line
from footage import clicks, listen, noise, pictures, record, serving, watch
from PIL import Image
from pycocotools import mask as coco_mask

NAMES = ("DATASETS.TEST", "('ytvis_2019_val',)")  # "person" is its first class


@pytest.fixture
def options(tmp_path):
    return command_line(tmp_path)


@pytest.fixture
def video(tmp_path):
    """Ten frames of one grey, 240 x 320."""
    return record(tmp_path / "in.mp4", np.full((10, 240, 320, 3), 90, dtype=np.uint8), fps=25)


@pytest.fixture
def run(options, tmp_path, capsys):
    """Run the demo into ``out.mp4``; returns its frames."""

    def start(source, *more, opts=()):
        arguments = options(source, tmp_path / "out.mp4", *more, "--overwrite", opts=opts)
        assert demo.main(arguments) == 0
        return np.stack(watch(tmp_path / "out.mp4")[0]).astype(int)

    return start


def painter_made(made, ready=TrackPainter.__post_init__):
    """A ``__post_init__`` that notes the painters."""

    def note(painter):
        made.append(painter)
        ready(painter)

    return note


def differs(frames, grey=90):
    """Where something was drawn on a grey video."""
    return np.abs(frames - grey).max(axis=-1) > 25


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir() if path.name not in (
        "config.yaml", "model.pth", "in.mp4", "clip.ts",
    ))  # fmt: skip


def test_results_and_masks_alone(tmp_path, options, video, capsys):
    results, masks = tmp_path / "found" / "results.json", tmp_path / "masks"
    more = ("--results", str(results), "--masks", str(masks), "--classes", "person")
    assert demo.main(options(video, None, *more, opts=NAMES)) == 0
    (entry,) = json.loads(results.read_text())
    assert (entry["category_id"], entry["category_name"]) == (1, "person")
    assert entry["score"] == pytest.approx(0.9)
    assert len(entry["segmentations"]) == 10
    files = sorted(masks.iterdir())
    assert [file.name for file in files] == [f"{i:06d}.png" for i in range(10)]
    for i, (file, rle) in enumerate(zip(files, entry["segmentations"], strict=True)):
        picture = np.asarray(Image.open(file))
        assert picture[0].tolist() == [1001] * (160 + 2 * i) + [0] * (160 - 2 * i)
        assert np.array_equal(coco_mask.decode(rle) > 0, picture > 0)
    assert f"wrote {masks}, {results} (10 frames, 1 track with" in capsys.readouterr().out
    assert left_behind(tmp_path) == ["found", "masks"]


def test_masks_of_more_classes_than_they_hold(tmp_path, options, video, capsys):
    more = (video, None, "--masks", str(tmp_path / "masks"))
    opts = ("MODEL.SIMPLEVTR.NUM_CLASSES", "80")
    assert demo.main(options(*more, opts=opts)) == 2
    assert "the first 65 classes, not label 79; name those" in capsys.readouterr().err
    assert demo.main(options(*more, "--classes", "0", opts=opts)) == 0


def test_results_and_masks_may_lie_among_the_drawn_frames(tmp_path, options, video):
    out = tmp_path / "out"
    more = ("--results", str(out / "r.json"), "--masks", str(out / "masks"), "--classes", "0")
    assert demo.main(options(video, out, *more)) == 0
    assert [len(list(folder.glob("*.png"))) for folder in (out, out / "masks")] == [10, 10]
    assert left_behind(out) == [*(f"{i:05d}.png" for i in range(10)), "masks", "r.json"]


def test_results_hold_what_is_above_the_threshold(tmp_path, options, video):
    for threshold, scores in (("0", [0.9, 0.5, 0.1]), ("0.3", [0.9, 0.5]), ("0.95", [])):
        path = tmp_path / f"{threshold}.json"
        more = ("--results", str(path), "--score-threshold", threshold)
        assert demo.main(options(video, None, *more)) == 0
        assert [entry["score"] for entry in json.loads(path.read_text())] == scores


def test_classes_by_name_and_by_number(run, video):
    left, right = (..., slice(20, 60)), (..., slice(260, 300))
    for name, opts, half, other in (("person", NAMES, left, right), ("99", (), right, left)):
        drawn = differs(run(video, "--classes", name, opts=opts))
        assert drawn[half].mean() > 0.9
        assert not drawn[other].any()


@pytest.mark.parametrize(
    ("option", "changed"),
    [
        ("", {}), ("--no-masks", {"draw_masks": False}), ("--no-labels", {"draw_labels": False}),
        ("--no-ids", {"draw_ids": False}), ("--boxes", {"draw_boxes": True}),
        ("--trail 4", {"trail": 4}), ("--side-by-side", {"side_by_side": True}),
        ("--scale 0.5", {"scale": 0.5}), ("--score-threshold 0.95", {"min_score": 0.95}),
    ],
)  # fmt: skip
def test_what_is_drawn_is_what_the_painter_draws(run, video, monkeypatch, option, changed):
    made = []
    monkeypatch.setattr(TrackPainter, "__post_init__", painter_made(made))
    frames = run(video, *option.split())
    (painter,) = made
    usual = vars(TrackPainter([], min_score=0.3))
    assert {k: v for k, v in vars(painter).items() if usual[k] != v and k[0] != "_"} == changed
    assert frames.shape[1:3] == painter.output_size((240, 320))


def test_sound_is_kept_unless_it_is_not_wanted(tmp_path, run):
    source = record(tmp_path / "in.mp4", pictures(25), fps=25, sound=clicks(1))
    for more, heard in (((), [0.25, 0.75]), (("--no-audio",), []), (("--fps", "10"), [])):
        assert len(run(source, *more)) == 25
        assert listen(tmp_path / "out.mp4")[1] == pytest.approx(heard, abs=0.004)


def test_a_video_without_tracks(tmp_path, run, video, monkeypatch):
    monkeypatch.setattr(BrightestHalf, "blind", True)
    more = ("--results", str(tmp_path / "r.json"), "--masks", str(tmp_path / "m"), "--trail", "3")
    frames = run(video, *more)
    assert len(frames) == 10
    assert not differs(frames).any()
    assert json.loads((tmp_path / "r.json").read_text()) == []
    assert len(list((tmp_path / "m").iterdir())) == 10


def test_a_cut_video_gives_the_frames_it_has(tmp_path, run, caplog):
    source = record(tmp_path / "in.mkv", noise(30), fps=25)
    source.write_bytes(source.read_bytes()[: source.stat().st_size * 7 // 10])
    frames = run(source, "--results", str(tmp_path / "r.json"))
    assert 10 < len(frames) < 25
    entries = json.loads((tmp_path / "r.json").read_text())
    assert {len(entry["segmentations"]) for entry in entries} == {len(frames)}
    assert caplog.text.count("in.mkv: damaged") == 1


def test_a_model_that_fails_leaves_nothing(tmp_path, options, video, capsys, monkeypatch):
    def fail(index):
        raise ValueError("the model is ill")

    monkeypatch.setattr(BrightestHalf, "on_frame", staticmethod(fail))
    more = ("--masks", str(tmp_path / "m"), "--results", str(tmp_path / "r.json"))
    assert demo.main(options(video, tmp_path / "out.mp4", *more)) == 2
    assert "the model is ill" in capsys.readouterr().err
    assert left_behind(tmp_path) == []


@pytest.mark.parametrize("times", [1, 2])
def test_control_c_while_drawing(tmp_path, options, video, times, monkeypatch, caplog, capsys):
    def interrupted(painter, frame, tracks):
        for _ in range(times if tracks.index == 5 else 0):
            os.kill(os.getpid(), signal.SIGINT)
        return frame

    monkeypatch.setattr(TrackPainter, "draw_frame", interrupted)
    more = ("--results", str(tmp_path / "r.json"))
    status = demo.main(options(video, tmp_path / "out.mp4", *more))
    if times == 1:
        assert status == 0
        assert "Ctrl-C again gives up" in capsys.readouterr().err
        assert left_behind(tmp_path) == ["out.mp4", "r.json"]
        assert len(watch(tmp_path / "out.mp4")[0]) == 10
        return
    assert status == 130
    assert left_behind(tmp_path) == ["out.partial.mp4", "r.json"]
    assert len(watch(tmp_path / "out.partial.mp4")[0]) == 5
    assert "the 5 frames done are kept" in caplog.text


@pytest.mark.parametrize(
    ("length", "message"),
    [
        (4, "it gave 10 frames before and 4 now"),
        (10, "in.mp4: it was changed while it was read; run this again"),
        (11, "in.mp4: it was changed while it was read; run this again"),
    ],
)
def test_an_input_that_is_overwritten(tmp_path, options, capsys, monkeypatch, length, message):
    source = record(tmp_path / "in.mp4", pictures(10))

    def overwrite(index):
        if index == 9:
            record(source, noise(length))

    monkeypatch.setattr(BrightestHalf, "on_frame", staticmethod(overwrite))
    assert demo.main(options(source, tmp_path / "out.mp4")) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out.mp4").exists()


def test_a_recording_that_goes_on_is_drawn_as_far_as_it_was_read(tmp_path, run, monkeypatch):
    source = record(tmp_path / "in.ts", pictures(10))

    def grow(index):
        if index == 9:
            source.write_bytes(source.read_bytes() * 2)

    monkeypatch.setattr(BrightestHalf, "on_frame", staticmethod(grow))
    assert len(run(source)) == 10


@pytest.fixture
def stream(tmp_path, monkeypatch):
    """The address of a stream of ten ``pictures``."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    record(tmp_path / "clip.ts", pictures(10, 240, 320), fps=25)
    with serving(tmp_path) as address:
        yield f"{address}/clip.ts"


def test_a_stream_is_drawn_as_it_comes(tmp_path, run, stream, capsys):
    results, masks = tmp_path / "r.json", tmp_path / "m"
    more = ("--results", str(results), "--masks", str(masks), "--classes", "0", "--no-ids")
    frames = run(stream, *more)
    assert len(frames) == len(list(masks.iterdir())) == 10
    for i in (0, 9):
        right = frames[i, 120:, 250:]
        assert abs(right.mean() - (20 + 8 * i)) < 3  # its own frame, undrawn there
        assert np.abs(frames[i, 200, 20] - frames[i, 200, 300]).max() > 40
        picture = np.asarray(Image.open(masks / f"{i:06d}.png"))
        assert (picture[100] > 0).sum() == 160 + 2 * i
    (entry,) = json.loads(results.read_text())
    assert len(entry["segmentations"]) == 10
    assert watch(tmp_path / "out.mp4")[2] == pytest.approx(0.4)


def test_a_stream_is_not_waited_for(tmp_path, options, run, stream, capsys):
    opts = ("TEST.WINDOW", "0")
    assert demo.main(options(stream, tmp_path / "out.mp4", opts=opts)) == 2
    assert "clip.ts: may never end, and TEST.WINDOW 0 waits for the end" in capsys.readouterr().err
    assert len(run(stream, "--max-frames", "3", opts=opts)) == 3


def test_a_stream_without_results_counts_its_tracks(run, stream, capsys):
    run(stream, "--max-frames", "6")
    assert "out.mp4 (6 frames, 2 tracks" in capsys.readouterr().out


@pytest.fixture
def control_c(monkeypatch):
    """Presses Ctrl-C ``times`` times as the model reads frame ``index``."""

    def set_up(index, times=1):
        def press(read):
            for _ in range(times if read == index else 0):
                os.kill(os.getpid(), signal.SIGINT)

        monkeypatch.setattr(BrightestHalf, "on_frame", staticmethod(press))

    return set_up


@pytest.mark.parametrize("kind", ["file", "stream"])
def test_control_c_finishes_what_was_read(
    tmp_path, options, video, stream, kind, control_c, capsys
):
    control_c(5)
    before = signal.getsignal(signal.SIGINT)
    source = video if kind == "file" else stream
    more = ("--results", str(tmp_path / "r.json"))
    assert demo.main(options(source, tmp_path / "out.mp4", *more)) == 0
    said = capsys.readouterr()
    assert "finishing what was read; Ctrl-C again gives up" in said.err
    assert "(6 frames, 2 tracks" in said.out
    assert len(watch(tmp_path / "out.mp4")[0]) == 6
    for entry in json.loads((tmp_path / "r.json").read_text()):
        assert len(entry["segmentations"]) == 6
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_control_c_gives_up(tmp_path, options, video, control_c, capsys):
    control_c(2, times=2)
    assert demo.main(options(video, tmp_path / "out.mp4")) == 130
    assert capsys.readouterr().err.endswith("demo.py: interrupted\n")
    assert left_behind(tmp_path) == []


def test_a_second_control_c_keeps_what_was_drawn_of_a_stream(tmp_path, options, stream, control_c):
    control_c(5, times=2)
    assert demo.main(options(stream, tmp_path / "out.mp4")) == 130
    assert left_behind(tmp_path) == ["out.partial.mp4"]
    assert len(watch(tmp_path / "out.partial.mp4")[0]) == 4  # a window of the stub
