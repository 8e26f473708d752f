"""Whatever is done to a file, the doctor reports, and its repair is one that others can read."""

import copy
import json
import tracemalloc

from simplevtr.data import load_ytvis_json
from simplevtr.data.doctor import DEFECTS, Findings, examine
from simplevtr.data.doctor.__main__ import CLEAN, DEFECTIVE, UNREADABLE, main
from simplevtr.evaluation.ground_truth import check_ground_truth

import pytest
from doctor_samples import found, make_good, read, repaired
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

# The same examples in every run, and no files beside the tests.
FUZZ = settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NUMBERS = st.one_of(
    st.integers(-3, 70),
    st.sampled_from([2**31, 2**32, 2**63 - 1, 2**63, 2**64, -(2**70), 10**40, 10**4000]),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from([1e300, -0.0, 1.0, 2.5]),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), NUMBERS, st.text(max_size=8), st.sampled_from(["1", "-7", "1e5"])
)
RLES = st.fixed_dictionaries(
    {
        "size": st.one_of(st.just([48, 64]), st.lists(NUMBERS, max_size=3), SCALARS),
        "counts": st.one_of(
            st.text("0123456789LMNOTo\\~ä\ud800", max_size=12),
            st.lists(st.one_of(st.integers(0, 3072), NUMBERS), max_size=6),
            SCALARS,
        ),
    }
)
POLYGONS = st.lists(st.lists(NUMBERS, max_size=9), max_size=3)
VALUES = st.one_of(
    st.recursive(
        SCALARS,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=8,
    ),
    RLES,
    POLYGONS,
)
STEPS = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.integers(0, 10**6), VALUES,
        st.sampled_from(["replace", "replace", "remove", "repeat", "move"]),
    ),
    min_size=1,
    max_size=6,
)  # fmt: skip


@pytest.fixture(scope="module", params=["compressed", "uncompressed", "polygon"])
def good(request, tmp_path_factory):
    return read(make_good(tmp_path_factory.mktemp("good"), segmentation=request.param))


def places(content):
    """(container, key) of every value."""
    pending, found_places = [content], []
    while pending:
        container = pending.pop()
        keys = container if isinstance(container, dict) else range(len(container))
        for key in keys:
            found_places.append((container, key))
            if isinstance(container[key], dict | list):
                pending.append(container[key])
    return found_places


def mutate(content, steps):
    for first, second, value, what in steps:
        known = places(content)
        container, key = known[first % len(known)]
        if what == "replace":
            container[key] = copy.deepcopy(value)
        elif what == "remove":
            del container[key]
        elif what == "repeat" and isinstance(container, list):
            container.insert(second % (len(container) + 1), copy.deepcopy(container[key]))
        else:
            other, other_key = known[second % len(known)]
            other[other_key] = copy.deepcopy(container[key])
        if not places(content):
            return


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
        assert all(str(example).isprintable() for example in examples)
    fixed = repaired(examination)
    again = found(fixed)
    left = {name for name in again.findings.names() if DEFECTS[name].repair}
    assert left <= {"repeated-track"}  # of two categories
    assert repaired(again) == fixed
    assert not again.findings.repairs
    if not fixed["videos"] or not fixed["categories"]:
        return
    if "too-large" not in again.findings.counts:
        check_ground_truth(fixed)
    (tmp_path / "fixed.json").write_text(json.dumps(fixed))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("simplevtr.data.ytvis._check_frames_exist", lambda *_: None)
        load_ytvis_json(tmp_path / "fixed.json", tmp_path)


@FUZZ
@given(cuts=st.lists(st.tuples(st.integers(0, 10**6), st.binary(max_size=6)), max_size=4))
def test_any_bytes_give_an_exit_status(good, cuts, tmp_path, capsys):
    content = bytearray(json.dumps(good).encode())
    for place, piece in cuts:
        content[place % len(content) : place % len(content) + len(piece)] = piece
    (tmp_path / "a.json").write_bytes(content)
    (tmp_path / "fixed.json").unlink(missing_ok=True)
    status = main([str(tmp_path / "a.json"), "--fix", str(tmp_path / "fixed.json")])
    out, err = capsys.readouterr()
    assert status in (CLEAN, DEFECTIVE, UNREADABLE)
    if status == UNREADABLE:
        assert err.startswith("doctor: error: ")
        assert err.count("\n") == 1
        assert not out
    else:
        assert ("no defects\n" in out.split("\n\n", 2)[1] + "\n") == (status == CLEAN)


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
        examine(content, findings=Findings()).repaired()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 50e6
