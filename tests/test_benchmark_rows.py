"""Rows that a process of its own measures: what fails, dies or takes too long is told."""

import os
import signal
import sys
import time

from benchmarks.measure import measured_rows


def double(number):
    if number == 2:
        raise ValueError("two is\ntoo | many")
    return {"double": 2 * number, "process": os.getpid()}


def die(number, how):
    if number == 2:
        sys.stderr.write("a word before\nthe | last word\n")
        sys.stderr.flush()
        if how == "exit":
            os._exit(3)
        os.kill(os.getpid(), how)
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
    for how, told in (("exit", "exit 3"), (signal.SIGSEGV, "Segmentation fault")):
        first, *others = measured_rows(die, [(n, how) for n in (1, 2, 3)])
        assert first == {"number": 1}
        assert others == [{"error": f"the / last word ({told})"}] * 2


def test_what_takes_too_long_is_left_out():
    rows = measured_rows(wait, [(0,), (1,), (1,)], seconds=600)
    assert next(rows) == {"number": 0}
    rows.close()
    late = [{"error": "not done in time"}] * 2
    assert list(measured_rows(wait, [(1,), (1,)], seconds=0.2)) == late
    assert list(measured_rows(wait, [(0,)], seconds=0)) == [{"error": "not begun in time"}]
