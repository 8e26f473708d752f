"""Score predicted tracks in YouTube-VIS format, whoever made them. No model is needed.

    python tools/evaluate.py --gt valid.json --results results.json --output scores.json

``--results`` may be a .json, a .json.gz or a .zip that holds results.json. The scores are those of
the YouTube-VIS servers, in per cent; null in the output where there is no ground truth.
``--errors`` adds what each kind of error costs, ``--subsets`` the scores of short and long, slow
and fast, free and occluded tracks, ``--hota`` HOTA (which needs the package trackeval), and ``--j``
the region similarity of DAVIS: the mean IoU over the frames of a video, whatever the categories.
"""

import argparse
import hashlib
from dataclasses import asdict
from pathlib import Path

from simplevtr import terminal
from simplevtr.evaluation import ytvis_eval
from simplevtr.evaluation.analysis import subsets
from simplevtr.evaluation.analysis.error_breakdown import break_down_errors, errors_table
from simplevtr.evaluation.analysis.hota import hota_table, score_hota, trackeval_hota
from simplevtr.evaluation.analysis.region_similarity import PROPOSALS, regions_table, score_regions
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD
from simplevtr.formats.files import refuse_existing, write_json
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import load_annotated


def _add_options(parser: argparse.ArgumentParser) -> None:
    terminal.add_unknown_categories(parser)
    terminal.add_area_limits(parser, ytvis_eval.AREA_LIMITS)
    add = parser.add_argument
    add("--gt", required=True, type=Path, help="annotation file, .json or .json.gz")
    add("--results", required=True, type=Path, help=".json, .json.gz or .zip")
    add("--output", required=True, type=Path, help="where the scores go, as JSON")
    add("--overwrite", action="store_true", help="replace the output file if it exists")
    add("--errors", action="store_true", help="add what AP50 each kind of error costs")
    text = f"add the scores of tracks grouped by {', '.join(subsets.GROUPS)}, in terciles"
    add("--subsets", action="store_true", help=text)
    for name in subsets.GROUPS:
        text = f"greatest {name} of the first and second group (implies --subsets)"
        add(f"--{name}-limits", nargs=2, type=float, metavar=("FIRST", "SECOND"), help=text)
    add("--hota", action="store_true", help="add HOTA, DetA, AssA and others")
    text = f"""least score of the predictions that HOTA, which ignores scores, takes (default:
        {SCORE_THRESHOLD}; implies --hota)"""
    add("--score-threshold", type=terminal.number(least=0, most=1), metavar="SCORE", help=text)
    text = f"""add DAVIS's J of each video, with so many of its predictions, the best scores first,
        assigned to true tracks (default: {PROPOSALS}; 1: the most confident one alone)"""
    add("--j", nargs="?", const=PROPOSALS, type=terminal.COUNT, metavar="PROPOSALS", help=text)


@terminal.command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Score, write the scores and print the table."""
    ytvis_eval.check_area_limits(options.area_limits)
    limits = {name: getattr(options, f"{name}_limits") for name in subsets.GROUPS}
    limits = {name: pair for name, pair in limits.items() if pair is not None}
    subsets.check_subset_limits(limits)
    wants_hota = options.hota or options.score_threshold is not None
    if wants_hota:
        trackeval_hota()  # that it is installed
    inputs = [options.gt, options.results]
    refuse_existing(options.output, overwrite=options.overwrite, inputs=inputs)
    gt = load_annotated(options.gt)
    results = load_results(options.results, gt, skip_unknown=options.unknown_categories == "skip")
    scores = ytvis_eval.evaluate_tracks(gt, results, area_limits=options.area_limits)
    tables, content = [ytvis_eval.scores_table(scores)], ytvis_eval.scores_as_json(scores)
    content["scored_on"] = {
        "videos": len(gt.videos),
        "tracks": len(gt.tracks or ()),
        "area_limits": options.area_limits,
        "sha256": _digest([*gt.categories, *(gt.tracks or ())]),
    }
    content["results_sha256"] = _digest(results) if results else None  # seeds may find nothing
    if options.errors:
        errors = break_down_errors(gt, results)
        tables.append(errors_table(errors))
        content["errors"] = {"AP50": errors.ap50, "gains": errors.gains, "counts": errors.counts}
    if options.subsets or limits:
        groups = subsets.score_subsets(gt, results, limits=limits)
        tables.append(subsets.subsets_table(groups))
        content["subsets"] = {name: asdict(scores) for name, scores in groups.items()}
    if wants_hota:
        threshold = SCORE_THRESHOLD if options.score_threshold is None else options.score_threshold
        hota = score_hota(gt, results, score_threshold=threshold)
        tables.append(hota_table(hota))
        content["hota"] = asdict(hota)
    if options.j is not None:
        regions = score_regions(gt, results, proposals=options.j)
        tables.append(regions_table(regions))
        content["J"] = asdict(regions)
    content = ytvis_eval.without_nan(content)
    write_json(options.output, content, overwrite=options.overwrite, indent=2)
    terminal.say("\n\n".join(tables))


def _digest(entries: list) -> str:
    """Tells what was read from other content, in whatever order and notation a file has it."""
    return hashlib.sha256("\n".join(sorted(map(repr, entries))).encode()).hexdigest()
