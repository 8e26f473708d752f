r"""Count what an annotation file in YouTube-VIS format holds, as the appendix of the paper does.

    python tools/analyze_dataset.py ytvis_2021/train.json --output analysis

Prints tables of the instances of a video, the most instances in a single frame, the frames of a
video and the videos of each category, and the sizes of a model that they suggest. With --output,
the folder gets them as analysis.md, and categories.png, instances.png and frames.png.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.data.statistics import (
    Row,
    bins_up_to,
    count_table,
    describe_numbers,
    doubling_bounds,
    share_within,
    suggest_sizes,
    videos_per_category,
)
from simplevtr.formats.files import refuse_existing, write_bytes
from simplevtr.formats.video_summary import VideoSummary, summarize_videos
from simplevtr.formats.ytvis import read_annotations
from simplevtr.terminal import command_parser, number, run_command, say, table_cell

from tabulate import tabulate

SINGLE_ROWS = 10  # numbers of instances with a row each; further rows double
MOST_BARS = 100  # in the picture of the categories


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_command(_parser(), run, arguments)


def run(options: argparse.Namespace) -> None:
    """Read the file, write the folder, if any, and print the analysis as Markdown."""
    file = read_annotations(options.json)
    videos = summarize_videos(file)
    names = {category.id: table_cell(category.name) for category in file.categories}
    annotated = file.annotations is not None
    pictures = _pictures(videos, names, options, annotated)
    if options.output is not None:
        for name in ("analysis.md", *pictures):
            refuse_existing(options.output / name, overwrite=options.overwrite)
    parts = [f"# {table_cell(options.json.name)}", _overview(videos, names, annotated)]
    parts += _tables(videos, names, options, annotated)
    parts += _sizes_part(videos, len(names), options.coverage, annotated)
    text = "\n\n".join(parts)
    if options.output is not None:
        # Only here: it takes seconds to import.
        from simplevtr.visualization.plots import draw_counts

        for name, (bars, title, label) in pictures.items():
            picture = io.BytesIO()
            draw_counts(bars, title=title, label=label).savefig(picture, format="png", dpi=110)
            write_bytes(options.output / name, picture.getvalue(), overwrite=options.overwrite)
        # Surrogates, which JSON can hold and UTF-8 cannot, are written as \udc80.
        data = f"{text}\n".encode("utf-8", "backslashreplace")
        write_bytes(options.output / "analysis.md", data, overwrite=options.overwrite)
    say(text)


def _overview(videos: Sequence[VideoSummary], names: dict[int, str], annotated: bool) -> str:
    frames = describe_numbers([video.length for video in videos])
    counts = f"{len(videos):,} videos, {sum(v.length for v in videos):,} frames"
    if annotated:
        counts += f", {sum(v.instances for v in videos):,} instances"
    counts += f", {len(names)} categories."
    lengths = "A video has {least} to {most} frames, {mean:.1f} on average, median {median}."
    lines = [counts, lengths.format(**frames)]
    if not annotated:
        lines.append("The file has no annotations, so instances cannot be counted.")
    return "\n".join(lines)


def _tables(
    videos: Sequence[VideoSummary],
    names: dict[int, str],
    options: argparse.Namespace,
    annotated: bool,
) -> list[str]:
    """Headings and tables, with the pictures if there is a folder for them."""

    def picture(title: str, name: str) -> list[str]:
        return [f"![{title}]({name})"] if options.output is not None else []

    instances = [video.instances for video in videos]
    most = [video.most_in_frame for video in videos]
    lengths = [video.length for video in videos]
    bounds = options.instance_bins
    frames = [
        "## Frames of a video, the longest first",
        *picture("Videos by frames", "frames.png"),
        _count_table(_rows(lengths, options.frame_bins, 1, longest_first=True), "frames", "frames"),
    ]
    if not annotated:
        return frames
    counts = videos_per_category(videos, names)
    shares = [
        (names[key], f"{count:,}", f"{100 * count / len(videos):.2f} %")
        for key, count in counts.items()
    ]
    return [
        "## Instances of a video",
        *picture("Videos by instances", "instances.png"),
        _count_table(_rows(instances, bounds, SINGLE_ROWS), "instances", "instances"),
        "## Most instances in a single frame of a video",
        _count_table(_rows(most, bounds, SINGLE_ROWS), "in a frame", None),
        *frames,
        "## Videos per category",
        *picture("Videos per category", "categories.png"),
        "A video counts for each category in it.",
        _github(shares, ["category", "videos", "of all videos"]),
    ]


def _sizes_part(
    videos: Sequence[VideoSummary], classes: int, coverage: Fraction, annotated: bool
) -> list[str]:
    """The config keys that the counts suggest, and what each value covers."""
    sizes = suggest_sizes(videos, coverage)
    lengths = [video.length for video in videos]
    shorter, _ = share_within(lengths, sizes.clip_frames - 1)
    rows = [("MODEL.SIMPLEVTR.NUM_CLASSES", classes, "categories")]
    if annotated:
        share, held = share_within([video.instances for video in videos], sizes.slots)
        meaning = f"{share:.2f} % of the videos have no more instances; they hold {held:.2f} %"
        rows.append(("MODEL.SIMPLEVTR.NUM_QUERIES", sizes.slots, f"{meaning} of the instances"))
    rows += [
        (
            "INPUT.SAMPLING_FRAME_NUM",
            sizes.clip_frames,
            f"{100 - shorter:.2f} % of the videos fill a clip; shorter ones repeat frames",
        ),
        (
            "TEST.WINDOW",
            sizes.window,
            f"{share_within(lengths, sizes.window)[0]:.2f} % of the videos fit into one window",
        ),
    ]
    alone = (
        "**With one frame a clip, nothing is learnt of tracks.** Take more: the videos of one "
        "frame repeat it, or can be left out."
    )
    return [
        f"## Sizes that cover {_percent(coverage)} of the videos",
        tabulate(rows, ["key", "value", "why"], tablefmt="github", disable_numparse=True),
        "As config line:",
        "    " + " ".join(f"{key} {value}" for key, value, _ in rows),
        *([alone] if sizes.clip_frames == 1 < max(lengths) else []),
        "Frames beyond what the memory holds are no use: `tools/plan_memory.py` says how many it "
        "holds.",
    ]


def _percent(share: Fraction) -> str:
    return f"{float(100 * share):.10g} %"


def _rows(
    numbers: list[int], bounds: list[int] | None, singles: int, *, longest_first: bool = False
) -> list[Row]:
    if bounds is None:
        bounds = doubling_bounds(singles, max(numbers))
    bins = bins_up_to(bounds, numbers)
    return count_table(numbers, bins[::-1] if longest_first else bins)


def _count_table(rows: Sequence[Row], head: str, unit: str | None) -> str:
    """A table of the paper's form; the running sums of units only where there is a unit."""
    heads = [head, "videos", "%", "cumulative", "cumulative %"]
    cells = [
        [
            row.title,
            f"{row.videos:,}",
            f"{row.video_percent:.2f}",
            f"{row.cum_videos:,}",
            f"{row.cum_video_percent:.2f}",
        ]
        for row in rows
    ]
    if unit is not None:
        heads += [f"{unit} in them", "%", "cumulative", "cumulative %"]
        for line, row in zip(cells, rows, strict=True):
            line += [f"{row.units:,}", f"{row.unit_percent:.2f}"]
            line += [f"{row.cum_units:,}", f"{row.cum_unit_percent:.2f}"]
    return _github(cells, heads)


def _github(rows: Sequence[Sequence[str]], heads: list[str]) -> str:
    align = ["left", *["right"] * (len(heads) - 1)]
    return tabulate(rows, heads, tablefmt="github", disable_numparse=True, colalign=align)


def _pictures(
    videos: Sequence[VideoSummary],
    names: dict[int, str],
    options: argparse.Namespace,
    annotated: bool,
) -> dict[str, tuple[list[tuple[str, int]], str, str]]:
    """By file name what a picture shows: (name, number) bars, its title, and what the names are."""

    def bars(numbers: list[int], bounds: list[int] | None, singles: int) -> list[tuple[str, int]]:
        return [(row.title, row.videos) for row in _rows(numbers, bounds, singles)]

    lengths = bars([video.length for video in videos], options.frame_bins, 1)
    pictures = {"frames.png": (lengths, "Videos by frames", "frames of a video")}
    if annotated:
        counts = [(names[key], n) for key, n in videos_per_category(videos, names).items()]
        most = f", the {MOST_BARS} most frequent" if len(counts) > MOST_BARS else ""
        title = f"Videos per category{most}"
        pictures["categories.png"] = (counts[:MOST_BARS], title, "category")
        instances = bars([v.instances for v in videos], options.instance_bins, SINGLE_ROWS)
        title = "Videos by instances"
        pictures["instances.png"] = (instances, title, "instances of a video")
    return pictures


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    add = parser.add_argument
    add("json", type=Path, metavar="JSON", help="annotation file, .json or .json.gz")
    add("--output", type=Path, metavar="FOLDER", help="folder for analysis.md and pictures")
    add(
        "--coverage",
        type=number(Fraction, above=0, most=1),
        default=Fraction(98, 100),
        metavar="SHARE",
        help="share of the videos that the suggested sizes fit (default: 0.98, as in the paper)",
    )
    for what, rows in (("instance", "1 2 ... 10 20 40 ..."), ("frame", "1 2 4 8 16 ...")):
        add(
            f"--{what}-bins",
            type=int,
            nargs="+",
            metavar="N",
            help=f"last number of {what}s of each row of the table (default: {rows})",
        )
    add("--overwrite", action="store_true", help="replace the files if they exist")
    return parser


if __name__ == "__main__":
    sys.exit(main())
