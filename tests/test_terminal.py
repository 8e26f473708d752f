"""What commands print, and how they end."""

import io
import sys

from simplevtr.terminal import one_line, say, say_error, table_cell
from tools import analyze_dataset, eval_seeds, evaluate, import_dataset, split_dataset

import pytest

COMMANDS = {
    analyze_dataset: (["a.json"], "run"),
    split_dataset: (["a.json", "--output", "b"], "run"),
    evaluate: (["--gt", "a", "--results", "b", "--output", "c"], "load_ground_truth"),
    eval_seeds: (["a.json"], "read_json"),
    import_dataset: (["davis", "a", "--output", "b"], "refuse_existing"),
}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_an_interrupt_ends_a_command_without_a_traceback(command, monkeypatch, capsys):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    arguments, name = COMMANDS[command]
    monkeypatch.setattr(command, name, interrupted)
    assert command.main(arguments) == 130
    name = command.__name__.removeprefix("tools.")
    assert capsys.readouterr().err == f"{name}.py: interrupted\n"


def test_what_a_terminal_cannot_show_is_escaped():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    say("a\u00e4\ud800", stream)
    stream.flush()
    assert stream.buffer.getvalue() == b"a\\xe4\\ud800\n"


def test_errors_take_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert say_error("tool.py", KeyError("no\n such  name")) == 2
    assert sys.stderr.getvalue() == "tool.py: error: no such name\n"


def test_cells():
    assert one_line(" a\n\tb ") == "a b"
    assert table_cell("a|b\nc") == "a/b c"
