"""How commands run, what they print, and how they end."""

import argparse
import inspect
import itertools
import logging
import math
import operator
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, TextIO

from tabulate import tabulate

# Exit statuses: for input that cannot be used, argparse's too; and after Ctrl-C, as shells have it.
USAGE_ERROR, INTERRUPTED = 2, 130
# What the user can fix.
USER_ERRORS: tuple[type[Exception], ...] = (ValueError, KeyError, OSError)

_LIMITS = {
    "least": (operator.ge, "at least"),
    "above": (operator.gt, "above"),
    "most": (operator.le, "at most"),
    "below": (operator.lt, "below"),
}


def usable_cores() -> int:
    """How many processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def number(kind: Callable[[str], Any] = float, **limits: float) -> Callable[[str], Any]:
    """A type for argparse: a finite number of a ``kind``, int, float or Fraction, within limits.

    Those are ``least`` and ``most``, allowed themselves, or ``above`` and ``below``.
    """

    def parse(text: str) -> Any:
        try:
            value = kind(text)
        except (ValueError, ZeroDivisionError):
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        inside = (_LIMITS[name][0](value, limit) for name, limit in limits.items())
        if not (-math.inf < value < math.inf and all(inside)):
            parts = (f"{_LIMITS[name][1]} {limit:g}" for name, limit in limits.items())
            allowed = " and ".join(parts) or "finite"
            raise argparse.ArgumentTypeError(f"{text} was given; it must be {allowed}")
        return value

    return parse


COUNT, NATURAL = number(int, least=1), number(int, least=0)  # types of counts, without and with 0


def add_unknown_categories(parser: argparse.ArgumentParser) -> None:
    """Add the option of all commands that read results: ``skip_unknown`` of ``load_results``."""
    parser.add_argument("--unknown-categories", choices=("refuse", "skip"), default="refuse",
        help="results of categories that the annotation file does not have (default: refuse)",
    )  # fmt: skip


def add_model(parser: argparse.ArgumentParser, *, opts: bool = False) -> None:
    """Add the options of all commands that run a model, for ``model_cfg``; or also --opts."""
    add = parser.add_argument
    add("--config-file", default="", help="YAML file of the model (default: that in the weights)")
    add("--weights", default="", metavar="FILE", help="the checkpoint (default: MODEL.WEIGHTS)")
    if opts:
        text = "config keys and values; last on the command line"
        add("--opts", nargs=argparse.REMAINDER, default=[], metavar="KEY VALUE", help=text)


def add_score_threshold(parser: argparse.ArgumentParser, default: float) -> None:
    """Add the option of all commands that draw or write tracks."""
    text = f"least score of a track ({default})"
    kind = number(least=0, most=1)
    parser.add_argument("--score-threshold", type=kind, default=default, help=text)


def add_area_limits(parser: argparse.ArgumentParser, default: Sequence[float]) -> None:
    """Add the option of all commands that score results: ``area_limits`` of ``evaluate_tracks``."""
    text = "greatest small and greatest medium area in pixels (default: 128^2 256^2)"
    parser.add_argument("--area-limits", nargs=2, type=float, default=default,
        metavar=("SMALL", "MEDIUM"), help=text)  # fmt: skip


@dataclass(frozen=True)
class Command:
    """A command, as ``command`` makes it of the function ``run``, which does the work."""

    run: Callable[[argparse.Namespace], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    errors: tuple[type[Exception], ...]
    intermixed: bool

    def parser(self, prog: str | None = None) -> argparse.ArgumentParser:
        """The parser, whose --help begins with the docstring of the command's module.

        ``prog`` is what the user typed; None for the name of the module's file.
        """
        module = sys.modules[self.run.__module__]
        parser = argparse.ArgumentParser(
            prog=prog or Path(inspect.getfile(module)).name,
            description=module.__doc__,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self.add_arguments(parser)
        return parser

    def __call__(self, arguments: list[str] | None = None, prog: str | None = None) -> int:
        """Parse ``arguments``, None for those of the process, and run.

        Returns:
            The exit status: that of the function; 2 after a user's error, which is printed on one
            line of stderr; 130 after Ctrl-C.
        """
        logging.basicConfig(level=logging.WARNING, format="%(levelname)s: %(message)s")
        parser = self.parser(prog)
        arguments = sys.argv[1:] if arguments is None else arguments
        for option, value in itertools.pairwise(arguments):
            if option.startswith("--") and not value:  # as of a shell's variable that is not set
                parser.error(f"argument {option}: it is empty")
        parse = parser.parse_intermixed_args if self.intermixed else parser.parse_args
        options = parse(arguments)
        try:
            return self.run(options) or 0
        except KeyboardInterrupt:
            say(f"{parser.prog}: interrupted", sys.stderr)
            return INTERRUPTED
        except (*USER_ERRORS, *self.errors) as error:
            say(f"{parser.prog}: error: {error_text(error)}", sys.stderr)
            return USAGE_ERROR


def command(
    add_arguments: Callable[[argparse.ArgumentParser], None],
    *,
    errors: tuple[type[Exception], ...] = (),
    intermixed: bool = False,
) -> Callable[[Callable[[argparse.Namespace], int | None]], Command]:
    """Decorate a function of the parsed arguments, which returns the exit status, None for 0.

    ``add_arguments`` adds its arguments to a parser, ``errors`` are what the user can fix in
    addition to ``USER_ERRORS``; ``intermixed``: options may stand between positional arguments.
    """
    return lambda run: Command(run, add_arguments, errors, intermixed)


def say(text: str, stream: TextIO | None = None) -> None:
    """Print, with escapes for the characters that the stream (stdout) has no encoding for."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def error_text(error: Exception) -> str:
    """The message of an exception, on one line; of a full disk's, that which names the file."""
    first = error.__context__
    if isinstance(error, OSError) and isinstance(first, OSError):
        if error.errno and error.filename is None:  # the system's own, of a log for instance
            error = first
    # str() would put that of a KeyError into quotation marks.
    text = str(error.args[0] if isinstance(error, KeyError) and error.args else error)
    if "in DataLoader worker process" in text:  # torch's, with the traceback: "KIND: message" last
        text = text.rstrip().rpartition("\n")[2].partition(": ")[2]
    return one_line(text)


def one_line(text: object) -> str:
    """The text with all white space, new lines too, as single spaces."""
    return " ".join(str(text).split())


def counted(number: int, nouns: str) -> str:
    """A number with what it counts, given in the plural: "1 category", "1,200 videos"."""
    if number == 1:
        nouns = nouns[:-3] + "y" if nouns.endswith("ies") else nouns.removesuffix("s")
    return f"{number:,} {nouns}"


def table_cell(text: str) -> str:
    """The text as it can stand in a cell of a Markdown table; halves of characters as \\udc80."""
    return one_line(text).replace("|", "/").encode("utf-8", "backslashreplace").decode("utf-8")


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, left: int = 1) -> str:
    """A Markdown table whose first ``left`` columns are names and whose others are numbers."""
    align = ["left"] * left + ["right"] * (len(headers) - left)
    # Names such as "1e5" stay as they are.
    return tabulate(rows, headers, tablefmt="pipe", disable_numparse=True, colalign=align)


def mean_and_deviation(values: Iterable[float | None]) -> tuple[float | None, float | None]:
    """Mean and sample standard deviation (n - 1) of what is known; None of too few values."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None, stdev(known) if len(known) > 1 else None


def mean_text(
    mean: float | None, deviation: float | None, digits: int = 1, *, sign: bool = False
) -> str:
    """For a table: "12.3 ± 0.4"; "-" for what is not known."""
    if mean is None:
        return "-"
    text = f"{mean:+.{digits}f}" if sign else f"{mean:.{digits}f}"
    return f"{text} ± {'-' if deviation is None else f'{deviation:.{digits}f}'}"
