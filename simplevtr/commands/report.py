r"""Write a report on predicted tracks: web pages that open from disk, without a server.

    python tools/report.py --gt valid.json --results results.json --images valid/JPEGImages \
        --output report

Then open report/index.html. It shows the scores, precision-recall curves, a table of all videos,
the worst and the best videos with their true and predicted tracks, which categories are confused,
and identity switches. Without ground truth, as for the public validation sets, it shows the
predicted tracks alone: give the annotation file of the set with ``--gt`` or, if annotations in it
are not to be used, with ``--video-list``.
"""

import argparse
import sys
from dataclasses import fields
from pathlib import Path

from simplevtr import terminal
from simplevtr.evaluation.ytvis_eval import AREA_LIMITS
from simplevtr.formats.files import read_json
from simplevtr.formats.results import load_results
from simplevtr.formats.ytvis import check_ground_truth, load_ground_truth, require_objects
from simplevtr.toolbox.report import ReportSettings, write_report
from simplevtr.toolbox.report.folder import check_folder


def _add_options(parser: argparse.ArgumentParser) -> None:
    terminal.add_unknown_categories(parser)
    terminal.add_area_limits(parser, AREA_LIMITS)
    videos = parser.add_mutually_exclusive_group(required=True)
    videos.add_argument("--gt", type=Path, help="annotation file, .json or .json.gz")
    text = "annotation file whose annotations are not used"
    videos.add_argument("--video-list", type=Path, help=text)
    add = parser.add_argument
    add("--results", required=True, type=Path, help=".json, .json.gz, or .zip with results.json")
    add("--images", required=True, type=Path, help="folder that the file names start at")
    add("--output", required=True, type=Path, help="folder to write into")
    add("--overwrite", action="store_true", help="replace an existing report")
    for setting in fields(ReportSettings):
        if setting.metadata:
            flag, default = f"--{setting.name.replace('_', '-')}", setting.default
            text = f"{setting.metadata['help']} (default: %(default)s)"
            metavar = setting.metadata["metavar"]
            add(flag, type=type(default), default=default, metavar=metavar, help=text)


@terminal.command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Read the files and write the report."""
    names = [field.name for field in fields(ReportSettings)]
    settings = ReportSettings(**{name: getattr(options, name) for name in names})
    check_folder(options.output, overwrite=options.overwrite)
    if not options.images.is_dir():
        raise FileNotFoundError(f"folder {options.images} does not exist")
    if options.gt is not None:
        gt = load_ground_truth(options.gt)
        require_objects(gt.source, gt.tracks)
    else:
        content = read_json(options.video_list)
        if isinstance(content, dict):
            content = {**content, "annotations": None}
        gt = check_ground_truth(content, source=str(options.video_list))
    skip = options.unknown_categories == "skip"
    results = load_results(options.results, gt, skip_unknown=skip)
    if gt.tracks:  # takes minutes
        terminal.say(f"scoring {len(results)} tracks of {len(gt.videos)} videos", sys.stderr)
    sources = {"results": str(options.results), "annotation file": gt.source}
    index = write_report(
        options.output, gt, results, options.images, settings,
        sources=sources, overwrite=options.overwrite,
    )  # fmt: skip
    terminal.say(f"wrote {index}")
