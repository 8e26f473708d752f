r"""Count what an annotation file in YouTube-VIS format holds, as the appendix of the paper does.

    python tools/analyze_dataset.py ytvis_2021/train.json --output analysis

Prints tables of the instances of a video, the most instances in a single frame, the frames of a
video and the videos of each category, and the sizes of a model that they suggest. With --output,
the folder gets them as analysis.md, and categories.png, instances.png and frames.png.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from statistics import fmean, median_low
from typing import Any, NamedTuple

from simplevtr.formats.files import refuse_existing, write_bytes
from simplevtr.formats.ytvis import read_annotations
from simplevtr.terminal import command, counted, markdown_table, number, say, table_cell
from simplevtr.toolbox import statistics
from simplevtr.toolbox.statistics import VideoSummary, summarize_videos

SINGLE_ROWS = 10  # numbers of instances with a row each; further rows double
MOST_BARS = 100  # in the picture of the categories


class Section(NamedTuple):
    """A table and, where there is a folder for it, a picture."""

    heading: str
    table: str
    picture: str  # its file name
    label: str  # what the names of its bars are
    bars: Sequence[tuple[str, int]]  # name and number; without any, there is no picture


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("json", type=Path, metavar="JSON", help="annotation file, .json or .json.gz")
    add("--output", type=Path, metavar="FOLDER", help="folder for analysis.md and pictures")
    share, default = number(Fraction, above=0, most=1), Fraction(98, 100)
    text = "share of the videos that the suggested sizes fit (default: 0.98, as in the paper)"
    add("--coverage", type=share, default=default, metavar="SHARE", help=text)
    for what, rows in (("instance", "1 2 ... 10 20 40 ..."), ("frame", "1 2 4 8 16 ...")):
        text = f"last number of {what}s of each row of the table (default: {rows})"
        add(f"--{what}-bins", type=int, nargs="+", metavar="N", help=text)
    add("--overwrite", action="store_true", help="replace the files if they exist")


@command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Read the file, write the folder, if any, and print the analysis as Markdown."""
    file = read_annotations(options.json)
    videos = summarize_videos(file)
    names = {category.id: table_cell(category.name) for category in file.categories}
    annotated = file.annotations is not None
    if options.instance_bins and not annotated:
        raise ValueError(f"--instance-bins: {options.json} has no annotations to count")
    lengths = [video.length for video in videos]
    sections = [_counts("Frames of a video", "frames", lengths, options.frame_bins, singles=1)]
    if annotated:
        bins, title = options.instance_bins, "Most instances in a single frame of a video"
        instances = [video.instances for video in videos]
        in_frame = [video.most_in_frame for video in videos]
        sections = [
            _counts("Instances of a video", "instances", instances, bins),
            _counts(title, "in a frame", in_frame, bins),
            *sections,
            _categories(videos, names),
        ]
    drawn = [section for section in sections if options.output and section.bars]
    for name in ("analysis.md", *(section.picture for section in drawn)) if drawn else ():
        refuse_existing(options.output / name, overwrite=options.overwrite)
    parts = [f"# {table_cell(options.json.name)}", _overview(videos, len(names), annotated)]
    for section in sections:
        picture = [f"![{section.heading}]({section.picture})"] if section in drawn else []
        parts += [f"## {section.heading}", *picture, section.table]
    parts += _sizes_part(videos, len(names), options.coverage, annotated)
    text = "\n\n".join(parts)
    if drawn:
        # Only here: it takes seconds to import.
        from simplevtr.visualization.plots import draw_counts, write_figure

        for section in drawn:
            figure = draw_counts(section.bars, title=section.heading, label=section.label)
            write_figure(figure, options.output / section.picture, overwrite=options.overwrite)
        path = options.output / "analysis.md"
        write_bytes(path, f"{text}\n".encode(), overwrite=options.overwrite)
    say(text)


def _overview(videos: Sequence[VideoSummary], categories: int, annotated: bool) -> str:
    lengths = [video.length for video in videos]
    counts = {"videos": len(videos), "frames": sum(lengths)}
    counts |= {"instances": sum(v.instances for v in videos)} if annotated else {}
    counts |= {"categories": categories}
    nothing = "" if annotated else "\nThe file has no annotations, so instances cannot be counted."
    return (
        f"{', '.join(counted(n, what) for what, n in counts.items())}.\n"
        f"A video has {min(lengths)} to {max(lengths)} frames, {fmean(lengths):.1f} on average, "
        f"median {median_low(lengths)}.{nothing}"
    )


def _counts(
    heading: str,
    unit: str,
    numbers: Sequence[int],
    bounds: list[int] | None,
    singles: int = SINGLE_ROWS,
) -> Section:
    """A table of the paper's form, the longest videos first, and a picture.

    Instances in a frame have neither a picture nor a sum.
    """
    bounds = bounds or statistics.doubling_bounds(singles, max(numbers))
    bins = statistics.bins_up_to(bounds, numbers)
    step = -1 if unit == "frames" else 1
    rows = statistics.count_table(numbers, bins[::step])
    heads = [unit, "videos", "%", "cumulative", "cumulative %"]
    bars: list[Any] = []
    if unit != "in a frame":
        heads += [f"{unit} in them", *heads[2:]]
        bars = [row[:2] for row in rows[::step]]
    cells = [
        [title, *(f"{n:.2f}" if isinstance(n, float) else f"{n:,}" for n in numbers)]
        for title, *numbers in rows
    ]
    table = markdown_table(heads, [line[: len(heads)] for line in cells])
    return Section(heading, table, f"{unit}.png", heading.lower(), bars)


def _categories(videos: Sequence[VideoSummary], names: dict[int, str]) -> Section:
    """Videos in which each category appears (Figures 2 and 3), the most first, then by id."""
    by_id = Counter(category for video in videos for category in video.categories)
    order = sorted(names, key=lambda key: (-by_id[key], key))
    counts = [(names[key], by_id[key]) for key in order]
    rows = [(name, f"{n:,}", f"{100 * n / len(videos):.2f} %") for name, n in counts]
    table = markdown_table(["category", "videos", "of all videos"], rows)
    label = f"the {MOST_BARS} most frequent" if len(counts) > MOST_BARS else "category"
    text = f"A video counts for each category in it.\n\n{table}"
    return Section("Videos per category", text, "categories.png", label, counts[:MOST_BARS])


def _sizes_part(
    videos: Sequence[VideoSummary], classes: int, coverage: Fraction, annotated: bool
) -> list[str]:
    """The config keys that the counts suggest, and what each value covers."""
    sizes = statistics.suggest_sizes(videos, coverage)
    lengths = [video.length for video in videos]
    shorter, _ = statistics.share_within(lengths, sizes.clip_frames - 1)
    fitting, _ = statistics.share_within(lengths, sizes.window)
    share, held = statistics.share_within([video.instances for video in videos], sizes.slots)
    slots = f"{share:.2f} % of the videos have no more instances; they hold {held:.2f} % of the "
    clip = f"{100 - shorter:.2f} % of the videos fill a clip; shorter ones repeat frames"
    if sizes.clip_frames == statistics.PAPER_CLIP:
        clip += "; the paper takes no more"
    window = f"{fitting:.2f} % of the videos fit into one window; longer ones take several"
    if sizes.window == statistics.PAPER_WINDOW:
        window += ", as in the paper"
    rows = [
        ("MODEL.SIMPLEVTR.NUM_CLASSES", str(classes), "categories"),
        ("MODEL.SIMPLEVTR.NUM_QUERIES", str(sizes.slots), f"{slots}instances"),
        ("INPUT.SAMPLING_FRAME_NUM", str(sizes.clip_frames), clip),
        ("TEST.WINDOW", str(sizes.window), window),
    ]
    if not annotated:
        del rows[1]
    alone = (
        "**With one frame a clip, the model learns nothing about tracks.** Take more: the videos "
        "of one frame repeat it, or can be left out."
    )
    return [
        f"## Sizes that cover {float(100 * coverage):.10g} % of the videos",
        markdown_table(["key", "value", "why"], rows, left=3),
        "As config line:",
        "    " + " ".join(f"{key} {value}" for key, value, _ in rows),
        *([alone] if sizes.clip_frames == 1 < max(lengths) else []),
        "More frames than fit into memory are of no use: `tools/plan_memory.py` prints how many "
        "fit.",
    ]
