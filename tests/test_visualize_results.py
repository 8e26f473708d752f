import json
from pathlib import Path

from simplevtr.commands import visualize_results as tool
from simplevtr.evaluation.scored_video import tracks_by_video
from simplevtr.formats.results import check_results
from simplevtr.formats.ytvis import check_ground_truth

import av
import numpy as np
from conftest import check_refused
from json_files import all_crowds, edit_json, save_json
from PIL import Image
from track_samples import annotation, box, ground_truth, result
from ytvis_folder import make_ytvis_folder


def write_results(path, folder, *, score=0.8):
    """Every annotation of the folder as a prediction, and one with a low score."""
    content = json.loads(Path(folder.json_file).read_text())
    results = [
        {
            "video_id": annotation["video_id"],
            "category_id": annotation["category_id"],
            "score": score,
            "segmentations": annotation["segmentations"],
        }
        for annotation in content["annotations"]
    ]
    return save_json(path, results)


def arguments(folder, output, *more):
    return ["--gt", folder.json_file, "--images", folder.image_root, "--output", str(output), *more]


def colourful(picture):
    return np.ptp(np.asarray(picture).astype(int), axis=-1) > 60


def test_sheets_of_ground_truth_alone(tmp_path, capsys):
    folder = make_ytvis_folder(tmp_path / "data", videos=2, frames=3, segmentation="polygon")
    output = tmp_path / "sheets"
    assert tool.main(arguments(folder, output, "--format", "sheet")) == 0
    assert "wrote 2 files" in capsys.readouterr().out
    assert sorted(p.name for p in output.iterdir()) == ["1.png", "2.png"]
    with Image.open(output / "1.png") as image:
        assert image.size == (3 * 240 + 2 * 4, 200)


def test_sheets_compare_predictions_with_ground_truth(tmp_path):
    folder = make_ytvis_folder(tmp_path / "data", videos=1, frames=12, tracks=1)
    # Frames without any colour of their own show what is drawn.
    for image in Path(folder.image_root).rglob("*.jpg"):
        Image.new("RGB", (64, 48), (90, 90, 90)).save(image)
    rows = {}
    for name, score in (("strong", 0.8), ("weak", 0.2)):
        results = write_results(tmp_path / f"{name}.json", folder, score=score)
        output = tmp_path / name
        more = ("--results", results, "--format", "sheet")
        assert tool.main(arguments(folder, output, *more)) == 0
        sheet = np.asarray(Image.open(output / "1.png"))
        assert sheet.shape == (2 * 200 + 4, 8 * 240 + 7 * 4, 3)
        rows[name] = colourful(sheet[:200]), colourful(sheet[204:])
    assert rows["strong"][0].any()
    assert not rows["weak"][0].any()  # below --score-threshold
    np.testing.assert_array_equal(rows["strong"][1], rows["weak"][1])
    assert rows["weak"][1].any()


def test_a_match_has_the_number_of_its_true_track():
    left, right, low = box(0, 0, 3, 3), box(5, 0, 8, 3), box(0, 4, 8, 6)
    truth = check_ground_truth(
        ground_truth([annotation(7, [left] * 3), annotation(12, [right] * 3, category_id=2)])
    )
    masks = (low, right, left, left)  # the best score first; a match in another category
    content = [result([mask] * 3, score=1 - 0.1 * i) for i, mask in enumerate(masks)]
    (tracks, nothing) = tracks_by_video(truth, check_results(content, truth))
    assert tool.predicted_numbers(tracks) == [13, 12, 7, 14]
    assert tool.predicted_numbers(nothing) == []


def test_videos_side_by_side(tmp_path):
    folder = make_ytvis_folder(tmp_path / "data", videos=3, frames=[5, 1, 2])
    results = write_results(tmp_path / "results.json", folder)
    more = ("--results", results, "--videos", "2", "1", "--fps", "6")
    assert tool.main(arguments(folder, tmp_path / "out", *more)) == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["1.mp4", "2.mp4"]
    for name, frames in (("1.mp4", 5), ("2.mp4", 1)):
        with av.open(str(tmp_path / "out" / name)) as container:
            stream = container.streams.video[0]
            assert (stream.average_rate, stream.pix_fmt) == (6, "yuv420p")
            assert (stream.height, stream.width) == (240 + 20, 2 * 320 + 4)
            assert len(list(container.decode(stream))) == frames


def test_predictions_over_a_set_without_annotations(tmp_path, capsys):
    annotated = make_ytvis_folder(tmp_path / "data", videos=1, frames=2)
    results = write_results(tmp_path / "results.json", annotated)
    folder = make_ytvis_folder(tmp_path / "data", videos=1, frames=2, annotations=False)
    more = ("--format", "sheet", "--results", results)
    assert tool.main(arguments(folder, tmp_path / "out", *more)) == 0
    with Image.open(tmp_path / "out" / "1.png") as image:
        assert image.height == 200  # one row
    assert tool.main(arguments(folder, tmp_path / "none")) == 2
    assert "no annotations and no --results" in capsys.readouterr().err


def test_existing_pictures_are_refused_before_any_is_drawn(tmp_path, call):
    folder = make_ytvis_folder(tmp_path / "data", videos=2, frames=1)
    output = tmp_path / "out"
    output.mkdir()
    (output / "2.png").write_text("mine")
    command = arguments(folder, output, "--format", "sheet")
    check_refused(call(tool, *command), "2.png exists already")
    assert [p.name for p in output.iterdir()] == ["2.png"]
    assert (output / "2.png").read_text() == "mine"
    assert tool.main([*command, "--overwrite"]) == 0
    assert (output / "2.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_input_gives_one_line_and_status_2(tmp_path, call):
    folder = make_ytvis_folder(tmp_path / "data", videos=1, frames=2)
    bad = [{"video_id": 9, "category_id": 1, "score": 1, "segmentations": []}]
    bad = save_json(tmp_path / "bad.json", bad)
    Image.new("RGB", (10, 10)).save(Path(folder.image_root) / "video1" / "00001.jpg")
    crowds = edit_json(folder.json_file, all_crowds, tmp_path / "crowds.json")
    for more, message in (
        (("--results", str(tmp_path / "no.json")), "no.json: no such file"),
        (("--results", bad), "unknown video_id 9"),
        (("--videos", "5"), "no video 5"),
        (("--format", "sheet", "--fps", "5"), "--fps is of videos"),
        (("--score-threshold", "0.3"), "--score-threshold and --unknown-categories need --res"),
        (("--unknown-categories", "skip"), "--score-threshold and --unknown-categories need"),
        ((), "00001.jpg has 10x10 pixels"),
        (("--gt", crowds), "all 2 annotations are crowds"),
    ):
        check_refused(call(tool, *arguments(folder, tmp_path / "out", *more)), message)
    assert not list((tmp_path / "out").glob("1.mp4"))
