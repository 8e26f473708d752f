"""Mean and standard deviation of the scores of several seeds, as a Markdown table.

    python tools/eval_seeds.py seed1/results.json seed2/results.json --gt valid.json
    python tools/eval_seeds.py scores1.json scores2.json --output seeds.md

A file holds predicted tracks in YouTube-VIS format (.json, .json.gz or .zip), for which ``--gt`` is
needed, or the scores that tools/evaluate.py wrote, whose area limits stay as they were. The
standard deviation is that of a sample (n - 1). Scores are in per cent; "-" stands where there is no
ground truth, or a single seed only.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr import terminal
from simplevtr.ablation.table import Spread
from simplevtr.evaluation import AREA_LIMITS, evaluate_tracks, scores_as_json
from simplevtr.evaluation.ytvis_eval import check_area_limits
from simplevtr.formats.checks import is_finite
from simplevtr.formats.files import read_json, refuse_existing, write_bytes
from simplevtr.formats.results import check_results
from simplevtr.formats.ytvis import load_annotated

METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl")
METRICS += ("AR1", "AR10", "AR100", "ARs", "ARm", "ARl")
_AP_OF = "AP of "  # and a category's name: the row of its AP


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = terminal.command_parser(__file__, __doc__)
    terminal.add_unknown_categories(parser)
    terminal.add_area_limits(parser, AREA_LIMITS)
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE", help="predicted tracks or scores of a seed")
    add("--gt", type=Path, help="annotation file, .json or .json.gz")
    add("--per-category", action="store_true", help="add the AP of each category")
    add("--output", type=Path, help="where the table goes besides")
    add("--overwrite", action="store_true", help="replace the output file if it exists")
    return terminal.run_command(parser, run, arguments)


def run(options: argparse.Namespace) -> None:
    """Score what is not scored yet and print the table."""
    check_area_limits(options.area_limits)
    if options.output is not None:
        refuse_existing(options.output, overwrite=options.overwrite)
    table = _table(options.files, _scores_of_files(options), per_category=options.per_category)
    if options.output is not None:
        write_bytes(options.output, f"{table}\n".encode(), overwrite=options.overwrite)
    terminal.say(table)


def _scores_of_files(options: argparse.Namespace) -> list[dict]:
    """Per file what ``scores_as_json`` gives, all with the same categories."""
    resolved = [path.resolve() for path in options.files]
    for i, path in enumerate(options.files):
        if resolved[i] in resolved[:i]:
            raise ValueError(f"{path} is given twice; a seed may count once only")
    gt = None if options.gt is None else load_annotated(options.gt)
    scores = []
    for path in options.files:
        content = read_json(path)
        if isinstance(content, list):
            if gt is None:
                raise ValueError(f"{path}: holds predicted tracks; give the ground truth by --gt")
            skip = options.unknown_categories == "skip"
            results = check_results(content, gt, source=str(path), skip_unknown=skip)
            content = scores_as_json(evaluate_tracks(gt, results, area_limits=options.area_limits))
        _check_scores(content, path)
        if scores:
            _check_comparable(content, path, scores[0], options.files[0])
        scores.append(content)
    return scores


def _check_scores(content: object, path: Path) -> None:
    if not isinstance(content, dict):
        kind = type(content).__name__
        raise ValueError(f"{path}: must be a list of tracks or an object of scores, got {kind}")
    by_name = content.get("per_category")
    if not isinstance(by_name, dict) or not all(isinstance(v, dict) for v in by_name.values()):
        raise ValueError(f"{path}: 'per_category' must hold an object for each category")
    scores = {metric: content.get(metric, "nothing") for metric in METRICS}
    scores |= {f"AP of {name!r}": row.get("AP", "nothing") for name, row in by_name.items()}
    for name, value in scores.items():
        if value is not None and not (is_finite(value) and 0 <= value <= 100):
            raise ValueError(
                f"{path}: {name} must be in [0, 100] or null, as tools/evaluate.py writes it, "
                f"got {value!r:.80}"
            )


def _check_comparable(content: dict, path: Path, first: dict, first_path: Path) -> None:
    """Refuse scores that cannot come from the ground truth of the first ones."""
    values, others = _values(content), _values(first)
    # Categories without ground truth are there if something is predicted of them.
    if differ := sorted(name.removeprefix(_AP_OF) for name in values.keys() ^ others):
        raise ValueError(f"{path}: other categories than in {first_path}: {', '.join(differ)}")
    for name, value in values.items():
        if (value is None) != (others[name] is None):
            raise ValueError(
                f"{path}: {name} is {value}, in {first_path} it is {others[name]}; "
                "null means no ground truth, so they were not scored on the same"
            )


def _values(scores: dict) -> dict[str, float | None]:
    """All that the table may show, by the name of its row."""
    by_name = {f"{_AP_OF}{name}": row["AP"] for name, row in scores["per_category"].items()}
    by_name = {name: ap for name, ap in by_name.items() if ap is not None}
    return {**{metric: scores[metric] for metric in METRICS}, **by_name}


def _table(files: list[Path], scores: list[dict], *, per_category: bool) -> str:
    """A row a score, and last a list of the files."""
    seeds = [_values(of) for of in scores]
    rows = []
    for name in seeds[0] if per_category else METRICS:
        values = [seed[name] for seed in seeds]
        shown = ("-" if value is None else f"{value:.2f}" for value in values)
        rows.append([terminal.table_cell(name), Spread.of(values).shown(2), *shown])
    headers = ["score", f"mean ± std ({len(files)})", *(f"seed {i + 1}" for i in range(len(files)))]
    names = (f"{i}. `{path}`" for i, path in enumerate(files, start=1))
    return "\n".join([terminal.markdown_table(headers, rows), "", *names])


if __name__ == "__main__":
    sys.exit(main())
