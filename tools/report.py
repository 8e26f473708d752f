r"""Write a report on predicted tracks: web pages that open from disk, without a server.

    python tools/report.py --gt valid.json --results results.json --images valid/JPEGImages \
        --output report

Then open report/index.html. It shows the scores, precision-recall curves, a table of all videos,
the worst and the best videos with their true and predicted tracks, which categories are confused,
and identity switches. Without ground truth, as for the public validation sets, it shows the
predicted tracks alone: give the annotation file of the set with ``--gt`` or, if annotations in it
are not to be used, with ``--video-list``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.evaluation import AREA_LIMITS, load_ground_truth, load_results
from simplevtr.formats.files import read_json
from simplevtr.formats.ytvis import check_ground_truth
from simplevtr.report import ReportSettings, write_report
from simplevtr.report.folder import check_folder
from simplevtr.terminal import say_error, say_interrupted


def main(arguments: list[str] | None = None) -> int:
    """Write the report; the exit status is 2 after a user's error and 130 after Ctrl-C."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options = _parser().parse_args(arguments)
    try:
        index = run(options)
    except KeyboardInterrupt:
        return say_interrupted("report.py")
    except (ValueError, OSError) as error:
        return say_error("report.py", error)
    print(f"wrote {index}")
    return 0


def run(options: argparse.Namespace) -> Path:
    """Read the files and write the report; the path of its first page."""
    settings = ReportSettings(
        title=options.title,
        iou_threshold=options.iou_threshold,
        score_threshold=options.score_threshold,
        area_limits=options.area_limits,
        videos=options.videos,
        switches=options.switches,
        frame_width=options.frame_width,
        max_frames=options.max_frames,
    )
    check_folder(options.output, overwrite=options.overwrite)
    if not options.images.is_dir():
        raise FileNotFoundError(f"folder {options.images} does not exist")
    if options.gt is not None:
        gt = load_ground_truth(options.gt)
    else:
        gt = _without_annotations(options.video_list)
    return write_report(
        options.output,
        gt,
        load_results(options.results, gt),
        options.images,
        settings,
        sources={
            "results": str(options.results),
            "annotation file": str(options.gt or options.video_list),
        },
        overwrite=options.overwrite,
    )


def _without_annotations(path: Path) -> dict:
    content = read_json(path)
    if isinstance(content, dict):
        content = {**content, "annotations": None}
    return check_ground_truth(content, source=str(path))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    videos = parser.add_mutually_exclusive_group(required=True)
    videos.add_argument("--gt", type=Path, help="annotation file, .json or .json.gz")
    videos.add_argument(
        "--video-list", type=Path, help="annotation file whose annotations are not used"
    )
    add = parser.add_argument
    add("--results", required=True, type=Path, help=".json, .json.gz, or .zip with results.json")
    add("--images", required=True, type=Path, help="folder that the file names start at")
    add("--output", required=True, type=Path, help="folder to write into")
    add("--overwrite", action="store_true", help="replace an existing report")
    _add_settings(parser)
    return parser


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """The options that ``ReportSettings`` has."""
    defaults, add = ReportSettings(), parser.add_argument
    add("--title", default=defaults.title, help="heading of the report")
    add(
        "--videos",
        type=int,
        default=defaults.videos,
        metavar="N",
        help="show N of the worst videos and N of the best (default: %(default)s)",
    )
    add(
        "--switches",
        type=int,
        default=defaults.switches,
        metavar="N",
        help="show N identity switches (default: %(default)s)",
    )
    add(
        "--iou-threshold",
        type=float,
        default=defaults.iou_threshold,
        help="least IoU of tracks that match, except for AP (default: %(default)s)",
    )
    add(
        "--score-threshold",
        type=float,
        default=defaults.score_threshold,
        help="tracks with a lower score count for AP alone (default: %(default)s)",
    )
    add(
        "--area-limits",
        nargs=2,
        type=float,
        default=AREA_LIMITS,
        metavar=("SMALL", "MEDIUM"),
        help="greatest small and greatest medium area in pixels (default: 128^2 256^2)",
    )
    add(
        "--frame-width",
        type=int,
        default=defaults.frame_width,
        metavar="PIXELS",
        help="greatest width of the frames in the report (default: %(default)s)",
    )
    add(
        "--max-frames",
        type=int,
        default=defaults.max_frames,
        metavar="N",
        help="of longer videos show N frames, evenly spaced (default: %(default)s)",
    )


if __name__ == "__main__":
    sys.exit(main())
