r"""Split an annotation file in YouTube-VIS format into a training and a validation file.

    python tools/split_dataset.py ytvis_2021/train.json --output splits --val-videos 200 --seed 0

Videos are the unit. Categories and lengths are spread evenly. The split follows from the seed and
the videos' names, lengths and categories alone, so that others get the same one; the line "split"
identifies it. The frames stay where they are: both files go with the image folder of the source.
"""

import argparse
import hashlib
import logging
import os
import re
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from simplevtr import __version__
from simplevtr.formats.files import json_bytes, read_json, refuse_existing, write_bytes
from simplevtr.formats.paths import with_slashes
from simplevtr.formats.ytvis import parse_annotations
from simplevtr.terminal import command, counted, markdown_table, number, say, table_cell
from simplevtr.toolbox.splitting import length_bounds, names_digest, split_videos
from simplevtr.toolbox.statistics import VideoSummary, bins_up_to, summarize_videos

logger = logging.getLogger(__name__)

Sides = Sequence[Sequence[VideoSummary]]  # the videos for training, and those for validation
_Count = tuple[str, list[int]]  # what is counted, and how many videos of each side have it


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("json", type=Path, metavar="JSON", help="annotation file, .json or .json.gz")
    add("--output", required=True, type=Path, metavar="FOLDER", help="where both files go")
    share, size = number(Fraction, above=0, below=1), parser.add_mutually_exclusive_group()
    what = "share of the videos for validation (default: 0.1)"
    size.add_argument("--val", type=share, default=Fraction(1, 10), metavar="SHARE", help=what)
    size.add_argument("--val-videos", type=int, metavar="N", help="or their number")
    add("--seed", type=int, default=0, help="another seed gives another split (default: 0)")
    what = "of the two files, without .json (default: train val)"
    add("--names", nargs=2, default=["train", "val"], metavar=("TRAIN", "VAL"), help=what)
    what = (
        "videos in whose names it finds the same text stay together, such as '^[^_]+'; with "
        "parentheses, the text inside them counts"
    )
    add("--group-by", type=_pattern, metavar="REGEX", help=what)
    what = "folders of videos (or first frames), a line each, that go to neither side"
    add("--leave-out-names", type=Path, metavar="FILE", help=what)
    add("--overwrite", action="store_true", help="replace the files if they exist")


@command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Split, write both files and print the table."""
    paths = _output_paths(options)
    content = read_json(options.json)
    file = parse_annotations(content, source=str(options.json))
    videos = summarize_videos(file)
    left_out = _left_out(videos, options.leave_out_names, file.source)
    chosen = [video for video in videos if video.name not in left_out]
    groups = _groups(chosen, options.group_by) if options.group_by else ()
    val_videos = options.val_videos
    if val_videos is None:
        val_videos = int(options.val * len(chosen) + Fraction(1, 2))
    is_val = split_videos(chosen, val_videos=val_videos, seed=options.seed, groups=groups)

    sides = [[v for v, val in zip(chosen, is_val, strict=True) if val == side] for side in (0, 1)]
    recipe = {
        "source": options.json.name,
        "source_sha256": hashlib.sha256(options.json.read_bytes()).hexdigest(),
        "tool": f"simplevtr {__version__}, tools/split_dataset.py",
        "seed": options.seed,
        "val_videos": val_videos,
        "group_by": options.group_by and options.group_by.pattern,
        "left_out_videos": len(left_out),
        "left_out_sha256": names_digest(left_out),
        "val_names_sha256": names_digest(video.name for video in sides[1]),
    }
    parts = []
    for side, name in zip(sides, options.names, strict=True):
        kept = {video.name for video in side}
        ids = {v.id for v, summary in zip(file.videos, videos, strict=True) if summary.name in kept}
        parts.append(_part(content, ids, {**recipe, "part": name}))
    files = [
        {with_slashes(name) for video in part["videos"] for name in video["file_names"]}
        for part in parts
    ]
    if shared := sorted(files[0] & files[1]):
        what = f"{len(shared)} frames, such as {shared[0]}, are in videos of both sides"
        raise ValueError(f"{file.source}: {what}; use --group-by or --leave-out-names")
    try:
        texts = [json_bytes(part) for part in parts]  # both before any is written
    except ValueError as error:  # in keys that the format does not have, which are not checked
        what = "holds a number that is NaN or infinite, which simplevtr doctor repairs"
        raise ValueError(f"{file.source}: {what}") from error
    for text, path in zip(texts, paths, strict=True):
        write_bytes(path, text, overwrite=options.overwrite)
    found = [Counter(key for video in side for key in video.categories) for side in sides]
    categories = [(table_cell(c.name), [side[c.id] for side in found]) for c in file.categories]
    names = [table_cell(name) for name in options.names]
    say(f"{_table(sides, names, categories)}\n")
    own_groups = counted(len(set(groups or chosen)), "groups")
    say(f"{counted(len(left_out), 'videos')} left out, {own_groups}")
    say(f"split {recipe['val_names_sha256'][:16]} (videos of {options.names[1]}, SHA-256)")
    say("\n".join(f"wrote {path}" for path in paths))
    warnings = ["the file has no annotations; the videos were split by length alone"]
    if file.annotations is not None:
        warnings = _warnings(names, categories)
        if len(sides[1]) != val_videos:
            warnings.append(f"groups do not add up to {val_videos} videos; took {len(sides[1])}")
    for warning in [*warnings, *_common_folders(files)]:
        logger.warning(warning)


def _output_paths(options: argparse.Namespace) -> list[Path]:
    for name in options.names:
        if name in ("", ".", "..") or re.search(r"[/\\\0]", name):
            raise ValueError(f"--names: {name!r} is not a file name (.json is added)")
    if options.names[0].lower() == options.names[1].lower():
        raise ValueError(f"--names: both files would be {options.names[0]}.json")
    paths = [options.output / f"{name}.json" for name in options.names]
    for path in paths:
        refuse_existing(path, overwrite=options.overwrite, inputs=[options.json])
    return paths


def _left_out(videos: Sequence[VideoSummary], file: Path | None, source: str) -> set[str]:
    """Names of the videos that the file leaves out."""
    if file is None:
        return set()
    try:
        names = {line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()} - {""}
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: is not text in UTF-8: {error}") from error
    if unknown := sorted(names - {video.name for video in videos}):
        what = f"{len(unknown)} names are not videos of {source}, the first {unknown[0]!r}"
        raise ValueError(f"{file}: {what}; a name is a folder such as {videos[0].name!r}")
    kept = len(videos) - len(names)
    if kept < 2:
        raise ValueError(f"{file}: leaves {kept} videos; two are needed")
    return names


def _groups(videos: Sequence[VideoSummary], pattern: re.Pattern[str]) -> list[str]:
    """For each video what the pattern finds in its name: its parentheses, or all of it."""
    groups = []
    for video in videos:
        match = pattern.search(video.name)
        if match is None:
            raise ValueError(f"--group-by {pattern.pattern!r} finds nothing in {video.name!r}")
        parts = match.groups() or (match.group(),)
        groups.append("\n".join(part or "" for part in parts))
    return groups


def _part(content: dict[str, Any], ids: set[int], recipe: dict[str, Any]) -> dict[str, Any]:
    """The content with the videos of these ids and their annotations, all else as it is."""
    info = content.get("info")
    if not isinstance(info, dict):
        info = {} if info is None else {"source_info": info}
    part = {**content, "info": {**info, "split": recipe}}
    part["videos"] = [video for video in content["videos"] if video["id"] in ids]
    if content.get("annotations") is not None:
        part["annotations"] = [a for a in content["annotations"] if a["video_id"] in ids]
    return part


def _table(sides: Sides, names: list[str], categories: Sequence[_Count]) -> str:
    """Videos on each side: all of them, by category and by length."""
    lengths = [video.length for side in sides for video in side]
    rows: list[_Count] = [("all", [len(side) for side in sides]), *categories]
    bare = [sum(not video.categories for video in side) for side in sides]
    rows += [("(no annotation)", bare)] if any(bare) else []
    for span, inside in bins_up_to(length_bounds(lengths), lengths):
        counts = [sum(video.length in inside for video in side) for side in sides]
        rows.append((f"{span} frames", counts))
    cells = [
        [title, f"{sum(n)}", *map(str, n), f"{100 * n[1] / sum(n):.1f} %" if sum(n) else "-"]
        for title, n in rows
    ]
    return markdown_table(["videos", "all", *names, f"in {names[1]}"], cells)


def _warnings(names: list[str], categories: Sequence[_Count]) -> list[str]:
    cases: dict[str, list[str]] = {}
    for category, counts in categories:
        if 0 not in counts:
            continue
        case = f"have no video in {names[counts.index(0)]}"
        if sum(counts) < 2:
            single = "have one video only, so one side has none"
            case = single if sum(counts) else "have no video"
        cases.setdefault(case, []).append(category)
    return [f"categories that {what}: {', '.join(found)}" for what, found in cases.items()]


def _common_folders(files: Sequence[set[str]]) -> list[str]:
    """A warning where both sides have frames of the same folders, unless there is only one."""
    train, val = ({os.path.dirname(name) for name in names} for names in files)
    if not (common := sorted(train & val)) or len(train | val) == 1:
        return []
    found = f"{counted(len(common), 'folders')}, such as {common[0]}, have frames on both sides"
    return [f"{found}; if these are parts of one video, --group-by '^.*/' keeps them together"]


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None
