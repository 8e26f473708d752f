r"""Split an annotation file in YouTube-VIS format into a training and a validation file.

    python tools/split_dataset.py ytvis_2021/train.json --output splits --val-videos 200 --seed 0

Videos are the unit. Categories and lengths are spread evenly. The split follows from the seed and
the names of the videos alone, so that others get the same one; the line "split" identifies it. The
frames stay where they are: both files go with the image folder of the source.
"""

import argparse
import hashlib
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr import __version__
from simplevtr.data.splitting import length_bounds, names_digest, split_videos
from simplevtr.data.statistics import bins_up_to
from simplevtr.formats.files import read_json, refuse_existing, write_bytes
from simplevtr.formats.video_summary import VideoSummary, summarize_videos
from simplevtr.formats.ytvis import parse_annotations
from simplevtr.terminal import command_parser, markdown_table, number, run_command, say, table_cell


@dataclass(frozen=True)
class Split:
    """Videos for training and for validation."""

    sides: tuple[list[VideoSummary], list[VideoSummary]]
    parts: list[str]  # names of the two, for messages and tables
    categories: dict[int, str]  # names by id

    def by_category(self) -> list[Counter[int]]:
        """Videos of each category on either side."""
        return [Counter(key for video in side for key in video.categories) for side in self.sides]


def run(options: argparse.Namespace) -> None:
    """Split, write both files and print the table."""
    paths = _output_paths(options)
    source = str(options.json)
    content = read_json(options.json)
    file = parse_annotations(content, source=source)
    videos = summarize_videos(file)
    left_out = _left_out(videos, options.leave_out_names, source)
    chosen = [video for video in videos if video.name not in left_out]
    groups = None if options.group_by is None else _groups(chosen, options.group_by)
    val_videos = options.val_videos
    if val_videos is None:
        val_videos = int(options.val * len(chosen) + Fraction(1, 2))
    is_val = split_videos(chosen, val_videos=val_videos, seed=options.seed, groups=groups)

    sides = tuple(
        [video for video, val in zip(chosen, is_val, strict=True) if val == side] for side in (0, 1)
    )
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
    contents = []
    for side, name in zip(sides, options.names, strict=True):
        kept = {video.name for video in side}
        contents.append(_part(content, [video.name in kept for video in videos]))
        contents[-1]["info"] = _info(content, {**recipe, "part": name})
    _check_frames(contents, source)
    for part, path in zip(contents, paths, strict=True):
        data = (json.dumps(part) + "\n").encode()
        write_bytes(path, data, overwrite=options.overwrite)
    names = {category.id: table_cell(category.name) for category in file.categories}
    split = Split(sides, [table_cell(name) for name in options.names], names)
    say(f"{_table(split)}\n")
    say(f"{len(left_out)} videos left out, {len(set(groups or chosen))} groups")
    say(f"split {recipe['val_names_sha256'][:16]} (videos of {options.names[1]}, SHA-256)")
    say("\n".join(f"wrote {path}" for path in paths))
    for warning in _warnings(split, val_videos, annotated=file.annotations is not None):
        say(f"split_dataset.py: warning: {warning}", sys.stderr)


def _output_paths(options: argparse.Namespace) -> list[Path]:
    for name in options.names:
        if name in ("", ".", "..") or re.search(r"[/\\\0]", name):
            raise ValueError(f"--names: {name!r} is not a file name (.json is added)")
    if options.names[0].lower() == options.names[1].lower():
        raise ValueError(f"--names: both files would be {options.names[0]}.json")
    paths = [options.output / f"{name}.json" for name in options.names]
    for path in paths:
        if path.resolve() == options.json.resolve():
            raise ValueError(f"{path} is the file to split; choose another --output or --names")
        refuse_existing(path, overwrite=options.overwrite)
    return paths


def _left_out(videos: Sequence[VideoSummary], file: Path | None, source: str) -> set[str]:
    """Names of the videos that the file leaves out."""
    if file is None:
        return set()
    try:
        names = {line.strip() for line in file.read_text(encoding="utf-8").splitlines()} - {""}
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: is not text in UTF-8: {error}") from error
    if unknown := sorted(names - {video.name for video in videos}):
        raise ValueError(
            f"{file}: {len(unknown)} names are no video of {source}, the first {unknown[0]!r}; "
            f"a name is the folder of a video's frames, such as {videos[0].name!r}"
        )
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


def _part(content: dict[str, Any], keep: list[bool]) -> dict[str, Any]:
    """The content with some of its videos and their annotations, everything else as it is."""
    videos = [video for video, kept in zip(content["videos"], keep, strict=True) if kept]
    part = {"info": None, **content, "videos": videos}
    if content.get("annotations") is not None:
        ids = {video["id"] for video in videos}
        part["annotations"] = [a for a in content["annotations"] if a["video_id"] in ids]
    return part


def _check_frames(parts: list[dict[str, Any]], source: str) -> None:
    """No frame is on both sides."""
    files = [{f for video in part["videos"] for f in video["file_names"]} for part in parts]
    if shared := sorted(files[0] & files[1]):
        raise ValueError(
            f"{source}: {len(shared)} frames, such as {shared[0]}, are in videos of both sides; "
            "keep such videos together with --group-by, or leave some out"
        )


def _info(content: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    info = content.get("info")
    if info is not None and not isinstance(info, dict):
        info = {"source_info": info}
    return {**(info or {}), "split": recipe}


def _table(split: Split) -> str:
    """Videos on each side: all of them, by category and by length."""

    def row(title: str, counts: list[int]) -> list[str]:
        share = f"{100 * counts[1] / sum(counts):.1f} %" if sum(counts) else "-"
        return [title, str(sum(counts)), *map(str, counts), share]

    by_category = split.by_category()
    rows = [row("all", [len(side) for side in split.sides])]
    rows += [row(name, [c[key] for c in by_category]) for key, name in split.categories.items()]
    if any(bare := [sum(not video.categories for video in side) for side in split.sides]):
        rows.append(row("(no annotation)", bare))
    lengths = [video.length for side in split.sides for video in side]
    for span, inside in bins_up_to(length_bounds(lengths), lengths):
        counts = [sum(video.length in inside for video in side) for side in split.sides]
        rows.append(row(f"{span} frames", counts))
    return markdown_table(["videos", "all", *split.parts, f"in {split.parts[1]}"], rows)


def _warnings(split: Split, val_videos: int, *, annotated: bool) -> list[str]:
    if not annotated:
        return ["the file has no annotations; the videos were split by length alone"]
    train, val = split.by_category()
    total, names = train + val, split.categories
    several = [key for key in names if total[key] > 1]
    cases = {
        "have no video": [key for key in names if not total[key]],
        "have one video only, so one side has none": [key for key in names if total[key] == 1],
        f"have no video in {split.parts[1]}": [key for key in several if not val[key]],
        f"have no video in {split.parts[0]}": [key for key in several if not train[key]],
    }
    lists = {what: ", ".join(names[key] for key in keys) for what, keys in cases.items() if keys}
    warnings = [f"categories that {what}: {keys}" for what, keys in lists.items()]
    if (found := len(split.sides[1])) != val_videos:
        warnings.append(f"groups do not add up to {val_videos} videos; took {found}")
    return warnings


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not a regular expression: {error}") from None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = command_parser(__file__, __doc__)
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
    what = "names of videos, a line each, that go to neither side"
    add("--leave-out-names", type=Path, metavar="FILE", help=what)
    add("--overwrite", action="store_true", help="replace the files if they exist")
    return run_command(parser, run, arguments)


if __name__ == "__main__":
    sys.exit(main())
