"""Whatever is done to a file, the doctor reports, and its repair is one that others can read."""

import copy
import json
import tracemalloc

from simplevtr.commands.doctor import CLEAN, DEFECTIVE, main
from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.formats.ytvis import check_ground_truth
from simplevtr.terminal import USAGE_ERROR
from simplevtr.toolbox.doctor import DEFECTS, Settings, examine
from simplevtr.toolbox.doctor.findings import described

import pytest
from doctor_samples import found, make_good, read, repaired
from fuzzing import CUTS, FUZZ, STEPS, cut, mutate
from hypothesis import given


@pytest.fixture(scope="module", params=["compressed", "uncompressed", "polygon"])
def good(request, tmp_path_factory):
    return read(make_good(tmp_path_factory.mktemp("good"), segmentation=request.param))


def is_outlined(content):
    """Whether there is enough of a file left to be examined."""
    lists = [content.get("videos"), content.get("categories"), content.get("annotations") or []]
    kinds = [type(values) for values in lists]
    return kinds == [list] * 3 and content.get("annotations", []) in (None, lists[2])


@FUZZ
@given(steps=STEPS)
def test_any_change_gives_a_report_and_a_repair_that_can_be_read(good, steps, tmp_path):
    content = copy.deepcopy(good)
    mutate(content, steps)
    if not is_outlined(content):
        with pytest.raises(ValueError, match="^the content"):
            found(content)
        return
    examination = found(content)
    for examples in examination.findings.examples.values():
        assert all(described(example).isprintable() for example in examples)
    fixed = repaired(examination)
    again = found(fixed)
    left = {name for name in again.findings.found() if DEFECTS[name].repair}
    assert left <= {"repeated-track"}  # of two categories
    assert repaired(again) == fixed
    assert not again.findings.repairs
    if not fixed["videos"] or not fixed["categories"]:
        return
    if "too-large" not in again.findings.counts:
        check_ground_truth(fixed)
    (tmp_path / "fixed.json").write_text(json.dumps(fixed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simplevtr.data.ytvis.find_frames", lambda *_: None)
        load_ytvis_json(tmp_path / "fixed.json", tmp_path)


@FUZZ
@given(cuts=CUTS)
def test_any_bytes_give_an_exit_status(good, cuts, tmp_path, capsys):
    (tmp_path / "a.json").write_bytes(cut(json.dumps(good).encode(), cuts))
    (tmp_path / "fixed.json").unlink(missing_ok=True)
    status = main([str(tmp_path / "a.json"), "--fix", str(tmp_path / "fixed.json")])
    out, err = capsys.readouterr()
    assert status in (CLEAN, DEFECTIVE, USAGE_ERROR)
    if status == USAGE_ERROR:
        assert err.startswith("doctor.py: error: ")
        assert err.count("\n") == 1
        assert not out
    else:
        assert out.split("\n\n", 2)[1].startswith("no defects; ") == (status == CLEAN)


@pytest.mark.parametrize(
    "values",
    [
        {"length": 10**18},
        {"height": 65535, "width": 65535},
        {"height": 10**9, "width": 10**9, "length": 10**9},
        {"file_names": [f"{'9' * 10**5}.jpg"] * 4},
    ],
)
def test_memory_follows_the_file_and_not_its_numbers(good, values):
    content = copy.deepcopy(good)
    content["videos"][0].update(values)
    content["annotations"][0]["segmentations"] = [
        {"size": [65535, 65535], "counts": [65535 * 65535]},
        {"size": [65535, 65535], "counts": [2**62, 2**62]},
        [[0, 0, 65535, 0, 65535, 65535, 0, 65535]],
        [[-1e300, 0, 1e300, 0, 5, 5]],
    ]
    tracemalloc.start()
    try:
        examine(content, Settings(repair=True))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50e6
