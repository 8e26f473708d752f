"""What is wrong with a dataset in YouTube-VIS format?

    simplevtr doctor train.json --images train/JPEGImages --against valid.json

Prints a table of defects. The exit status is 0 if there are none, 1 if there are some, and 2 if
the file cannot be read or the command is wrong. The file itself is never changed.
"""

import argparse
import os
from collections.abc import Sequence
from itertools import cycle
from typing import Any, NamedTuple

from simplevtr.formats.checks import check_lists
from simplevtr.formats.files import check_output, read_json, refuse_existing, write_json
from simplevtr.terminal import COUNT, command, counted, error_text, number, say
from simplevtr.toolbox.doctor.contact_sheets import write_contact_sheets
from simplevtr.toolbox.doctor.examination import Examination, Settings, examine
from simplevtr.toolbox.doctor.findings import CATALOGUE, DEFECTS, MOST_EXAMPLES, Findings, described
from simplevtr.toolbox.doctor.frame_files import Split, read_split

from tabulate import tabulate

CLEAN, DEFECTIVE = 0, 1
_MOST_WIDTH = 200  # characters of an example


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("dataset", metavar="DATASET|JSON", help="annotation file, or name of a registered dataset")
    images = parser.add_mutually_exclusive_group().add_argument
    images("--images", metavar="ROOT", help="folder that the file names start at; reads all frames")
    images("--no-images", action="store_true", help="leave those of a registered dataset alone")
    add("--decode", action=argparse.BooleanOptionalAction, default=True,
        help="decode images whole (the default), or read only their headers, in which an image "
        "that is cut short looks whole")  # fmt: skip
    add("--against", nargs="+", default=[], metavar="OTHER", help="splits to be free of its videos")
    add("--against-images", nargs="+", default=[], metavar="ROOT",
        help="their image roots, one for all or one each")  # fmt: skip
    add("--config-file", default="", help="config whose DATASETS.CUSTOM names the dataset")
    add("--json", metavar="REPORT", help="write the report as JSON")
    add("--fix", metavar="OUT", help="write a repaired copy")
    add("--crowds", action="store_true", help="crowds become objects in it (iscrowd 0)")
    add("--contact-sheet", metavar="FOLDER", help="draw the true masks, one picture for a video")
    add("--max-videos", type=COUNT, metavar="N", help="pictures of the first N videos only")
    add("--overwrite", action="store_true", help="replace files that exist, never the input")
    add("--ignore", nargs="+", default=[], metavar="DEFECT",
        help="defects that are neither counted nor repaired")  # fmt: skip
    add("--examples", type=number(int, least=1, most=MOST_EXAMPLES), default=3, metavar="N",
        help=f"shown of each defect, at most {MOST_EXAMPLES} (3)")  # fmt: skip
    add("--box-tolerance", type=number(float, least=0), default=2.0, metavar="PIXELS",
        help="by which a side of a box may lie elsewhere than that of the mask (2)")  # fmt: skip
    add("--workers", type=COUNT, metavar="N", help="threads that read images (the CPU's cores)")
    add("--list", action="version", version=CATALOGUE,
        help="print all defects that are known, and exit")  # fmt: skip


@command(_add_options)
def main(options: argparse.Namespace) -> int:
    """Examine, report and repair as the options say; return the exit status."""
    findings = Findings(ignored=options.ignore)
    source = resolve(options.dataset, options.config_file)
    root = _image_root(options.images or source.image_root, options)
    others = [resolve(name, options.config_file) for name in options.against]
    _check_targets(options, [other.json_file for other in (source, *others)])
    if options.crowds and options.fix is None:
        raise ValueError("--crowds is about the repaired copy: add --fix OUT")
    sheets = options.contact_sheet
    if options.max_videos is not None and sheets is None:
        raise ValueError("--max-videos is about the drawn masks: add --contact-sheet FOLDER")
    if sheets is not None:
        if root is None:
            raise ValueError("--contact-sheet needs the images: add --images ROOT")
        sheets = check_output(sheets, overwrite=options.overwrite, suffixes=[""])
    settings = Settings(
        image_root=root,
        decode=options.decode,
        workers=options.workers,
        box_tolerance=options.box_tolerance,
        dataset_name=source.dataset_name,
        others=_other_splits(options, others, source.json_file, root),
        repair=options.fix is not None or sheets is not None,
        crowds=options.crowds,
    )
    examination = examine(source.read(), settings, findings)
    totals = examination.totals
    kinds = ("videos", "frames", "tracks", "masks", "categories")
    say(f"{source.json_file}: {', '.join(counted(totals[kind], kind) for kind in kinds)}")
    if root is not None:
        say(f"looked for {counted(totals['frames'], 'images')} in {root}")
    say("\n" + table(examination, examples=options.examples))
    report = {"file": source.json_file, "images": root, **_as_json(examination)}
    if options.fix is not None:
        report["repaired"] = _fix(options.fix, examination, settings)
    if sheets is not None and root is not None:
        repaired, most = examination.repaired, options.max_videos
        count = write_contact_sheets(repaired, root, sheets, most_videos=most)
        say(f"\nwrote {counted(count, 'pictures')} into {sheets}")
    if options.json is not None:
        write_json(options.json, report, overwrite=True, indent=2)
    return DEFECTIVE if findings.counts else CLEAN


def table(examination: Examination, *, examples: int) -> str:
    """The defects, one row each, with so many examples; how many, and what was left out."""
    findings, rows = examination.findings, []
    for name, count in findings.found().items():
        cases = map(described, findings.examples[name][:examples])
        cut = [c if len(c) <= _MOST_WIDTH else c[: _MOST_WIDTH - 3] + "..." for c in cases]
        rows.append([name, DEFECTS[name].severity, f"{count:,}", "\n".join(cut)])
    lines, last = [], "no defects"
    if rows:
        headers = ["defect", "severity", "count", "first examples"]
        align = ("left", "left", "right")
        text = tabulate(rows, headers, tablefmt="simple", disable_numparse=True, colalign=align)
        lines = [*(line.rstrip() for line in text.splitlines()), ""]
        counts = {severity: findings.total(severity) for severity in ("error", "warning")}
        last = " and ".join(counted(n, f"{kind}s") for kind, n in counts.items())
    for what, way in (("not looked at", "--images ROOT"), ("not decoded", "without --no-decode")):
        if examination.totals[what]:
            last += f"; {examination.totals[what]:,} frames were {what} ({way})"
    return "\n".join([*lines, last])


def _as_json(examination: Examination) -> dict[str, Any]:
    findings = examination.findings
    defects = [
        {**DEFECTS[name]._asdict(), "count": count, "examples": findings.examples[name]}
        for name, count in findings.found().items()
    ]
    return {
        "totals": examination.totals,
        "errors": findings.total("error"),
        "warnings": findings.total("warning"),
        "ignored": sorted(findings.ignored),
        "defects": defects,
    }


def _fix(target: str, examination: Examination, settings: Settings) -> dict[str, Any]:
    """Write the repaired copy, if anything is left; return what the report says of it."""
    findings, repaired = examination.findings, examination.repaired
    again = Settings(box_tolerance=settings.box_tolerance, dataset_name=settings.dataset_name)
    left = examine(repaired, again, Findings(ignored=findings.ignored)).findings.found()
    # Of those that videos share with another split, which the copy is not compared with.
    leaks = ("leaked-file", "leaked-name")
    left |= {name: n for name, n in findings.found().items() if name in leaks}
    written = bool(repaired["videos"] and repaired["categories"])
    if written:
        write_json(target, repaired, overwrite=True)
        why = "nothing can be repaired" if left else "nothing needed repair"
        unchanged = f"\nan unchanged copy is in {target}: {why}"
        say(f"\nrepaired in {target}:" if findings.repairs else unchanged)
        for what, count in findings.repairs.items():
            say(f"{count:>9,}  {what}")
        say("left in it:" if left else "no defects are left in it")
        for name, count in left.items():
            say(f"{count:>9,}  {name}")
    else:
        say(f"\nnothing would be left of the file: {target} is not written")
    file = target if written else None
    return {"file": file, "repairs": dict(findings.repairs), "left": left}


class Source(NamedTuple):
    """An annotation file."""

    json_file: str
    image_root: str | None = None  # the folder that its file names start at, None if unknown
    dataset_name: str = ""  # that it is registered under

    def read(self) -> dict[str, Any]:
        """The file's content, of which only the outermost lists have been checked."""
        content = read_json(self.json_file)
        check_lists(content, self.json_file, empty=True)
        return content


def resolve(name: str, config_file: str = "") -> Source:
    """The dataset that a path means, or the name of a registered one (or one of a config).

    A path has a separator, an extension or a file. For "train.json" "train/instances.json" is
    taken, as archives unpack, if that alone exists.
    """
    unpacked = os.path.join(os.path.splitext(name)[0], "instances.json")
    is_path = os.path.basename(name) != name or "." in name
    for path in (name, *[unpacked] * is_path):
        if os.path.isfile(path):
            return Source(path)
    if is_path:
        raise FileNotFoundError(f"annotation file {name} does not exist")
    # Only now, because they import torch and detectron2, which takes seconds.
    from simplevtr.data.builtin import check_registered

    from detectron2.data import MetadataCatalog

    if config_file:
        from simplevtr.run_config import setup_cfg

        setup_cfg(config_file)
    try:
        check_registered([name])
    except KeyError as error:
        raise ValueError(f"there is no file {name}, and {error_text(error)}") from None
    metadata = MetadataCatalog.get(name)
    return Source(metadata.json_file, metadata.image_root, name)


def _check_targets(options: argparse.Namespace, inputs: Sequence[str]) -> None:
    """Raise unless files may be written: never the one that is read, others with --overwrite."""
    targets = [path for path in (options.json, options.fix) if path is not None]
    for target in targets:
        refuse_existing(target, overwrite=options.overwrite, inputs=inputs)
    if len({*map(os.path.realpath, targets)}) < len(targets):
        raise ValueError(f"--fix and --json both name {options.fix}")


def _image_root(root: str | None, options: argparse.Namespace) -> str | None:
    if options.no_images or root is None:
        return None
    if not os.path.isdir(root):
        raise FileNotFoundError(f"the image root {root} is not a folder; see --images, --no-images")
    return root


def _other_splits(
    options: argparse.Namespace, others: Sequence[Source], json_file: str, image_root: str | None
) -> tuple[Split, ...]:
    roots, splits = options.against_images, []
    if roots and not options.against:
        raise ValueError("--against-images are those of another split: it needs --against")
    if len(roots) > 1 and len(roots) != len(options.against):
        found = f"{len(roots)} folders for {len(options.against)} files"
        raise ValueError(f"--against-images names {found}; name one for all or one each")
    for other, root in zip(others, cycle(roots or [None])):
        if os.path.samefile(other.json_file, json_file):
            raise ValueError(f"--against {other.json_file} is the file that is examined")
        root = image_root and _image_root(root or other.image_root, options)
        splits.append(read_split(other.read(), other.json_file, root))
    return tuple(splits)
