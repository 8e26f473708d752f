"""Rows that a process of its own measures: what fails, dies or takes too long is told."""

import multiprocessing
import os
import signal
import time

from benchmarks.measure import measured_rows


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
    rows = measured_rows(wait, [(0,), (1,), (1,)], seconds=600)
    assert next(rows) == {"number": 0}
    rows.close()
    late = [{"error": "not done in time"}] * 2
    assert list(measured_rows(wait, [(1,), (1,)], seconds=0.2)) == late
    assert not multiprocessing.active_children()
