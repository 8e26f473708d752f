"""tools/evaluate.py and tools/eval_seeds.py, which score files."""

import json
from functools import partial
from pathlib import Path

from simplevtr.commands import eval_seeds, evaluate

import pytest
from conftest import check_refused, table_rows
from json_files import save_json
from track_samples import EXPECTED, annotation, box, data_file, ground_truth, read

GT, RESULTS = data_file("4", "gt"), data_file("4", "dt")


@pytest.fixture
def score(call, tmp_path):
    """Runs evaluate.py into scores.json."""

    def score(*more, gt=GT, results=RESULTS):
        files = ["--gt", gt, "--results", results, "--output", tmp_path / "scores.json"]
        return call(evaluate, *files, *more)

    return score


@pytest.fixture
def seeds(call):
    """Runs eval_seeds.py."""
    return partial(call, eval_seeds)


@pytest.fixture
def write(tmp_path):
    """Writes content as JSON; returns the path."""

    return lambda name, content: Path(save_json(tmp_path / name, content))


def test_scores_are_those_of_the_official_code(score, tmp_path):
    status, out, err = score()
    assert (status, err) == (0, "")
    assert "24.030" in out
    assert "c4" in out
    assert "c5" not in out  # predicted, but without ground truth
    scores = json.loads((tmp_path / "scores.json").read_text())
    by_name, scored_on = scores.pop("per_category"), scores.pop("scored_on")
    assert scored_on["tracks"] == len(read(GT)["annotations"])
    assert len(scores.pop("results_sha256")) == len(scored_on["sha256"]) == 64
    fractions = [-1 if value is None else value / 100 for value in scores.values()]
    assert fractions == pytest.approx(EXPECTED["4"]["stats"], rel=0, abs=1e-9)
    assert by_name["c1"]["AP"] == pytest.approx(100 * EXPECTED["4"]["per_category"][0]["AP"])
    assert by_name["c5"]["AP50"] is None


def test_errors(score, tmp_path):
    status, out, err = score("--errors")
    assert (status, err) == (0, "")
    assert "| kind of error" in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    errors = scores["errors"]
    assert errors["AP50"] == pytest.approx(scores["AP50"])
    assert set(errors["gains"]) == set(errors["counts"]) > {"localisation", "id_switch"}
    assert sum(errors["counts"].values()) > 0


def test_subsets(score, tmp_path):
    status, out, err = score("--subsets")
    assert (status, err) == (0, "")
    assert "| occlusion" in out
    subsets = json.loads((tmp_path / "scores.json").read_text())["subsets"]
    assert list(subsets) == ["length", "motion", "occlusion"]
    status, out, _ = score("--length-limits", 1, 2, "--overwrite")
    assert status == 0
    assert "above 2" in out
    stated = json.loads((tmp_path / "scores.json").read_text())["subsets"]
    assert stated["length"]["limits"] == [1, 2]
    assert stated["motion"] == subsets["motion"]
    check_refused(score("--motion-limits", 2, 1, "--overwrite"), "motion limits [2.0, 1.0]")


def test_bad_entries_are_named_by_their_index(score, write, tmp_path):
    for key, value in (("score", None), ("video_id", 999), ("segmentations", [])):
        results = read(RESULTS)
        results[3][key] = value
        mine = write("mine.json", results)
        check_refused(score(results=mine), "mine.json", "entries[3]", key)
    check_refused(score(results=data_file("6", "dt")), "case6_dt", "entries[0]")
    gt = write("gt.json", ground_truth([annotation(1, [box(0, 0, 2, 2)])]))
    check_refused(score(gt=gt), "gt.json", "annotations[0]")
    assert not (tmp_path / "scores.json").exists()


def test_ground_truth_without_annotations(score, write):
    gt = write("valid.json", ground_truth(None))
    check_refused(score(gt=gt), "valid.json", "no annotations")


def test_existing_output_is_kept_unless_told_otherwise(score, seeds, write, tmp_path):
    output = tmp_path / "scores.json"
    output.write_text("precious")
    own = write("own.json", scores(10))
    table = lambda *more: seeds(own, "--output", output, *more)  # noqa: E731
    for run in (score, table):
        check_refused(run(), "scores.json", "--overwrite")
    assert output.read_text() == "precious"
    assert score("--overwrite")[0] == 0
    assert json.loads(output.read_text())["AP"] == pytest.approx(24.0295715)
    status, printed, _ = table("--overwrite")
    assert status == 0
    assert output.read_text(encoding="utf-8") == printed


def test_what_is_read_is_never_replaced(score, seeds, tmp_path):
    for name, path in (("gt", GT), ("results", RESULTS)):
        content = path.read_bytes()
        (tmp_path / name).write_bytes(content)
        own = {name: tmp_path / name}
        again = "--overwrite", "--output", tmp_path / name
        check_refused(score(*again, **own), f"{name} is an input of this command")
        check_refused(seeds(path, own[name], *again), f"{name} is an input of this command")
        assert (tmp_path / name).read_bytes() == content


def test_what_is_no_place_for_a_file_is_refused_before_anything_is_read(score, seeds, tmp_path):
    (tmp_path / "file").touch()
    for place, message in (
        (tmp_path, "is a folder"),
        (tmp_path / "file/x", "file is not a folder"),
    ):
        again = "--overwrite", "--output", place
        for done in (score(*again, gt="none.json"), seeds("none.json", *again)):
            check_refused(done, f"{place} ", message)


def test_files_that_do_not_exist(score, seeds, tmp_path):
    none = tmp_path / "none.json"
    for done in (score(results=none), score(gt=none), seeds(none)):
        check_refused(done, "none.json")


SCORED = {"scored_on": {"videos": 2, "tracks": 3, "area_limits": [16384, 65536]}}


def scores(ap, **more):
    """What evaluate.py writes, with the same number everywhere."""
    return {**dict.fromkeys(eval_seeds.METRICS, ap), "per_category": {"cat": {"AP": ap}}, **more}


def test_mean_and_sample_standard_deviation(seeds, write):
    files = [write(f"{i}.json", scores(ap, APl=None)) for i, ap in enumerate((10, 20, 60))]
    status, out, err = seeds(*files)
    assert (status, err) == (0, "")
    rows = table_rows(out)
    assert rows[0] == ["score", "mean ± std (3)", "seed 1", "seed 2", "seed 3"]
    # Squares of the distances from 30: 400 + 100 + 900, by n - 1 = 2.
    assert rows[2] == ["AP", "30.00 ± 26.46", "10.00", "20.00", "60.00"]
    assert ["APl", "-", "-", "-", "-"] in rows
    assert "cat" not in out.replace(str(files[0].parent), "")
    assert f"3. `{files[2]}`" in out
    rows = table_rows(seeds(*files[:2], "--per-category")[1])
    assert rows[-1] == ["AP of cat", "15.00 ± 7.07", "10.00", "20.00"]
    assert table_rows(seeds(files[0])[1])[2] == ["AP", "10.00 ± -", "10.00"]


def test_names_may_hold_halves_of_characters(seeds, write, tmp_path):
    own = scores(10) | {"per_category": {"c\ud800t": {"AP": 10}}}
    path = write("own.json", own).rename(tmp_path / "\udcff.json")
    output = tmp_path / "table.md"
    status, out, _ = seeds(path, "--per-category", "--output", output)
    assert status == 0
    assert output.read_text(encoding="utf-8") == out
    assert table_rows(out)[-1][0] == r"AP of c\ud800t"


def test_files_that_hold_no_scores(seeds, write):
    good = write("good.json", scores(10))
    check_refused(seeds(good, good), "good.json", "once only")
    again = good.with_name("again.json")
    again.hardlink_to(good)
    check_refused(seeds(good, again), "again.json", "once only")
    check_refused(seeds(RESULTS), "case4_dt", "scores are needed, as simplevtr evaluate writes")
    lacking = scores(10)
    del lacking["AP75"]
    bad = [("AP", ["str"]), ({"AP": 1}, ["AP50"]), (lacking, ["AP75"])]
    bad += [(scores(10, AR10=value), ["$.AR10"]) for value in ("12", 101, -1, True)]
    bad += [(scores(10, per_category={"cat": {}}), ["`AP`", "$.per_category"])]
    for content, words in bad:
        check_refused(seeds(write("bad.json", content)), "bad.json", *words)


def test_scores_on_different_ground_truth(seeds, write):
    good = write("good.json", scores(10))
    other = write("other.json", scores(10, per_category={"dog": {"AP": 1}}))
    check_refused(seeds(good, other), "other.json", "good.json", "cat, dog")
    other = write("other.json", scores(10, APl=None))
    check_refused(seeds(good, other), "other.json", "APl", "good.json")
    good, old = (write(f"{i}.json", scores(10, **more)) for i, more in enumerate((SCORED, {})))
    limits = {**SCORED["scored_on"], "area_limits": [175, 275]}
    other = write("other_limits.json", scores(10, scored_on=limits))
    assert seeds(good, old, write("third.json", scores(20, **SCORED)))[0] == 0
    check_refused(seeds(old, good, other), "other_limits.json", "175", str(good))


def test_seeds_are_of_other_results_and_of_one_ground_truth(score, seeds, write, tmp_path):
    def scored(name, **files):
        assert score(**files)[0] == 0
        return (tmp_path / "scores.json").rename(tmp_path / name)

    gt, found = read(GT), read(RESULTS)
    gt["annotations"].reverse()  # as another tool may write the same
    one, same = scored("one.json"), scored("same.json", gt=write("gt.json", gt))
    fewer = scored("fewer.json", results=write("fewer_tracks.json", found[1:]))
    assert seeds(one, fewer)[0] == 0
    check_refused(seeds(fewer, one, same), "same.json", "one.json", "once only")
    nothing = [scored(f"{i}.json", results=write("nothing.json", [])) for i in range(2)]
    assert seeds(fewer, *nothing)[0] == 0
    masks = next(a["segmentations"] for a in gt["annotations"])
    masks.insert(0, masks.pop())
    moved = scored("moved.json", gt=write("moved_gt.json", gt))
    check_refused(seeds(fewer, moved), "moved.json", "fewer.json", "scored on")
