"""Whatever a file of truths, results or scores holds: an exit status of 0, or 2 and one line."""

import copy
import gzip
import json
import tracemalloc
import zipfile

from simplevtr.commands import eval_seeds, evaluate
from simplevtr.formats import files
from simplevtr.terminal import USAGE_ERROR

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
@pytest.mark.parametrize("changed", [0, 1], ids=["truth", "results"])
@pytest.mark.parametrize("options", [("--errors", "--subsets"), ("--hota",)], ids=" ".join)
def test_any_content(truth, found, changed, options, steps, tmp_path, capsys):
    if "--hota" in options:
        pytest.importorskip("trackeval", reason="needs TrackEval")
    contents = [copy.deepcopy(truth), copy.deepcopy(found)]
    mutate(contents[changed], steps)
    scored(tmp_path, *(json.dumps(c).encode() for c in contents), capsys, *options)


@FUZZ
@given(cuts=CUTS)
def test_any_bytes(truth, found, cuts, tmp_path, capsys):
    results = cut(json.dumps(found).encode(), cuts)
    scored(tmp_path, json.dumps(truth).encode(), results, capsys)


ZIPS = {
    "stored": zipfile.ZIP_STORED,
    "deflated": zipfile.ZIP_DEFLATED,
    "bz2": zipfile.ZIP_BZIP2,
    "lzma": zipfile.ZIP_LZMA,
}


def pack(path, kind, pieces):
    """A gzipped or zipped file of pieces of bytes."""
    if kind == "gz":
        with gzip.GzipFile(path, "wb", mtime=0) as file:
            for piece in pieces:
                file.write(piece)
        return
    with (
        zipfile.ZipFile(path, "w", ZIPS[kind]) as archive,
        archive.open("results.json", "w") as file,
    ):
        for piece in pieces:
            file.write(piece)


@FUZZ
@given(cuts=CUTS, kind=st.sampled_from(["gz", "stored", "deflated", "bz2", "lzma"]))
def test_any_bytes_of_an_archive(truth, found, cuts, kind, tmp_path, capsys):
    (tmp_path / "gt.json").write_text(json.dumps(truth))
    path = tmp_path / "dt"
    pack(path, kind, [json.dumps(found).encode()])
    path.write_bytes(cut(path.read_bytes(), cuts))
    command = ["--gt", tmp_path / "gt.json", "--results", path, "--output", tmp_path / "scores"]
    status = evaluate.main([*map(str, command), "--overwrite"])
    err = capsys.readouterr().err
    assert (status, err.count("\n")) in ((0, 0), (USAGE_ERROR, 1))


@pytest.mark.parametrize("kind", ["gz", "deflated", "bz2", "lzma"])
def test_a_few_bytes_that_unpack_to_more_than_the_memory(kind, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(files, "_MOST_UNPACKED", 2**20)
    path = tmp_path / "dt"
    pack(path, kind, [bytes(10**6)] * 50)
    command = ["--gt", path, "--results", path, "--output", tmp_path / "scores"]
    tracemalloc.start()
    try:
        assert evaluate.main([*map(str, command)]) == USAGE_ERROR
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    err = capsys.readouterr().err
    assert "unpacks to more than" in err or "must be stored or deflated" in err
    assert str(path) in err
    assert peak < 2**24


@pytest.mark.parametrize("name", ["dt.json", "dt.gz", "dt.zip"])
@pytest.mark.parametrize("kind", ["plain", "gz", "stored", "deflated"])
def test_the_first_bytes_say_what_a_file_is(truth, found, name, kind, tmp_path):
    path, content = tmp_path / name, json.dumps(found).encode()
    path.write_bytes(content) if kind == "plain" else pack(path, kind, [content])
    assert files.read_json(path) == found


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
