"""Mean and standard deviation of the scores of several seeds, as a Markdown table.

    python tools/eval_seeds.py seed1/scores.json seed2/scores.json --output seeds.md

The files are those that tools/evaluate.py writes. The standard deviation is that of a sample
(n - 1). Scores are in per cent; "-" stands where there is no ground truth, or a single seed only.
"""

import argparse
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

from simplevtr import terminal
from simplevtr.evaluation.ytvis_eval import METRICS
from simplevtr.formats.files import read_json, refuse_existing, write_bytes

import msgspec

Values = dict[str, float | None]  # all that the table may show, by the name of its row
_AP_OF = "AP of "  # and a category's name: the row of its AP

_Score = Annotated[float, msgspec.Meta(ge=0, le=100)] | None


class _Category(msgspec.Struct):
    AP: _Score


_Scores: Any = msgspec.defstruct(
    "_Scores",
    [
        *((name, _Score) for name in METRICS),
        ("per_category", dict[str, _Category]),
        ("scored_on", dict[str, Any] | None, None),  # of earlier versions nobody knows
    ],
)


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="scores of a seed")
    add("--per-category", action="store_true", help="add the AP of each category")
    add("--output", type=Path, help="also write the table to this file")
    add("--overwrite", action="store_true", help="replace the output file if it exists")


@terminal.command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Read the scores and print the table."""
    if options.output is not None:
        refuse_existing(options.output, overwrite=options.overwrite, inputs=options.files)
    for one, other in combinations(filter(Path.exists, options.files), 2):
        if one.samefile(other):
            raise ValueError(f"{other} is given twice; a seed may count once only")
    seeds: dict[Path, Values] = {}
    known: dict[Path, dict[str, Any]] = {}
    for path in options.files:
        seeds[path], scored_on = _read(path)
        _check_comparable(path, seeds, options.files[0])
        if scored_on:
            known[path] = scored_on
            first, other = next(iter(known.items()))
            if scored_on != other:
                raise ValueError(f"{path}: was scored on {scored_on}, but {first} on {other}")
    table = _table(seeds, per_category=options.per_category)
    if options.output is not None:
        write_bytes(options.output, f"{table}\n".encode(), overwrite=options.overwrite)
    terminal.say(table)


def _read(path: Path) -> tuple[Values, dict[str, Any] | None]:
    """The scores in a file, and on what; ValueError for what tools/evaluate.py does not write."""
    try:
        scores = msgspec.convert(read_json(path), _Scores)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"{path}: {error}; scores are needed, as simplevtr evaluate writes them"
        ) from error
    # Categories without ground truth are there if something is predicted of them.
    known = {n: row.AP for n, row in scores.per_category.items() if row.AP is not None}
    values = {metric: getattr(scores, metric) for metric in METRICS}
    return values | {f"{_AP_OF}{name}": ap for name, ap in known.items()}, scores.scored_on


def _check_comparable(path: Path, seeds: dict[Path, Values], first: Path) -> None:
    """Refuse scores that cannot come from the ground truth of the first ones."""
    values, others = seeds[path], seeds[first]
    if differ := sorted(name.removeprefix(_AP_OF) for name in values.keys() ^ others):
        raise ValueError(f"{path}: other categories than in {first}: {', '.join(differ)}")
    for name, value in values.items():
        if (value is None) != (others[name] is None):
            raise ValueError(
                f"{path}: {name} is {value}, in {first} it is {others[name]}; "
                "null means no ground truth, so they were not scored on the same"
            )


def _table(seeds: dict[Path, Values], *, per_category: bool) -> str:
    """One row per score, and last a list of the files."""
    rows = []
    for name in next(iter(seeds.values())) if per_category else METRICS:
        values = [seed[name] for seed in seeds.values()]
        mean = terminal.mean_text(*terminal.mean_and_deviation(values), 2)
        shown = ("-" if value is None else f"{value:.2f}" for value in values)
        rows.append([terminal.table_cell(name), mean, *shown])
    numbers = range(1, len(seeds) + 1)
    headers = ["score", f"mean ± std ({len(seeds)})", *(f"seed {i}" for i in numbers)]
    names = [f"{i}. `{terminal.table_cell(str(path))}`" for i, path in enumerate(seeds, start=1)]
    return "\n".join([terminal.markdown_table(headers, rows), "", *names])
