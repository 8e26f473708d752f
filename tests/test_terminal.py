"""What commands print, and how they end."""

import argparse
import errno
import io
import os
from fractions import Fraction

from simplevtr.terminal import (
    command,
    counted,
    error_text,
    number,
    one_line,
    say,
    table_cell,
    usable_cores,
)

import pytest
import torch


def test_what_a_terminal_cannot_show_is_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    say("a\u00e4\ud800", stream)
    stream.flush()
    assert stream.buffer.getvalue() == b"a\\xe4\\ud800\n"


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (KeyError("no\n such  class"), 2, "tool.py: error: no such class\n"),
        (FileNotFoundError("a.json: no such file"), 2, "tool.py: error: a.json: no such file\n"),
        (
            ZeroDivisionError("of the tool's own list"),
            2,
            "tool.py: error: of the tool's own list\n",
        ),
        (KeyboardInterrupt(), 130, "tool.py: interrupted\n"),
    ],
)
def test_how_commands_end(error, status, message, capsys):
    @command(lambda parser: None, errors=(ZeroDivisionError,))
    def main(options):
        raise error

    assert main([], prog="tool.py") == status
    assert capsys.readouterr().err == message


def test_an_empty_value_is_not_an_option_left_out(capsys):
    @command(lambda parser: parser.add_argument("--output"))
    def main(options):
        return 0

    with pytest.raises(SystemExit, match="2"):
        main(["--output", ""])
    assert "argument --output: it is empty" in capsys.readouterr().err
    assert main(["--output", "a"]) == main([]) == 0


def test_faults_of_the_program_keep_their_traceback():
    @command(lambda parser: None)
    def main(options):
        raise AssertionError

    with pytest.raises(AssertionError):
        main([])


@pytest.mark.parametrize("status", [None, 0, 1])
def test_a_command_that_ends_well_has_its_own_status(status):
    assert command(lambda parser: None)(lambda options: status)([]) == (status or 0)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [(float, "1", 1.0), (int, "1", 1), (Fraction, "30000/1001", Fraction(30000, 1001))],
)
def test_numbers(kind, text, value):
    assert number(kind, least=1)(text) == value


@pytest.mark.parametrize(
    ("kind", "limits", "text", "message"),
    [
        (int, {}, "1.5", "'1.5' is not a whole number"),
        (float, {}, "nan", "nan was given; it must be finite"),
        (Fraction, {}, "1/0", "'1/0' is not a number"),
        (float, {"above": 0}, "inf", "inf was given; it must be above 0"),
        (float, {"above": 0, "most": 1}, "0", "0 was given; it must be above 0 and at most 1"),
        (int, {"least": 1}, "0", "0 was given; it must be at least 1"),
        (float, {"below": 1}, "1", "1 was given; it must be below 1"),
    ],
)
def test_numbers_outside_the_limits(kind, limits, text, message):
    with pytest.raises(argparse.ArgumentTypeError) as raised:
        number(kind, **limits)(text)
    assert str(raised.value) == message


def test_cells():
    assert one_line(" a\n\tb ") == "a b"
    assert table_cell("a|b\nc") == "a/b c"


def test_usable_cores_are_known_on_every_system(monkeypatch):
    assert usable_cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert usable_cores() == os.cpu_count()


def test_a_number_and_what_it_counts():
    nouns = {0: "categories", 1: "categories", 1200: "videos"}
    assert [counted(n, noun) for n, noun in nouns.items()] == [
        "0 categories", "1 category", "1,200 videos",
    ]  # fmt: skip
    assert counted(1, "videos") == "1 video"


class Unreadable(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise ValueError("frame a.jpg: cannot be read")


def test_of_the_errors_of_a_full_disk_the_one_with_the_file_is_shown():
    full = OSError(errno.ENOSPC, "No space left on device")
    assert error_text(full) == "[Errno 28] No space left on device"
    full.__context__ = OSError("model_final.pth cannot be written")
    assert error_text(full) == "model_final.pth cannot be written"
    plain = OSError("model_final.pth could not be fetched")
    plain.__context__ = OSError(errno.ECONNREFUSED, "Connection refused")
    assert error_text(plain) == "model_final.pth could not be fetched"


def test_an_error_of_a_loaders_worker_is_shown_without_its_traceback():
    with pytest.raises(ValueError, match="Original Traceback") as caught:
        next(iter(torch.utils.data.DataLoader(Unreadable(), num_workers=1)))
    assert error_text(caught.value) == "frame a.jpg: cannot be read"
