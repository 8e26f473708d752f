"""``python -m simplevtr.data.doctor``: what is wrong with a dataset in YouTube-VIS format?

    python -m simplevtr.data.doctor train.json --images train/JPEGImages --against valid.json

Prints a table of defects. The exit status is 0 if there are none, 1 if there are some, and 2 if
the file cannot be read or the command is wrong. The file itself is never changed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from simplevtr.data.doctor import report
from simplevtr.data.doctor.catalogue import CATALOGUE
from simplevtr.data.doctor.contact_sheets import sheet_paths, write_contact_sheets
from simplevtr.data.doctor.examination import Examination, Settings, examine
from simplevtr.data.doctor.findings import Findings
from simplevtr.data.doctor.leaks import Split, read_split
from simplevtr.data.doctor.sources import check_targets, resolve
from simplevtr.formats.checks import check_outline
from simplevtr.formats.files import read_json, write_bytes
from simplevtr.terminal import command_parser, number, run_command, say

CLEAN, DEFECTIVE = 0, 1


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_command(_parser(), run, arguments)


def run(options: argparse.Namespace) -> int:
    """Examine, report and repair as the options say; return the exit status.

    Raises:
        ValueError, OSError: something cannot be read or written, or the options are wrong.
    """
    findings = Findings(ignored=options.ignore)
    source = resolve(options.dataset, options.config_file)
    json_file, image_root = (
        source.json_file,
        _image_root(options.images or source.image_root, options),
    )
    targets = [path for path in (options.json, options.fix) if path is not None]
    check_targets(targets, json_file, overwrite=options.overwrite)
    if options.crowds and options.fix is None:
        raise ValueError("--crowds is about the repaired copy: add --fix OUT")
    sheets = None
    if options.contact_sheet is not None:
        if image_root is None:
            raise ValueError("--contact-sheet needs the images: add --images ROOT")
        sheets = sheet_paths(options.contact_sheet, overwrite=options.overwrite)
    settings = Settings(
        image_root=image_root,
        decode=options.decode,
        workers=options.workers,
        box_tolerance=options.box_tolerance,
        dataset_name=source.dataset_name,
        others=_other_splits(options, json_file, image_root),
        repair=options.fix is not None or sheets is not None,
        crowds=options.crowds,
    )
    examination = examine(_read(json_file), settings, findings)
    say(report.summary(examination, json_file, image_root) + "\n")
    say(report.table(examination, examples=options.examples))
    content = report.as_json(examination, json_file, image_root)
    if options.fix is not None:
        content["repaired"] = _fix(options.fix, examination, settings)
    if sheets is not None:
        count = write_contact_sheets(
            examination.repaired, image_root, sheets, most_videos=options.max_videos
        )
        say(f"\nwrote {count} pictures into {sheets}")
    if options.json is not None:
        _write_json(options.json, content, indent=2)
    return DEFECTIVE if findings.counts else CLEAN


def _read(path: str) -> dict[str, Any]:
    """The content of an annotation file, of which only the outermost lists have been checked."""
    content = read_json(path, lazy="annotations")
    check_outline(content, path, empty=True)
    return content


def _fix(target: str, examination: Examination, settings: Settings) -> dict[str, Any]:
    """Write the repaired copy, if it is one; return what the report says of it."""
    findings, repaired = examination.findings, examination.repaired
    again = Settings(box_tolerance=settings.box_tolerance, dataset_name=settings.dataset_name)
    left = examine(repaired, again, Findings(ignored=findings.ignored)).findings
    if repaired["videos"] and repaired["categories"]:
        _write_json(target, repaired)
        say("\n" + report.repair_table(findings, left, target))
    else:
        say(f"\nnothing would be left of the file: {target} is not written")
    return report.repairs_as_json(findings, left, target)


def _write_json(path: str, content: Any, *, indent: int | None = None) -> None:
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, allow_nan=False, indent=indent, separators=separators)
    write_bytes(path, (text + "\n" * bool(indent)).encode("ascii"), overwrite=True)


def _image_root(root: str | None, options: argparse.Namespace) -> str | None:
    if options.no_images or root is None:
        return None
    if not os.path.isdir(root):
        raise FileNotFoundError(f"the image root {root} is not a folder; see --images, --no-images")
    return root


def _other_splits(
    options: argparse.Namespace, json_file: str, image_root: str | None
) -> tuple[Split, ...]:
    roots = options.against_images
    if len(roots) > 1 and len(roots) != len(options.against):
        raise ValueError(
            f"--against-images names {len(roots)} folders for {len(options.against)} files; "
            "name one for all or one each"
        )
    splits = []
    for index, name in enumerate(options.against):
        source = resolve(name, options.config_file)
        if os.path.realpath(source.json_file) == os.path.realpath(json_file):
            raise ValueError(f"--against {name} is the file that is examined")
        root = roots[index % len(roots)] if roots else source.image_root
        root = _image_root(root if image_root is not None else None, options)
        splits.append(read_split(_read(source.json_file), source.json_file, root))
    return tuple(splits)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser("doctor", __doc__)
    add, count = parser.add_argument, number(int, least=1)
    add("dataset", metavar="DATASET|JSON", help="annotation file, or name of a registered dataset")
    add("--images", metavar="ROOT", help="folder that the file names start at; reads all frames")
    add("--no-images", action="store_true", help="leave the images of a registered dataset alone")
    add(
        "--decode", action=argparse.BooleanOptionalAction, default=True,
        help="decode images whole (the default), or read only their headers, in which an image "
        "that is cut short looks whole",
    )  # fmt: skip
    add("--against", nargs="+", default=[], metavar="OTHER", help="splits to be free of its videos")
    add(
        "--against-images", nargs="+", default=[], metavar="ROOT",
        help="their image roots, one for all or one each",
    )  # fmt: skip
    add("--config-file", default="", help="config whose DATASETS.CUSTOM names the dataset")
    add("--json", metavar="REPORT", help="write the report as JSON")
    add("--fix", metavar="OUT", help="write a repaired copy")
    add("--crowds", action="store_true", help="crowds become objects in it (iscrowd 0)")
    add("--contact-sheet", metavar="FOLDER", help="draw the true masks, one picture for a video")
    add("--max-videos", type=count, metavar="N", help="pictures of the first N videos only")
    add("--overwrite", action="store_true", help="replace files that exist, never the input")
    add(
        "--ignore", nargs="+", default=[], metavar="DEFECT",
        help="defects that are neither counted nor repaired",
    )  # fmt: skip
    add("--examples", type=count, default=3, metavar="N", help="shown of each defect (3)")
    add(
        "--box-tolerance", type=number(float, least=0), default=2.0, metavar="PIXELS",
        help="by which a side of a box may lie elsewhere than that of the mask (2)",
    )  # fmt: skip
    add("--workers", type=count, metavar="N", help="threads and processes (the CPU's cores)")
    add("--list", action=_List, help="print all defects that are known, and exit")
    return parser


class _List(argparse.Action):
    """Prints the catalogue, as --help prints the options."""

    def __init__(self, **settings):
        super().__init__(nargs=0, **settings)

    def __call__(self, parser, *_):
        say(CATALOGUE.rstrip("\n"))
        parser.exit()


if __name__ == "__main__":
    sys.exit(main())
