"""Whatever a file of truths, results or scores holds: an exit status of 0, or 2 and one line."""

import copy
import gzip
import io
import json
import zipfile

from simplevtr.terminal import USAGE_ERROR
from tools import eval_seeds, evaluate

import pytest
from fuzzing import CUTS, FUZZ, STEPS, cut, mutate
from hypothesis import given
from hypothesis import strategies as st
from track_samples import annotation, box, ground_truth, result

LEFT, RIGHT, BELOW = box(0, 0, 3, 3), box(5, 0, 8, 3), box(1, 2, 6, 6)
POLYGONS = [[[1, 1, 4, 1, 4, 5]], None, [[0.5, 0, 3, 0, 3, 6]]]


@pytest.fixture(scope="module")
def truth():
    gt = ground_truth(
        [
            annotation(1, [LEFT, LEFT, None]),
            annotation(2, [RIGHT] * 3, category_id=2),
            annotation(3, [BELOW] * 3, iscrowd=1),
            annotation(4, [None] * 3, video_id=2, segmentations=POLYGONS, areas=None),
        ]
    )
    return gt


@pytest.fixture(scope="module")
def found():
    return [
        result([LEFT, LEFT, None], score=0.9),
        result([RIGHT, None, RIGHT], category_id=2),
        result([None, RIGHT, None], category_id=2, score=0.7),
        result([BELOW] * 3, video_id=2, score=0.4),
    ]


def scored(folder, truth, found, capsys, *options):
    """The exit status of the command on the bytes of both files."""
    paths = {name: folder / name for name in ("gt.json", "dt.json", "scores.json")}
    paths["gt.json"].write_bytes(truth)
    paths["dt.json"].write_bytes(found)
    paths["scores.json"].unlink(missing_ok=True)
    command = ["--gt", "gt.json", "--results", "dt.json", "--output", "scores.json"]
    status = evaluate.main([str(paths.get(word, word)) for word in [*command, *options]])
    err = capsys.readouterr().err
    if status == USAGE_ERROR:
        assert err.startswith("evaluate.py: error: ")
        assert err.count("\n") == 1
        assert len(err) < 1000
    else:
        assert (status, err) == (0, "")
    assert paths["scores.json"].exists() == (status == 0)
    if status == 0:
        json.loads(paths["scores.json"].read_text(), parse_constant=pytest.fail)
    return status


def test_the_whole_files_are_scored(truth, found, tmp_path, capsys):
    contents = [json.dumps(content).encode() for content in (truth, found)]
    assert scored(tmp_path, *contents, capsys, "--errors", "--subsets") == 0


@FUZZ
@given(steps=STEPS)
def test_any_truth(truth, found, steps, tmp_path, capsys):
    truth = copy.deepcopy(truth)
    mutate(truth, steps)
    contents = [json.dumps(content).encode() for content in (truth, found)]
    scored(tmp_path, *contents, capsys, "--errors", "--subsets")


@FUZZ
@given(steps=STEPS)
def test_any_results(truth, found, steps, tmp_path, capsys):
    found = copy.deepcopy(found)
    mutate(found, steps)
    contents = [json.dumps(content).encode() for content in (truth, found)]
    scored(tmp_path, *contents, capsys, "--errors", "--subsets")


@FUZZ
@given(steps=STEPS, which=st.integers(0, 1))
def test_any_content_for_hota(truth, found, steps, which, tmp_path, capsys):
    pytest.importorskip("trackeval", reason="needs TrackEval")
    contents = [copy.deepcopy(truth), copy.deepcopy(found)]
    mutate(contents[which], steps)
    scored(tmp_path, *(json.dumps(c).encode() for c in contents), capsys, "--hota")


@FUZZ
@given(cuts=CUTS)
def test_any_bytes(truth, found, cuts, tmp_path, capsys):
    results = cut(json.dumps(found).encode(), cuts)
    scored(tmp_path, json.dumps(truth).encode(), results, capsys)


@FUZZ
@given(cuts=CUTS, suffix=st.sampled_from(["gz", "zip"]))
def test_any_bytes_of_an_archive(truth, found, cuts, suffix, tmp_path, capsys):
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    content, packed = json.dumps(found).encode(), io.BytesIO()
    if suffix == "gz":
        packed.write(gzip.compress(content, mtime=0))
    else:
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("results.json"), content, zipfile.ZIP_DEFLATED)
    path = tmp_path / f"dt.json.{suffix}"
    path.write_bytes(cut(packed.getvalue(), cuts))
    command = ["--gt", tmp_path / "gt.json", "--results", path, "--output", tmp_path / "scores"]
    status = evaluate.main([*map(str, command), "--overwrite"])
    err = capsys.readouterr().err
    assert (status, err.count("\n")) in ((0, 0), (USAGE_ERROR, 1))


@pytest.mark.parametrize("suffix", ["gz", "zip"])
def test_a_few_bytes_that_unpack_to_more_than_the_memory(suffix, tmp_path, capsys):
    """Refused after 256 MB at most, here of 300 MB."""
    path = tmp_path / f"dt.{suffix}"
    zeros = bytes(10**6)
    if suffix == "gz":
        with gzip.open(path, "wb") as file:
            for _ in range(300):
                file.write(zeros)
    else:
        with (
            zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
            archive.open("results.json", "w") as file,
        ):
            for _ in range(300):
                file.write(zeros)
    command = ["--gt", path, "--results", path, "--output", tmp_path / "scores"]
    assert evaluate.main([*map(str, command)]) == USAGE_ERROR
    assert "unpacks to more than 268,435,456 bytes" in capsys.readouterr().err


@FUZZ
@given(steps=STEPS)
def test_any_scores_of_a_seed(truth, found, steps, tmp_path, capsys):
    contents = [json.dumps(content).encode() for content in (truth, found)]
    scored(tmp_path, *contents, capsys)
    whole = tmp_path / "scores.json"
    content = json.loads(whole.read_text())
    mutate(content, steps)
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content))
    status = eval_seeds.main([str(whole), str(changed), "--per-category"])
    err = capsys.readouterr().err
    assert (status, err.count("\n")) in ((0, 0), (USAGE_ERROR, 1))
