"""``simplevtr segment``: many videos, what is written of them, and what may happen meanwhile."""

import csv
import json
import multiprocessing
import os
import shutil
import signal
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks import many_videos
from simplevtr.commands import demo, segment
from simplevtr.inference import Outcome, in_processes
from simplevtr.inference import many_videos as many
from simplevtr.video_io import NamedVideo, RemoteFile, find_videos, remote, video_list

import fsspec
import numpy as np
import pytest
import torch
from conftest import ROOT, build
from footage import pictures, record, watch
from PIL import Image

PLACES = [f"{folder}/{name}.mp4" for folder in ("a", "b", "b/c") for name in ("1", "2", "10")]
GOOD = ["a/1.mp4", "a/2.mp4", "a/10.mp4", "b/1.mp4", "b/2.mp4", "b/10.mp4", "b/c/1.mp4",
        "b/c/2.mp4", "b/c/10.mp4", "frames"]  # fmt: skip


def frames_in(folder, count=4):
    folder.mkdir(parents=True)
    for i, picture in enumerate(pictures(count)):
        Image.fromarray(picture).save(folder / f"{i}.png")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    root = tmp_path_factory.mktemp("recorded")
    for number, place in enumerate(PLACES):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        record(root / place, pictures(4 + number % 5))
    (root / "a/broken.mp4").write_bytes(b"not a video")
    (root / "b/empty.mp4").touch()
    frames_in(root / "frames")
    return root


@pytest.fixture
def clips(recorded, tmp_path):
    """Twelve videos, of which two are broken; some share their names."""
    return shutil.copytree(recorded, tmp_path / "videos")


@pytest.fixture
def options(tmp_path, tiny_cfg):
    """A function that makes the options of the command with a tiny model of random weights."""
    tiny_cfg.TEST.WINDOW, tiny_cfg.TEST.SLOT_THRESHOLD = 4, 0.0
    model, config = tmp_path / "model.pth", tmp_path / "config.yaml"
    torch.save({"model": build(tiny_cfg).state_dict()}, model)
    config.write_text(tiny_cfg.dump())

    def make(videos, *more, output="out", weights=model):
        chosen = ["--config-file", config, "--weights", weights, "--output", tmp_path / output]
        return [str(word) for word in (*videos, *chosen, "--score-threshold", "0", *more)]

    return make


def summary(folder):
    with (folder / "summary.csv").open(newline="") as file:
        return {row["video"]: row for row in csv.DictReader(file)}


def states(folder):
    return {name: row["state"] for name, row in summary(folder).items()}


def files(folder):
    """When each result was written."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.parent != folder
    }


def test_every_video_has_its_results_or_a_reason(clips, options, tmp_path, capfd, one_thread):
    out = tmp_path / "out"
    arguments = options([clips], "--overlay", "--mots", "--workers", "2")
    assert segment.main(arguments) == 1
    rows = {name.removeprefix("videos/"): row for name, row in summary(out).items()}
    assert [name for name, row in rows.items() if row["state"] == "done"] == GOOD
    assert [int(rows[name]["frames"]) for name in GOOD[:4]] == [4, 5, 6, 7]
    for name in ("a/broken.mp4", "b/empty.mp4"):
        assert rows[name]["state"] == "failed"
        assert rows[name]["reason"].startswith("not a video or image")
    output = capfd.readouterr()
    assert "12 videos: 10 done, 2 failed; see " in output.out
    assert "failed: videos/a/broken.mp4: not a video" in output.err
    names = ("results.json", "overlay.mp4", "video.json")
    mots = [f"mots/{i:06d}.png" for i in range(4)]
    assert {name for name in files(out) if name.startswith("videos/a/1.mp4")} == {
        f"videos/a/1.mp4/{name}" for name in (*names, *mots)
    }
    assert not [name for name in files(out) if "broken" in name or "partial" in name]

    words = options(["--input", clips / "b/c/10.mp4", "--masks", tmp_path / "mots", "--results",
                     tmp_path / "one.json"], output="one.mp4")  # fmt: skip
    at = words.index("--weights")
    assert demo.main([*words[:at], *words[at + 2 :], "--opts", "MODEL.WEIGHTS", words[at + 1]]) == 0
    own = out / "videos/b/c/10.mp4"
    assert (own / "results.json").read_bytes() == (tmp_path / "one.json").read_bytes()
    assert len((own / "results.json").read_bytes()) > 1000
    for path in (tmp_path / "mots").iterdir():
        assert (own / "mots" / path.name).read_bytes() == path.read_bytes()
    ours, theirs = watch(own / "overlay.mp4"), watch(tmp_path / "one.mp4")
    assert len(ours[0]) == len(theirs[0]) == 7
    for one, other in zip(ours[0], theirs[0], strict=True):  # encoders with threads vary a little
        assert np.abs(one.astype(int) - other).mean() < 0.5
    assert ours[1:] == theirs[1:]


def test_what_is_done_is_not_done_again(clips, options, tmp_path):
    out = tmp_path / "out"
    assert segment.main(options([f"{clips}/**/*.mp4"])) == 1
    before = files(out)
    assert len(before) == 2 * 9
    assert segment.main(options([f"{clips}/**/*.mp4"])) == 1
    assert files(out) == before
    assert set(states(out).values()) == {"skipped", "failed"}
    assert summary(out)["b/1.mp4"]["frames"] == "7"
    for name in ("a/broken.mp4", "b/empty.mp4"):
        record(clips / name, pictures(4))
    (out / "a/1.mp4/results.json").unlink()
    assert segment.main(options([f"{clips}/**/*.mp4"])) == 0
    again = {name for name, at in files(out).items() if at != before.get(name)}
    videos = ("a/1.mp4", "a/broken.mp4", "b/empty.mp4")
    assert again == {
        f"{video}/{name}" for video in videos for name in ("results.json", "video.json")
    }
    assert {name for name, state in states(out).items() if state == "done"} == {*videos}
    assert segment.main(options([f"{clips}/**/*.mp4"], "--mots")) == 0  # more of the same results
    assert set(states(out).values()) == {"done"}
    record(clips / "a/1.mp4", pictures(7))
    (out / "a/1.mp4/results.json").unlink()
    assert segment.main(options([f"{clips}/**/*.mp4"])) == 1
    assert summary(out)["a/1.mp4"]["reason"].startswith(
        f"{out}/a/1.mp4 has results of another version"
    )
    for nonsense in ("[]", "{}", "{"):
        (out / "a/2.mp4/video.json").write_text(nonsense)
        assert segment.main(options([clips / "a/2.mp4", clips / "b/1.mp4"])) == 1
        assert "results of another version" in summary(out)["a/2.mp4"]["reason"]
    (out / "a/1.mp4/video.json").unlink()
    (out / "a/2.mp4/video.json").unlink()
    assert segment.main(options([f"{clips}/**/*.mp4"])) == 0
    assert summary(out)["a/1.mp4"]["frames"] == "7"
    assert not (out / "a/1.mp4/mots").exists()  # of the earlier version


def test_outputs_of_which_a_part_is_gone_are_made_again(options, tmp_path):
    record(tmp_path / "a.mp4", pictures(5))
    arguments = options([tmp_path / "a.mp4"], "--mots", "--overlay")
    assert segment.main(arguments) == 0
    own = tmp_path / "out/a.mp4"
    before = {path: path.read_bytes() for path in own.rglob("*.*") if path.name != "video.json"}
    gone = [("mots/000002.png", None), ("mots/000000.png", None), ("results.json", 0)]
    gone += [("results.json", None), ("results.json", -2), ("overlay.mp4", 0), ("overlay.mp4", -9)]
    for name, end in gone:
        (own / name).unlink() if end is None else (own / name).write_bytes(before[own / name][:end])
        assert segment.main(arguments) == 0
        assert states(tmp_path / "out") == {"a.mp4": "done"}
        assert {path: path.read_bytes() for path in before} == before
    assert segment.main(arguments) == 0
    assert states(tmp_path / "out") == {"a.mp4": "skipped"}


def test_a_video_that_changes_while_it_is_read_fails(options, tmp_path):
    words = options([record(tmp_path / "a.mp4", pictures(5))])
    task, _ = segment._plan(segment.main.parser().parse_args(words), tmp_path / "out")
    work = task.load()
    (video,) = find_videos([str(tmp_path / "a.mp4")])
    with pytest.MonkeyPatch.context() as patched:
        real = many.write_results

        def grow(*args):
            with video.path.open("ab") as file:
                file.write(bytes(9))
            return real(*args)

        patched.setattr(many, "write_results", grow)
        outcome = work(video)
    assert outcome.state == "failed"
    assert outcome.reason == "it was changed while it was read; run this again"
    assert not (tmp_path / "out/a.mp4").exists()
    assert work(video).state == "done"


def test_a_worker_that_begins_late_has_the_same_model_or_none(options, tmp_path):
    words = options([record(tmp_path / "a.mp4", pictures(5))])
    task, _ = segment._plan(segment.main.parser().parse_args(words), tmp_path / "out")
    torch.save(torch.load(tmp_path / "model.pth") | {"iteration": 7}, tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"model\.pth or the config was changed during this run"):
        task.load()


def test_what_a_damaged_video_lacks_is_told_each_time(options, tmp_path, capsys):
    record(tmp_path / "whole.mkv", pictures(60, 256, 256), options={"g": "1"})
    content = (tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(content[: len(content) // 2])
    for state in ("done", "skipped"):
        assert segment.main(options([tmp_path / "cut.mkv"])) == 0
        row = summary(tmp_path / "out")["cut.mkv"]
        found = f"the first {row['frames']} frames can be read"
        assert (row["state"], 0 < int(row["frames"]) < 60) == (state, True)
        assert row["reason"].startswith(f"damaged; {found}")
        assert f"{state}: cut.mkv: damaged; {found}" in capsys.readouterr().err


def test_videos_of_one_name_size_and_time_are_told_apart(options, tmp_path):
    for folder, level in (("a", 20), ("b", 90)):
        for t in range(3):
            path = tmp_path / folder / "clip" / f"{t}.bmp"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (64, 48), level + t).save(path)
            os.utime(path, (10**9, 10**9))
    assert segment.main(options([tmp_path / "a/clip"])) == 0
    assert segment.main(options([tmp_path / "b/clip"])) == 1
    assert "has results of another version" in summary(tmp_path / "out")["clip"]["reason"]
    assert segment.main(options([tmp_path / "a/clip"])) == 0
    assert states(tmp_path / "out") == {"clip": "skipped"}
    first, last, other = (tmp_path / "a/clip" / name for name in ("0.bmp", "2.bmp", "x"))
    os.utime(last, (10**9 - 1, 10**9 - 1))
    shutil.rmtree(tmp_path / "out")
    assert segment.main(options([tmp_path / "a/clip"])) == 0
    for old, new in ((first, other), (last, first), (other, last)):
        old.rename(new)
    assert segment.main(options([tmp_path / "a/clip"])) == 1  # its frames are in another order


def test_what_is_finished_outlives_an_interrupt(clips, options, tmp_path, monkeypatch, capsys):
    def impatient(outcomes, **_):
        for count, outcome in enumerate(outcomes):
            if count == 4:
                raise KeyboardInterrupt
            yield outcome

    out = tmp_path / "out"
    with monkeypatch.context() as patched:
        patched.setattr(segment, "tqdm", impatient)
        assert segment.main(options([clips], "--workers", "2")) == 130
    assert multiprocessing.active_children() == []
    finished = [name for name, state in states(out).items() if state == "done"]
    assert {path.parent.relative_to(out).as_posix() for path in out.rglob("video.json")} == {
        *finished
    }
    assert 2 <= len(finished) < 10
    assert not (out / ".partial").exists()
    before = files(out)
    assert segment.main(options([clips], "--workers", "2")) == 1
    assert before.items() <= files(out).items()
    found = sorted(states(out).values())
    assert found.count("failed") == 2
    assert found.count("done") + found.count("skipped") == 10
    assert len(files(out)) == 2 * 10


@dataclass
class Lethal:
    """Instead of a ``SegmentTask``: some videos kill the process that works on them."""

    kills: dict[str, int]  # how often, by the video's name
    folder: Path

    def load(self, *opts):
        def work(video):
            with (self.folder / video.name).open("a") as file:
                print(os.getpid(), *opts, file=file)
            if len(self.tries(video.name)) <= self.kills.get(video.name, 0):
                os.kill(os.getpid(), signal.SIGKILL)
            return Outcome(video.name, "done")

        return work

    def tries(self, name):
        """The processes that have worked on a video."""
        return (self.folder / name).read_text().splitlines()


@pytest.mark.parametrize("workers", [1, 3])
def test_a_killed_worker_costs_at_most_its_video(tmp_path, workers):
    videos = [NamedVideo(str(n), tmp_path) for n in range(8)]
    task = Lethal({"2": 1, "5": 9}, tmp_path)
    outcomes = {row.video: row for row in in_processes(task, videos, workers=workers)}
    assert {*outcomes} == {video.name for video in videos}
    failed = [row for row in outcomes.values() if row.state != "done"]
    assert [row[:2] for row in failed] == [("5", "failed")]
    assert failed[0].reason == ("its worker was killed twice; is the memory too small? (signal 9)")
    assert [len(set(task.tries(str(n)))) for n in range(8)] == [1, 1, 2, 1, 1, 2, 1, 1]
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_idle_or_told_to_end_leaves_nothing(tmp_path):
    videos = [NamedVideo(str(n), tmp_path) for n in range(6)]
    outcomes = in_processes(Lethal({}, tmp_path), videos, workers=2)
    next(outcomes)
    assert len(multiprocessing.active_children()) == 2
    outcomes.close()
    assert multiprocessing.active_children() == []


def test_each_process_has_a_gpu(tmp_path):
    videos = [NamedVideo(str(n), tmp_path) for n in range(6)]
    task = Lethal({}, tmp_path)
    assert len(list(in_processes(task, videos, workers=2, gpus=2))) == 6
    used = {tuple(task.tries(video.name)[0].split()) for video in videos}
    assert {device for _, _, device in used} == {"cuda:0", "cuda:1"}
    assert len(used) == 2


def test_user_errors_are_one_line_with_status_2(clips, options, tmp_path, capsys, monkeypatch):
    video = clips / "a/1.mp4"
    assert segment.main(options([video])) == 0
    (tmp_path / "other.pth").write_bytes((tmp_path / "model.pth").read_bytes() + b"\0")
    (tmp_path / "used").mkdir()
    (tmp_path / "used/mine.txt").touch()
    (tmp_path / "nothing").mkdir()
    torch.save({"model": {"a": torch.zeros(1)}}, tmp_path / "wrong.pth")
    monkeypatch.setitem(sys.modules, "ray", None)
    capsys.readouterr()
    old = json.loads((tmp_path / "out/settings.json").read_text())
    for name, change in (("older", {"simplevtr": "0.0.9"}), ("named", {"classes": "cats"})):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.json").write_text(json.dumps(old | change))
    cases = (
        (options([video], output="older"), "simplevtr was 0.0.9, now it is 0.1.0; choose another"),
        (options([video], output="named"), "classes was cats, now it is "),
        (options([video], weights=tmp_path / "other.pth"), "SHA-256 of MODEL.WEIGHTS was "),
        (options([video], "--opts", "TEST.WINDOW", "8"), "TEST.WINDOW was 4, now it is 8; choose"),
        (options([video], "--score-threshold", "0.5"), "TEST.SCORE_THRESHOLD was "),
        (options([video], "--opts", "TEST.LENGTH_POWER", "0.5"), "TEST.LENGTH_POWER was "),
        (options([video], output="used"), "used exists and was not made by this command"),
        (options([video], output="model.pth"), "model.pth exists and was not made by"),
        (options([tmp_path / "no.mp4"]), "no.mp4: no such file"),
        (options([""]), "the name of a file or folder is empty"),
        (options([tmp_path / "*.avi"]), "*.avi: no file matches this pattern"),
        (options(["xy://me:secret@host/*.mp4?key"]), "xy://***@host/*.mp4?***: Protocol not known"),
        (options([f"file://{tmp_path}/no.mp4"]), "/no.mp4: no video is there"),
        (options([tmp_path / "nothing"]), "nothing: no videos and no frames in this folder"),
        (options([video], weights=tmp_path / "no.pth"), "no.pth does not exist"),
        (options([video], weights=tmp_path / "wrong.pth", output="new"), "wrong.pth"),
        (options([video], "--mots", "--opts", "MODEL.SIMPLEVTR.NUM_CLASSES", "80"), "--mots: MOTS"),
        (options([video], "--ray", "local"), "pip install 'ray[data]==2.60.0'"),
    )  # fmt: skip
    for arguments, message in cases:
        assert segment.main(arguments) == 2, message
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1
    assert "ray[data]==2.60.0" in (ROOT / "pyproject.toml").read_text()
    assert segment.main(options([video], output="new")) == 0  # not held by the wrong weights
    assert segment.main(options([video], "--opts", "TEST.AREA_LIMITS", "[9, 99]")) == 0


def test_remote_videos_are_copied_and_known_again(clips, options, tmp_path, capsys):
    archive = shutil.make_archive(str(tmp_path / "clips"), "zip", clips)
    found, expected = tmp_path / "zip", tmp_path / "here"
    assert segment.main(options([clips / "a"], output="here")) == 1  # one is broken
    assert segment.main(options([f"zip://a::file://{archive}"], output="zip")) == 1
    assert states(found) == states(expected)
    assert "not a video or image" in summary(found)["a/broken.mp4"]["reason"]
    for name in ("a/1.mp4", "a/2.mp4", "a/10.mp4"):
        results = [place / name / "results.json" for place in (found, expected)]
        assert results[0].read_bytes() == results[1].read_bytes()
    assert not (found / ".partial").exists()

    files = options([f"file://{clips}/a/[12].mp4"])
    assert segment.main(files) == 0
    os.utime(clips / "a/1.mp4", (1, 1))
    assert segment.main(files) == 1
    assert states(tmp_path / "out") == {"1.mp4": "failed", "2.mp4": "skipped"}
    assert "has results of another version of it" in capsys.readouterr().err


def test_results_never_lie_in_those_of_others(options, tmp_path, capsys):
    frames_in(tmp_path / "in/a")
    frames_in(tmp_path / "in/a/mots")
    assert segment.main(options([tmp_path / "in/a", tmp_path / "in/a/mots"], "--mots")) == 2
    assert "in/a/mots: its results would lie in those of" in capsys.readouterr().err
    frames_in(tmp_path / "in/.partial")
    assert segment.main(options([tmp_path / "in/.partial"])) == 2
    assert "results cannot be called .partial" in capsys.readouterr().err


def test_a_second_run_waits_for_the_first(clips, options, tmp_path, monkeypatch, capsys):
    def nested(outcomes, **_):
        assert segment.main(options([clips / "b"])) == 2
        return outcomes

    monkeypatch.setattr(segment, "tqdm", nested)
    assert segment.main(options([clips / "a/1.mp4"])) == 0
    assert "out is in use by process" in capsys.readouterr().err


def names(*inputs, **more):
    return [video.name for video in find_videos(list(map(str, inputs)), **more)]


def test_remote_videos_are_found_and_named(clips):
    system = fsspec.filesystem("memory")
    for name in ("x/1.mp4", "x/2.MOV", "x/notes.txt", "x/.cache/3.mp4", "x/y/4.mp4", "overlay.mp4"):
        system.pipe(f"/bucket/{name}", b"video")
    assert names("memory://bucket/x") == ["x/1.mp4", "x/2.MOV", "x/y/4.mp4"]
    assert names("memory://bucket/x/*.mp4", "memory://bucket/overlay.mp4") == [
        "overlay.mp4", "x/1.mp4",
    ]  # fmt: skip
    assert names("memory://bucket/**/4.mp4", clips / "a/1.mp4")[0].endswith("bucket/x/y/4.mp4")
    file = RemoteFile("s3://", "bucket/videos/1.mp4")
    assert str(file.place) == "/bucket/videos/1.mp4"
    file = RemoteFile("https://", "https://me:secret@host:80/1.mp4?key=secret")
    assert str(file.place) == "/host:80/1.mp4"
    system.pipe("/bucket/../up.mp4", b"video")
    with pytest.raises(ValueError, match=r"a path there has '\.\.' in it"):
        names("memory://bucket/*/*.mp4")


def test_files_of_archives_are_told_apart_by_their_content(tmp_path):
    found = []
    for content in (b"one", b"two", b"two"):  # archives have no times that would differ
        with zipfile.ZipFile(tmp_path / "videos.zip", "w") as archive:
            archive.writestr(zipfile.ZipInfo("a.y4m"), content)
        address = f"zip://*.y4m::file://{tmp_path}/videos.zip"
        found += [video.remote.version() for video in find_videos([address])]
    assert found[0] != found[1] == found[2]


def test_addresses_that_differ_in_their_query_have_one_name(monkeypatch):
    def find(address, _):
        return PurePosixPath("/a"), [RemoteFile("https://", address)]

    monkeypatch.setattr(video_list, "find_remote", find)
    assert names("https://a/get?id=1", "https://a/get?id=1") == ["get"]
    with pytest.raises(ValueError, match=r"^https://a/get\?\*\*\*: another address has this name"):
        names("https://a/get?id=1", "https://a/get?id=2")


def test_errors_of_file_systems_hold_no_secrets(monkeypatch):
    def refuse(_):
        raise OSError("403, url='https://me:secret@host/1.mp4?key=secret'")

    monkeypatch.setattr(remote, "url_to_fs", refuse)
    with pytest.raises(OSError, match=r"^s3://b/x: 403, url='https://\*\*\*@host/1.mp4\?\*\*\*'$"):
        names("s3://b/x")


def test_videos_are_found_and_named_by_their_inputs(clips, monkeypatch):
    assert names(clips / "a") == ["a/1.mp4", "a/2.mp4", "a/10.mp4", "a/broken.mp4"]
    assert names(clips / "a/1.mp4", clips / "a/1.mp4") == ["1.mp4"]
    assert names(clips / "a/1.mp4", clips / "b/1.mp4") == ["a/1.mp4", "b/1.mp4"]
    assert names(f"{clips}/[b]*/1.mp4") == ["b/1.mp4"]  # as if there were others
    assert names(f"{clips}/*/*/1.mp4", f"{clips}/a/*1.mp4") == ["a/1.mp4", "b/c/1.mp4"]
    monkeypatch.chdir(clips)
    for pattern in ("**", "*"):
        assert len(names(pattern)) == 12
    assert names("frames", "./a/../a/2.mp4") == ["a/2.mp4", "frames"]
    (clips / "a/[1].mp4").write_bytes((clips / "a/1.mp4").read_bytes())
    assert names("a/[1].mp4") == ["[1].mp4"]


def test_hidden_files_links_and_results_are_no_inputs(clips):
    (clips / "a/notes.txt").touch()
    (clips / "a/._1.mp4").touch()
    (clips / "a/back").symlink_to(clips, target_is_directory=True)
    (clips / "out/x.mp4").mkdir(parents=True)
    (clips / "out/x.mp4/overlay.mp4").touch()
    assert len(names(clips, outside=clips / "out")) == 12
    assert len(names(f"{clips}/[ao]*/*", outside=clips / "out")) > 0
    results = clips / "earlier/a/1.mp4"  # of another run
    (results / "mots").mkdir(parents=True)
    for name in ("results.json", "video.json", "overlay.mp4", "mots/000000.png"):
        (results / name).touch()
    assert len(names(clips, outside=clips / "out")) == 12
    assert names(f"{clips}/**/1.mp4") == ["a/1.mp4", "b/1.mp4", "b/c/1.mp4"]
    assert names(f"{clips}/[be]*/**/1.mp4") == ["b/1.mp4", "b/c/1.mp4"]
    with pytest.raises(FileNotFoundError, match="no file matches"):
        names(f"{clips}/earlier/*/*/*.mp4")
    assert names(results / "overlay.mp4") == ["overlay.mp4"]  # it is named itself
    (clips / "a/thumbnail.jpg").touch()
    with pytest.raises(ValueError, match="a: has both videos .* and images .thumbnail.jpg."):
        names(clips)
    with pytest.raises(ValueError, match="0.png is a single picture; name the folder"):
        names(clips / "frames/0.png")


def test_a_ray_cluster_does_the_same(clips, options, tmp_path):
    pytest.importorskip("ray")
    assert segment.main(options([clips], output="plain")) == 1
    assert segment.main(options([clips], "--ray", "local")) == 1
    own, other = summary(tmp_path / "out"), summary(tmp_path / "plain")
    for name, row in own.items():
        assert row | {"seconds": ""} == other[name] | {"seconds": ""}
    assert segment.main(options([clips / "a/1.mp4"], "--ray", "local", output="wrong")) == 0


def test_the_benchmark_compares_with_a_loop(options, tmp_path, capsys):
    options([])
    chosen = {"config-file": tmp_path / "config.yaml", "videos": 2, "frames": 2, "rounds": 1}
    words = [str(word) for name, value in chosen.items() for word in (f"--{name}", value)]
    weights = ["MODEL.WEIGHTS", str(tmp_path / "model.pth")]
    assert many_videos.main([*weights, *words, "--workers", "1"]) == 0
    ways = [line.split("|")[1].strip() for line in capsys.readouterr().out.splitlines()[2:]]
    assert ways == ["loop", "workers: 1"]
