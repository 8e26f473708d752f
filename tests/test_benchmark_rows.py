"""What fails, dies, takes too long or cannot be measured is told."""

import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

from benchmarks import exported_model
from benchmarks.many_videos import rate
from benchmarks.measure import measured_rows
from simplevtr.inference import Outcome

import pytest


def double(number):
    if number == 2:
        raise ValueError("two is\ntoo | many")
    return {"double": 2 * number, "process": os.getpid()}


def die(number):
    if number == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"number": number}


def wait(number):
    time.sleep(600 * number)
    return {"number": number}


def test_a_row_that_fails_is_its_error_and_the_others_go_on():
    one, two, three = measured_rows(double, [(1,), (2,), (3,)])
    assert (one["double"], three["double"]) == (2, 6)
    assert one["process"] == three["process"] != os.getpid()
    assert two == {"error": "ValueError: two is too / many"}


def test_a_process_that_dies_leaves_its_rows():
    first, *others = measured_rows(die, [(1,), (2,), (3,)])
    assert first == {"number": 1}
    assert others == [{"error": "its process died, as where memory runs out"}] * 2


def test_what_takes_too_long_is_left_out():
    others = set(multiprocessing.active_children())  # loaders of earlier tests, until collected
    rows = measured_rows(wait, [(0,), (1,), (1,)], seconds=600)
    assert next(rows) == {"number": 0}
    rows.close()
    late = [{"error": "not done in time"}] * 2
    assert list(measured_rows(wait, [(1,), (1,)], seconds=0.2)) == late
    assert not set(multiprocessing.active_children()) - others


def test_a_video_that_fails_has_no_rate():
    assert rate([Outcome("a", "done"), Outcome("b", "done")], 5) > 0
    with pytest.raises(ValueError, match="b: its worker was killed"):
        rate([Outcome("a", "done"), Outcome("b", "failed", reason="its worker was killed")], 5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--size", "8", "20"), "--size 8 20: multiples of 8 from 16 on are needed"),
        (("--frames", "4", "8"), "--frames: the model takes 4 frames at once"),
    ],
)
def test_windows_that_an_exported_model_does_not_take(monkeypatch, capsys, words, message):
    exported = SimpleNamespace(metadata={"size_divisor": 8, "fixed_frames": 4})
    exported_class = SimpleNamespace(of_config=lambda cfg: exported)
    monkeypatch.setattr(exported_model, "check_packages", lambda: None)
    monkeypatch.setattr(exported_model, "ExportedModel", exported_class)
    assert exported_model.main(["--config-file", "configs/embedded/pretrained.yaml", *words]) == 2
    assert message in capsys.readouterr().err
