"""What commands print: text of files, which a terminal may not be able to show, and errors."""

from __future__ import annotations

import sys
from typing import TextIO

# Exit statuses: for input that cannot be used, argparse's too; and after Ctrl-C, as shells have it.
USAGE_ERROR, INTERRUPTED = 2, 130


def say(text: str, stream: TextIO | None = None) -> None:
    """Print, with escapes for the characters that the stream (stdout) has no encoding for."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def say_error(program: str, error: object) -> int:
    """Print what is wrong with the input on one line of stderr; the exit status to end with.

    Args:
        program: the name of the command's file.
        error: an exception or a sentence.
    """
    if isinstance(error, KeyError) and error.args:
        error = error.args[0]  # str() would put it into quotation marks
    say(f"{program}: error: {one_line(error)}", sys.stderr)
    return USAGE_ERROR


def say_interrupted(program: str) -> int:
    """Print on stderr that Ctrl-C ended the command; the exit status to end with."""
    say(f"{program}: interrupted", sys.stderr)
    return INTERRUPTED


def one_line(text: object) -> str:
    """The text with all white space, new lines too, as single spaces."""
    return " ".join(str(text).split())


def table_cell(text: str) -> str:
    """The text as it can stand in a cell of a Markdown table."""
    return one_line(text).replace("|", "/")
