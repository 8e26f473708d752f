import hashlib
import json
import random

from simplevtr.commands import split_dataset
from simplevtr.toolbox.splitting import names_digest

import pytest
from conftest import check_refused
from json_files import save_json
from ytvis_folder import make_content as annotated


def make_content(videos=40):
    """Videos of 3 to 5 frames; by turns of a cat and of a dog, every fifth of both."""
    rng = random.Random(videos)
    lengths = [rng.randint(3, 5) for _ in range(videos)]
    content = annotated([1 + (index % 5 == 0) for index in range(videos)], lengths)
    for track in content["annotations"]:
        track["category_id"] = (track["video_id"] + track["category_id"]) % 2 + 1
    return {"info": {"description": "test"}, "licenses": [{"id": 1}], **content}


@pytest.fixture
def run(tmp_path, call):
    """Runs the command; returns the exit status, standard output and standard error."""

    def run(*options, content=None, source=None, output=None):
        if source is None:
            source = save_json(
                tmp_path / "all.json", make_content() if content is None else content
            )
        return call(split_dataset, source, "--output", output or tmp_path / "out", *options)

    return run


def read(tmp_path, *names):
    return [json.loads((tmp_path / "out" / f"{name}.json").read_text()) for name in names]


def folders(part):
    return {video["file_names"][0].split("/")[0] for video in part["videos"]}


def test_every_video_and_annotation_is_on_one_side(run, tmp_path):
    status, out, err = run("--val", "0.25", "--seed", 3)
    assert (status, err) == (0, "")
    source, (train, val) = make_content(), read(tmp_path, "train", "val")
    assert [len(part["videos"]) for part in (train, val)] == [30, 10]
    for key in ("videos", "annotations"):
        both = sorted(train[key] + val[key], key=lambda entry: entry["id"])
        assert both == source[key]
    for part in (train, val):
        ids = {video["id"] for video in part["videos"]}
        assert {annotation["video_id"] for annotation in part["annotations"]} == ids
        assert part["categories"] == source["categories"]
        assert part["licenses"] == source["licenses"]
    cats = {a["video_id"] for a in val["annotations"] if a["category_id"] == 1}
    row = next(line for line in out.splitlines() if line.startswith("| cat "))
    assert row.replace("|", " ").split() == ["cat", "24", "18", "6", "25.0", "%"]
    assert len(cats) == 6
    assert f"wrote {tmp_path / 'out' / 'val.json'}" in out


def test_the_recipe_is_written(run, tmp_path):
    run("--val-videos", 4, "--seed", 11)
    train, val = read(tmp_path, "train", "val")
    recipe = val["info"]["split"]
    data = (tmp_path / "all.json").read_bytes()
    assert recipe["source"] == "all.json"
    assert recipe["source_sha256"] == hashlib.sha256(data).hexdigest()
    assert (recipe["seed"], recipe["val_videos"], recipe["part"]) == (11, 4, "val")
    assert recipe["val_names_sha256"] == names_digest(folders(val))
    assert recipe["tool"].startswith("simplevtr ")
    assert val["info"]["description"] == "test"
    assert train["info"]["split"] == {**recipe, "part": "train"}


def test_numbers_that_json_does_not_have_are_refused_before_a_file_is_written(run, tmp_path):
    for key in ("videos", "annotations"):
        content = make_content()
        content[key][-1]["attributes"] = [{"mine": float("nan")}]
        status, out, err = run(content=content)
        assert (status, out) == (2, "")
        assert "all.json: holds a number that is NaN or infinite" in err
        assert not (tmp_path / "out").exists()


def test_parts_of_one_source_stay_together(run, tmp_path, caplog):
    content = make_content()
    for index, video in enumerate(content["videos"]):
        source = index // 4
        video["file_names"] = [f"s{source}_{index}/{t}.jpg" for t in range(video["length"])]
    status, out, _ = run("--group-by", "^(s[0-9]+)_", "--val-videos", 8, content=content)
    assert status == 0
    assert "10 groups" in out
    train, val = (
        {name.split("_")[0] for name in folders(p)} for p in read(tmp_path, "train", "val")
    )
    assert (len(train), len(val), train & val) == (8, 2, set())
    check_refused(run("--group-by", "^x", "--overwrite", content=content), "'^x' finds nothing in")
    run("--group-by", "^s[0-9]+", "--val-videos", 6, "--overwrite", content=content)
    assert "do not add up to 6 videos; took 4" in caplog.text


def test_videos_can_be_left_out(run, tmp_path):
    names = tmp_path / "names.txt"
    names.write_text("clip3\n\n clip17 \n", encoding="utf-8-sig")  # as editors on Windows do
    status, out, _ = run("--leave-out-names", names, "--val-videos", 5)
    assert status == 0
    assert "2 videos left out" in out
    train, val = read(tmp_path, "train", "val")
    assert len(folders(train) | folders(val)) == 38
    assert not {"clip3", "clip17"} & (folders(train) | folders(val))
    assert val["info"]["split"]["left_out_videos"] == 2
    names.write_text("clip3\nclip99\n")
    check_refused(run("--leave-out-names", names, "--overwrite"), "'clip99'", "such as 'clip1'")
    names.write_bytes(b"\xff\xfe")
    check_refused(run("--leave-out-names", names, "--overwrite"), "names.txt", "UTF-8")
    names.write_text("\n".join(f"clip{index}" for index in range(1, 40)))
    check_refused(run("--leave-out-names", names, "--overwrite"), "leaves 1 videos")


def test_nothing_is_overwritten(run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "val.json").write_text("precious")
    check_refused(run(), "val.json exists already")
    assert (tmp_path / "out" / "val.json").read_text() == "precious"
    assert not (tmp_path / "out" / "train.json").exists()
    check_refused(run("--overwrite", "--names", "all", "val", output=tmp_path), "an input of this")
    assert run("--overwrite")[0] == 0


@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ("../a", "b"), ("b", ""), ("a", "..")])
def test_names_of_the_files(names, run):
    check_refused(run("--names", *names), "--names")


def test_what_was_refused_leaves_no_file(run, tmp_path):
    check_refused(run("--val-videos", 40), "40 of 40 videos")
    check_refused(run(source=tmp_path / "none.json"), "none.json: no such file")
    check_refused(run(content={"images": []}), "all.json", "COCO")
    assert not (tmp_path / "out").exists()


def test_frames_that_both_sides_would_have(run):
    content = make_content(videos=10)
    for video in content["videos"]:
        video["file_names"][-1] = "./same//frame.jpg" if video["id"] % 2 else "same/frame.jpg"
    check_refused(run(content=content), "same/frame.jpg", "--group-by")


def test_clips_of_one_folder_on_both_sides_are_told(run, caplog):
    content = make_content(videos=10)
    for video in content["videos"]:
        clip, source = divmod(video["id"], 5)
        video["file_names"] = [f"v{source}/{clip}_{t}.jpg" for t in range(video["length"])]
    assert run("--val", "0.5", content=content)[0] == 0
    assert "such as v0, have frames on both sides; if these are parts of one video" in caplog.text
    caplog.clear()
    assert run("--val", "0.4", "--group-by", "^.*/", "--overwrite", content=content)[0] == 0
    assert "on both sides" not in caplog.text


def test_warnings(run, tmp_path, caplog):
    content = make_content()
    content["categories"] += [{"id": 3, "name": "rare|one"}, {"id": 4, "name": "never"}]
    content["annotations"][4]["category_id"] = 3
    status, out, _ = run(content=content)
    assert status == 0
    assert "have no video: never" in caplog.text
    assert "have one video only, so one side has none: rare/one" in caplog.text
    assert "| rare/one " in out
    (val,) = read(tmp_path, "val")
    assert all(annotation["category_id"] != 3 for annotation in val["annotations"])
    _, out, _ = run("--overwrite", content={**content, "annotations": None})
    assert "split by length alone" in caplog.text
    assert read(tmp_path, "train")[0]["annotations"] is None
    assert "(no annotation)" in out


@pytest.mark.parametrize(
    ("option", "value"), [("--val", "0"), ("--val", "x"), ("--val", "1/0"), ("--group-by", "(")]
)
def test_options_that_make_no_sense(option, value, run, capsys):
    with pytest.raises(SystemExit):
        run(option, value)
    assert f"argument {option}: " in capsys.readouterr().err
