import copy

from simplevtr.commands import analyze_dataset, split_dataset
from simplevtr.visualization.plots import draw_counts

import pytest
from conftest import ROOT, check_refused, table_rows
from fuzzing import FUZZ, STEPS, mutate
from hypothesis import given
from json_files import all_crowds, edit_json, save_json
from PIL import Image
from ytvis_folder import make_content

SMALL = make_content([1, 1, 2, 3], [2, 9, 5, 2])


@pytest.fixture
def run(tmp_path, call):
    """Runs the command; returns the exit status, standard output and standard error."""

    def run(*options, content=SMALL, source=None):
        if source is None:
            source = save_json(tmp_path / "train.json", content)
        return call(analyze_dataset, source, *options)

    return run


def cells(text, first):
    """The cells of each table row whose first cell is this."""
    return [row[1:] for row in table_rows(text) if row[0] == first]


def test_counts_and_sizes(run):
    status, out, err = run("--coverage", "0.75")
    assert (status, err) == (0, "")
    assert out.splitlines()[0].startswith("# ")
    assert out.splitlines()[0].endswith("train.json")
    assert "4 videos, 18 frames, 7 instances, 2 categories." in out
    assert cells(out, "1")[0] == ["2", "50.00", "2", "50.00", "2", "28.57", "2", "28.57"]
    # The third instance of the last video is never visible, as it would come after the end.
    assert cells(out, "2")[:2] == [
        ["1", "25.00", "3", "75.00", "2", "28.57", "4", "57.14"],
        ["2", "50.00", "4", "100.00"],
    ]
    assert cells(out, "9") == [["1", "25.00", "1", "25.00", "9", "50.00", "9", "50.00"]]
    assert cells(out, "cat") == [["4", "100.00 %"]]
    assert cells(out, "a/dog") == [["2", "50.00 %"]]
    assert (
        "    MODEL.SIMPLEVTR.NUM_CLASSES 2 MODEL.SIMPLEVTR.NUM_QUERIES 2 "
        "INPUT.SAMPLING_FRAME_NUM 2 TEST.WINDOW 5\n" in out
    )
    assert "## Sizes that cover 75 % of the videos" in out
    assert ".png" not in out
    assert "With one frame a clip" not in out
    assert "With one frame a clip" in run(content=make_content([1, 1], [1, 5]))[1]
    assert "With one frame a clip" not in run(content=make_content([1, 1], [1, 1]))[1]


def test_videos_longer_than_a_window_are_told(run):
    _, out, _ = run(content=make_content([1, 1], [40, 100]))
    reason = "50.00 % of the videos fit into one window; longer ones take several, as in the paper"
    assert cells(out, "TEST.WINDOW") == [["64", reason]]
    reason = (
        "100.00 % of the videos fill a clip; shorter ones repeat frames; the paper takes no more"
    )
    assert cells(out, "INPUT.SAMPLING_FRAME_NUM") == [["16", reason]]


def test_the_config_line_is_one(run):
    from simplevtr import setup_cfg

    _, out, _ = run()
    line = next(line for line in out.splitlines() if line.startswith("    MODEL."))
    cfg = setup_cfg(str(ROOT / "configs/Base-SimpleVTR.yaml"), line.split())
    assert (cfg.MODEL.SIMPLEVTR.NUM_QUERIES, cfg.TEST.WINDOW) == (3, 9)


def test_folder(run, tmp_path):
    folder = tmp_path / "analysis"
    status, out, _ = run("--output", folder)
    assert status == 0
    assert (folder / "analysis.md").read_text() == out
    for name in ("categories", "instances", "frames"):
        assert f"]({name}.png)" in out
        with Image.open(folder / f"{name}.png") as image:
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20
    for path in folder.iterdir():
        path.unlink()
    (folder / "frames.png").write_text("precious")
    check_refused(run("--output", folder), "frames.png exists already")
    assert (folder / "frames.png").read_text() == "precious"
    assert not (folder / "analysis.md").exists()
    assert run("--output", folder, "--overwrite")[0] == 0


def test_without_annotations_frames_are_counted(run, tmp_path):
    status, out, _ = run("--output", tmp_path / "a", content={**SMALL, "annotations": None})
    assert status == 0
    assert "has no annotations" in out
    assert "NUM_QUERIES" not in out
    assert "TEST.WINDOW 9" in out
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"analysis.md", "frames.png"}
    status, _, err = run("--instance-bins", "3", content={**SMALL, "annotations": None})
    assert status == 2
    assert "--instance-bins: " in err


def test_videos_without_instances_have_a_row(run):
    _, out, _ = run(content=make_content([0, 2], [3, 3]))
    assert cells(out, "0")[0][:5] == ["1", "50.00", "1", "50.00", "0"]


def test_categories_are_sorted_by_their_videos_and_their_ids(run):
    content = make_content([1, 1, 0], [2, 2, 2])
    content["categories"] = [{"id": i, "name": f"name{i}"} for i in (4, 3, 2, 1)]
    content["annotations"][1]["category_id"] = 3
    _, out, _ = run(content=content)
    rows = [line.strip("| ").split()[0] for line in out.splitlines() if "| name" in line]
    assert rows == ["name1", "name3", "name2", "name4"]
    assert cells(out, "name4") == [["0", "0.00 %"]]


def test_the_lengths_of_videos_are_summed_up(run):
    out = run(content=make_content([0] * 4, [4, 1, 9, 2]))[1]
    assert "A video has 1 to 9 frames, 4.0 on average, median 2." in out


def test_wrong_files(run, tmp_path):
    check_refused(run(source=tmp_path / "none.json"), "none.json: no such file")
    check_refused(run(content={"images": []}), "train.json", "COCO")
    check_refused(run("--frame-bins", 4, 2), "must rise; got 4 2")
    source = edit_json(save_json(tmp_path / "all.json", SMALL), all_crowds)
    check_refused(run(source=source), "all 7 annotations are crowds")


@pytest.mark.parametrize("value", ["0", "1.01", "most", "nan"])
def test_coverage_is_a_share(value, run, capsys):
    with pytest.raises(SystemExit):
        run("--coverage", value)
    assert "argument --coverage: " in capsys.readouterr().err


def test_picture_shows_each_count():
    figure = draw_counts([("a$b_{$", 3), ("z\nz", 0), ("x" * 90, 7)], title="$", label="name")
    (axes,) = figure.axes
    assert [bar.get_height() for bar in axes.patches] == [3, 0, 7]
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names[:2] == ["a$b_{$", "z z"]
    assert len(names[2]) == 40
    figure.canvas.draw()


@FUZZ
@given(steps=STEPS)
def test_any_content_is_analyzed_and_split_or_refused(steps, tmp_path, capsys):
    content, val = copy.deepcopy(SMALL), tmp_path / "out/val.json"
    mutate(content, steps)
    val.unlink(missing_ok=True)
    path = save_json(tmp_path / "all.json", content)
    split = ["--output", str(val.parent), "--val-videos", "2", "--overwrite"]
    for command, options in ((analyze_dataset, []), (split_dataset, split)):
        status = command.main([path, *options])
        assert (status, capsys.readouterr().err.count("error: ")) in ((0, 0), (2, 1))
    assert val.exists() == (status == 0)
