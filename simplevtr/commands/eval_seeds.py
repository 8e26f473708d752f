"""Mean and standard deviation of the scores of several seeds, as a Markdown table.

    python tools/eval_seeds.py seed1/results.json seed2/results.json --gt valid.json
    python tools/eval_seeds.py scores1.json scores2.json --output seeds.md

A file holds predicted tracks in YouTube-VIS format (.json, .json.gz or .zip), for which ``--gt`` is
needed, or the scores that tools/evaluate.py wrote, whose area limits stay as they were. The
standard deviation is that of a sample (n - 1). Scores are in per cent; "-" stands where there is no
ground truth, or a single seed only.
"""

import argparse
from pathlib import Path

from simplevtr import terminal
from simplevtr.evaluation.ytvis_eval import (
    AREA_LIMITS,
    check_area_limits,
    evaluate_tracks,
    scores_as_json,
)
from simplevtr.formats.checks import is_finite
from simplevtr.formats.files import read_json, refuse_existing, write_bytes
from simplevtr.formats.results import check_results
from simplevtr.formats.ytvis import GroundTruth, load_annotated

METRICS: tuple[str, ...] = ("AP", "AP50", "AP75", "APs", "APm", "APl")
METRICS += ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_AP_OF = "AP of "  # and a category's name: the row of its AP
Values = dict[str, float | None]  # all that the table may show, by the name of its row


def _add_options(parser: argparse.ArgumentParser) -> None:
    terminal.add_unknown_categories(parser)
    terminal.add_area_limits(parser, AREA_LIMITS)
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="predicted tracks or scores of a seed")
    add("--gt", type=Path, help="annotation file, .json or .json.gz")
    add("--per-category", action="store_true", help="add the AP of each category")
    add("--output", type=Path, help="also write the table to this file")
    add("--overwrite", action="store_true", help="replace the output file if it exists")


@terminal.command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Score what is not scored yet and print the table."""
    check_area_limits(options.area_limits)
    if options.output is not None:
        inputs = [*options.files, *[options.gt] * (options.gt is not None)]
        refuse_existing(options.output, overwrite=options.overwrite, inputs=inputs)
    resolved = [path.resolve() for path in options.files]
    for path in options.files:
        if resolved.count(path.resolve()) > 1:
            raise ValueError(f"{path} is given twice; a seed may count once only")
    gt = None if options.gt is None else load_annotated(options.gt)
    seeds: dict[Path, Values] = {}
    for path in options.files:
        seeds[path] = _checked(_scores(path, gt, options), path)
        _check_comparable(path, seeds, options.files[0])
    table = _table(seeds, per_category=options.per_category)
    if options.output is not None:
        write_bytes(options.output, f"{table}\n".encode(), overwrite=options.overwrite)
    terminal.say(table)


def _scores(path: Path, gt: GroundTruth | None, options: argparse.Namespace) -> object:
    """What a file of scores holds, or ``scores_as_json`` of the predicted tracks in it."""
    content = read_json(path)
    if not isinstance(content, list):
        return content
    if gt is None:
        raise ValueError(f"{path}: holds predicted tracks; give the ground truth by --gt")
    skip = options.unknown_categories == "skip"
    results = check_results(content, gt, source=str(path), skip_unknown=skip)
    return scores_as_json(evaluate_tracks(gt, results, area_limits=options.area_limits))


def _checked(content: object, path: Path) -> Values:
    """The scores in a file; ValueError for what tools/evaluate.py does not write."""
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(f"{path}: must be a list of tracks or an object of scores, got {kind}")
    by_name = content.get("per_category")
    if not isinstance(by_name, dict) or not all(isinstance(v, dict) for v in by_name.values()):
        raise ValueError(f"{path}: 'per_category' must hold an object for each category")
    if lacking := [name for name in METRICS if name not in content]:
        raise ValueError(f"{path}: lacks {', '.join(lacking)}")
    if lacking := [name for name, row in by_name.items() if "AP" not in row]:
        raise ValueError(f"{path}: lacks the AP of {', '.join(lacking)}")
    values = {metric: content[metric] for metric in METRICS}
    shown = values | {f"AP of {name!r}": row["AP"] for name, row in by_name.items()}
    for name, value in shown.items():
        if value is not None and not (is_finite(value) and 0 <= value <= 100):
            raise ValueError(
                f"{path}: {name} must be in [0, 100] or null, as tools/evaluate.py writes it, "
                f"got {value!r:.80}"
            )
    # Categories without ground truth are there if something is predicted of them.
    known = {name: row["AP"] for name, row in by_name.items() if row["AP"] is not None}
    return values | {f"{_AP_OF}{name}": ap for name, ap in known.items()}


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
    names = [f"{i}. `{path}`" for i, path in enumerate(seeds, start=1)]
    return "\n".join([terminal.markdown_table(headers, rows), "", *names])
