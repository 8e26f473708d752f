import json
import subprocess
import sys
import zipfile
from pathlib import Path

from tools import evaluate

import pytest
from track_samples import EXPECTED, annotation, box, data_file, ground_truth, read

TOOL = Path(__file__).parents[1] / "tools" / "evaluate.py"
GT, RESULTS = data_file("4", "gt"), data_file("4", "dt")


@pytest.fixture
def run(tmp_path, capsys):
    """Runs the tool's main; gives the exit status, standard output and standard error."""

    def call(*more, gt=GT, results=RESULTS):
        options = ["--gt", gt, "--results", results, "--output", tmp_path / "scores.json", *more]
        status = evaluate.main([str(option) for option in options])
        return status, *capsys.readouterr()

    return call


def check_refused(done, *words):
    status, out, err = done
    assert status == 2
    assert out == ""
    assert err.startswith("evaluate.py: error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


@pytest.mark.parametrize("kind", ["json", "json.gz", "zip"])
def test_scores_every_kind_of_file(kind, run, tmp_path):
    results = RESULTS
    if kind != "json.gz":
        content = json.dumps(read(results))
        results = tmp_path / f"mine.{kind}"
        if kind == "json":
            results.write_text(content)
        else:
            with zipfile.ZipFile(results, "w") as archive:
                archive.writestr("results.json", content)
    status, out, err = run(results=results)
    assert (status, err) == (0, "")
    assert "24.030" in out
    assert "c4" in out
    assert "c5" not in out  # predicted, but without ground truth
    scores = json.loads((tmp_path / "scores.json").read_text())
    by_name = scores.pop("per_category")
    fractions = [-1 if value is None else value / 100 for value in scores.values()]
    assert fractions == pytest.approx(EXPECTED["4"]["stats"], rel=0, abs=1e-9)
    assert by_name["c1"]["AP"] == pytest.approx(100 * EXPECTED["4"]["per_category"][0]["AP"])
    assert by_name["c5"]["AP50"] is None


def test_errors(run, tmp_path):
    status, out, err = run("--errors")
    assert (status, err) == (0, "")
    assert "| kind of error" in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    errors = scores["errors"]
    assert errors["AP50"] == pytest.approx(scores["AP50"])
    assert set(errors["gains"]) == set(errors["counts"]) > {"localisation", "id_switch"}
    assert sum(errors["counts"].values()) > 0


def test_subsets(run, tmp_path):
    status, out, err = run("--subsets")
    assert (status, err) == (0, "")
    assert "| occlusion" in out
    subsets = json.loads((tmp_path / "scores.json").read_text())["subsets"]
    assert list(subsets) == ["length", "motion", "occlusion"]
    status, out, _ = run("--length-limits", 1, 2, "--overwrite")
    assert status == 0
    assert "above 2" in out
    stated = json.loads((tmp_path / "scores.json").read_text())["subsets"]
    assert stated["length"]["limits"] == [1, 2]
    assert stated["motion"] == subsets["motion"]
    check_refused(run("--motion-limits", 2, 1, "--overwrite"), "motion limits [2.0, 1.0]")


def test_a_malformed_entry_is_named_by_its_index(run, tmp_path):
    path = tmp_path / "mine.json"
    for key, value in (("score", None), ("video_id", 999), ("segmentations", [])):
        results = read(RESULTS)
        results[3][key] = value
        path.write_text(json.dumps(results))
        check_refused(run(results=path), "mine.json", "entries[3]", key)
    assert not (tmp_path / "scores.json").exists()


def test_existing_output_is_kept_unless_told_otherwise(run, tmp_path):
    output = tmp_path / "scores.json"
    output.write_text("precious")
    check_refused(run(), "scores.json", "--overwrite")
    assert output.read_text() == "precious"
    assert run("--overwrite")[0] == 0
    assert json.loads(output.read_text())["AP"] == pytest.approx(24.0295715)


def test_bad_results(run, tmp_path):
    check_refused(run(results=data_file("6", "dt")), "case6_dt", "entries[0]")
    assert not (tmp_path / "scores.json").exists()


def test_files_that_do_not_exist(run, tmp_path):
    check_refused(run(results=tmp_path / "none.json"), "none.json")
    check_refused(run(gt=tmp_path / "none.json"), "none.json")


def test_ground_truth_without_annotations(run, tmp_path):
    gt = tmp_path / "valid.json"
    gt.write_text(json.dumps(ground_truth(None)))
    check_refused(run(gt=gt), "valid.json", "no annotations")


def test_bad_ground_truth(run, tmp_path):
    gt = tmp_path / "valid.json"
    gt.write_text(json.dumps(ground_truth([annotation(1, [box(0, 0, 2, 2)])])))
    check_refused(run(gt=gt), "valid.json", "annotations[0]")


def test_runs_as_a_script_from_anywhere(tmp_path):
    command = [
        sys.executable,
        TOOL,
        "--gt",
        GT,
        "--results",
        "none.json",
        "--output",
        "scores.json",
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr.endswith("evaluate.py: error: none.json: no such file\n")
    assert "Traceback" not in done.stderr
