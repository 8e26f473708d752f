import json

from tools import eval_seeds

import pytest
from track_samples import annotation, box, data_file, ground_truth, read, result

GT, RESULTS = data_file("4", "gt"), data_file("4", "dt")


@pytest.fixture
def run(capsys):
    """Runs the tool's main; gives the exit status, standard output and standard error."""

    def call(*options):
        status = eval_seeds.main([str(option) for option in options])
        return status, *capsys.readouterr()

    return call


def scores(ap, **more):
    """What tools/evaluate.py writes, with the same number everywhere."""
    names = [f"AP{kind}" for kind in ("", "50", "75", "s", "m", "l")]
    names += [f"AR{kind}" for kind in ("1", "10", "100", "s", "m", "l")]
    return {**dict.fromkeys(names, ap), "per_category": {"cat": {"AP": ap}}, **more}


@pytest.fixture
def write(tmp_path):
    """Writes content as JSON; gives the path."""

    def call(name, content):
        path = tmp_path / name
        path.write_text(json.dumps(content))
        return path

    return call


def cells(out):
    return [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in out.splitlines()
        if line.startswith("|")
    ]


def check_refused(done, *words):
    status, out, err = done
    assert (status, out) == (2, "")
    assert err.startswith("eval_seeds.py: error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err


def test_mean_and_sample_standard_deviation(run, write):
    files = [write(f"{i}.json", scores(ap, APl=None)) for i, ap in enumerate((10, 20, 60))]
    status, out, err = run(*files)
    assert (status, err) == (0, "")
    rows = cells(out)
    assert rows[0] == ["score", "mean ± std (3)", "seed 1", "seed 2", "seed 3"]
    # Squares of the distances from 30: 400 + 100 + 900, by n - 1 = 2.
    assert rows[2] == ["AP", "30.00 ± 26.46", "10.00", "20.00", "60.00"]
    assert ["APl", "-", "-", "-", "-"] in rows
    assert "cat" not in out.replace(str(files[0].parent), "")
    assert f"3. `{files[2]}`" in out


def test_per_category(run, write):
    files = [write("1.json", scores(10)), write("2.json", scores(20))]
    assert cells(run(*files, "--per-category")[1])[-1] == [
        "AP of cat",
        "15.00 ± 7.07",
        "10.00",
        "20.00",
    ]


def test_one_seed_has_no_deviation(run, write):
    assert cells(run(write("1.json", scores(10)))[1])[2] == ["AP", "10.00 ± -", "10.00"]


def test_results_are_scored_and_mix_with_scores(run, write):
    stored = scores(20, per_category={f"c{i}": {"AP": 20} for i in range(1, 6)})
    by_tool = run(RESULTS, "--gt", GT)
    assert by_tool[0] == 0
    shown = {row[0]: row[1] for row in cells(by_tool[1])}
    assert shown["AP"] == "24.03 ± -"
    missing = [name for name, value in shown.items() if value == "-"]
    stored.update(dict.fromkeys(missing))
    stored["per_category"]["c5"]["AP"] = None
    status, out, _ = run(RESULTS, write("2.json", stored), "--gt", GT)
    assert status == 0
    assert cells(out)[2] == ["AP", "22.01 ± 2.85", "24.03", "20.00"]


def test_results_of_small_areas(run, write):
    big = box(0, 0, 3, 4)
    gt = write("gt.json", ground_truth([annotation(1, [big] * 3)]))
    results = write("results.json", [result([big] * 3)])
    shown = dict(row[:2] for row in cells(run(results, "--gt", gt, "--area-limits", 5, 10)[1]))
    assert (shown["APs"], shown["APl"]) == ("-", "100.00 ± -")


def test_output_is_kept_unless_told_otherwise(run, write, tmp_path):
    file, output = write("1.json", scores(10)), tmp_path / "seeds.md"
    printed = run(file, "--output", output)[1]
    assert output.read_text(encoding="utf-8") == printed
    output.write_text("precious")
    check_refused(run(file, "--output", output), "seeds.md", "--overwrite")
    assert output.read_text() == "precious"
    assert run(file, "--output", output, "--overwrite")[0] == 0
    assert output.read_text(encoding="utf-8") == printed


def test_bad_files(run, write, tmp_path):
    good = write("good.json", scores(10))
    check_refused(run(tmp_path / "none.json"), "none.json")
    check_refused(run(good, good), "good.json", "twice")
    check_refused(run(RESULTS), "case4_dt", "--gt")
    check_refused(run(write("bad.json", "AP")), "bad.json", "str")
    check_refused(run(write("bad.json", {"AP": 1})), "bad.json", "per_category")
    for value in ("12", 101, -1, True):
        check_refused(
            run(write("bad.json", scores(10, AR10=value))), "bad.json", "AR10", repr(value)
        )
    lacking = scores(10)
    del lacking["AP75"]
    check_refused(run(write("bad.json", lacking)), "bad.json", "AP75")
    bad_category = scores(10, per_category={"cat": {}})
    check_refused(run(write("bad.json", bad_category)), "bad.json", "AP of 'cat'")


def test_scores_on_different_ground_truth(run, write):
    good = write("good.json", scores(10))
    other = write("other.json", scores(10, per_category={"dog": {"AP": 1}}))
    check_refused(run(good, other), "other.json", "good.json", "cat, dog")
    other = write("other.json", scores(10, APl=None))
    check_refused(run(good, other), "other.json", "APl is None", "good.json")


def test_a_malformed_entry_is_named_by_its_index(run, write):
    results = read(RESULTS)
    results[2]["score"] = None
    check_refused(run(write("bad.json", results), "--gt", GT), "bad.json", "entries[2]", "score")


def test_ground_truth_without_annotations(run, write):
    gt = write("valid.json", ground_truth(None))
    check_refused(run(RESULTS, "--gt", gt), "valid.json", "no annotations")
