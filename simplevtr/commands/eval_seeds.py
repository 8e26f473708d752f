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
        ("scored_on", dict[str, Any], {}),  # of earlier versions nobody knows
        ("results_sha256", str | None, None),  # also of results without a track
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
    found = {path: _read(path) for path in options.files}
    for one, other in combinations(options.files, 2):
        _check_comparable(one, other, found)
    seeds = {path: values for path, (values, _) in found.items()}
    table = _table(seeds, per_category=options.per_category)
    if options.output is not None:
        write_bytes(options.output, f"{table}\n".encode(), overwrite=options.overwrite)
    terminal.say(table)


def _read(path: Path) -> tuple[Values, Any]:
    """What the table may show of a file, and all; ValueError if evaluate.py did not write it."""
    try:
        scores = msgspec.convert(read_json(path), _Scores)
    except msgspec.ValidationError as error:
        raise ValueError(
            f"{path}: {error}; scores are needed, as simplevtr evaluate writes them"
        ) from error
    # Categories without ground truth are there if something is predicted of them.
    known = {n: row.AP for n, row in scores.per_category.items() if row.AP is not None}
    values = {metric: getattr(scores, metric) for metric in METRICS}
    return values | {f"{_AP_OF}{name}": ap for name, ap in known.items()}, scores


def _check_comparable(first: Path, path: Path, found: dict[Path, tuple[Values, Any]]) -> None:
    """Refuse scores of the same results, and those that cannot come from one ground truth."""
    (others, before), (values, now) = found[first], found[path]
    known = ({k for k, value in side.items() if value is not None} for side in (values, others))
    if differ := sorted(name.removeprefix(_AP_OF) for name in set.symmetric_difference(*known)):
        raise ValueError(f"{path}: only it or {first} has ground truth of {', '.join(differ)}")
    for key, value in now.scored_on.items():
        if (other := before.scored_on.get(key, value)) != value:
            raise ValueError(f"{path}: was scored on {key} {value}, but {first} on {other}")
    same = now.results_sha256 and now.results_sha256 == before.results_sha256
    if same or path.samefile(first):
        raise ValueError(f"{path}: has the scores of {first} again; a seed may count once only")


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
