"""What fails, dies, takes too long or cannot be measured is told.

The processes of the rows import this file, so that only what they need stands at its top.
"""

import multiprocessing
import os
import signal
import time
from types import SimpleNamespace

from benchmarks.measure import measured_rows

import pytest


def row(what):
    if what == "fails":
        raise ValueError("two is\ntoo | many")
    if what == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(600 if what == "waits" else 0)
    return {"process": os.getpid()}


def test_a_row_that_fails_is_its_error_and_a_process_that_dies_leaves_its_rows():
    jobs = [("",), ("fails",), ("",), ("dies",), ("",)]
    one, failed, two, *others = measured_rows(row, jobs)
    assert one == two
    assert one["process"] != os.getpid()
    assert failed == {"error": "ValueError: two is too / many"}
    assert others == [{"error": "its process died, as where memory runs out"}] * 2


def test_what_takes_too_long_is_left_out():
    others = set(multiprocessing.active_children())  # loaders of earlier tests, until collected
    rows = measured_rows(row, [("",), ("waits",), ("waits",)], seconds=600)
    assert next(rows).keys() == {"process"}
    rows.close()
    late = [{"error": "not done in time"}] * 2
    assert list(measured_rows(row, [("waits",), ("waits",)], seconds=0.2)) == late
    assert not set(multiprocessing.active_children()) - others


def test_a_video_that_fails_has_no_rate():
    from benchmarks.many_videos import rate
    from simplevtr.inference import Outcome

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
    from benchmarks import exported_model

    exported = SimpleNamespace(metadata={"size_divisor": 8, "fixed_frames": 4})
    exported_class = SimpleNamespace(of_config=lambda cfg: exported)
    monkeypatch.setattr(exported_model, "check_packages", lambda: None)
    monkeypatch.setattr(exported_model, "ExportedModel", exported_class)
    assert exported_model.main(["--config-file", "configs/embedded/pretrained.yaml", *words]) == 2
    assert message in capsys.readouterr().err
