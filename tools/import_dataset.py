"""Turn annotations of other formats into a YouTube-VIS file, which training and evaluation take.

    python tools/import_dataset.py davis DAVIS --subfolder 480p --output davis.json
    python tools/import_dataset.py mots instances_txt --images image_02 --output mots.json

KIND is davis (also YouTube-VOS: a PNG of object numbers a frame), mots (text files or 16-bit PNGs),
coco-tracks (a COCO file with track ids), cvat (CVAT for video 1.1) or labelme (a JSON a frame).
Frames are not copied: DATASETS.CUSTOM takes the two paths of the last line of the summary.
"""

from __future__ import annotations

import argparse
import inspect
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.data.categories import (
    OVIS_CATEGORIES,
    YTVIS_2019_CATEGORIES,
    YTVIS_2021_CATEGORIES,
)
from simplevtr.formats.files import refuse_existing
from simplevtr.importing import (
    FRAMES,
    GAPS,
    READERS,
    UNGROUPED,
    parse_classes,
    summary_table,
    with_categories,
    write_ytvis,
)
from simplevtr.terminal import command_parser, run_command, say

CATEGORIES = {
    "ytvis_2019": YTVIS_2019_CATEGORIES,
    "ytvis_2021": YTVIS_2021_CATEGORIES,
    "ovis": OVIS_CATEGORIES,
}
# Options that only some kinds have.
SPECIAL = (
    "crowds",
    "frames",
    "void",
    "subfolder",
    "videos",
    "classes",
    "gaps",
    "ungrouped",
    "labels_with_number",
)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_command(_parser(), run, arguments)


def run(options: argparse.Namespace) -> None:
    """Read, write and print the summary."""
    refuse_existing(options.output, overwrite=options.overwrite)
    if not options.source.exists():
        raise FileNotFoundError(f"{options.source}: no such file or folder")
    reader = READERS[options.kind]
    dataset = reader(options.source, images=options.images, **_special(options, reader))
    if options.categories is not None:
        dataset = with_categories(dataset, list(CATEGORIES[options.categories]))
    write_ytvis(
        dataset,
        options.output,
        description=f"imported from {options.kind}: {options.source.absolute().name!a}",
        overwrite=options.overwrite,
    )
    say(summary_table(dataset))
    # Absolute, as DATASETS.CUSTOM takes paths from another folder than this one.
    say(f"{options.output.absolute()}, frames below {dataset.image_root.absolute()}")


def _special(options: argparse.Namespace, reader: object) -> dict:
    """The options of this kind that were given."""
    given = {name: getattr(options, name) for name in SPECIAL}
    given = {name: value for name, value in given.items() if value is not None}
    unknown = given.keys() - inspect.signature(reader).parameters.keys()
    if unknown:
        raise ValueError(f"{options.kind} has no option --{min(unknown).replace('_', '-')}")
    if "classes" in given:
        given["classes"] = parse_classes(given["classes"])
    return given


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    parser.add_argument("kind", metavar="KIND", choices=READERS, help=", ".join(READERS))
    parser.add_argument("source", metavar="SOURCE", type=Path, help="a file or folder of the kind")
    parser.add_argument("--output", required=True, type=Path, help="the YouTube-VIS JSON to write")
    parser.add_argument(
        "--images",
        type=Path,
        help="folder of the videos' frames, which the file names in the output start at (default: "
        "davis SOURCE/JPEGImages, coco-tracks the file's folder, labelme SOURCE, mots "
        "SOURCE if it has VIDEO/gt/gt.txt and VIDEO/img1; other mots and cvat need it)",
    )
    parser.add_argument(
        "--categories",
        choices=CATEGORIES,
        help="number the categories as this dataset does, by name, and leave out tracks of others",
    )
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the output file if it exists"
    )
    _add_options_of_kinds(parser)
    return parser


def _add_options_of_kinds(parser: argparse.ArgumentParser) -> None:
    """``SPECIAL``, each below the kind that has it."""
    group = parser.add_argument_group("davis")
    group.add_argument(
        "--frames",
        choices=FRAMES,
        help="also labelme: frames without annotation are left out (annotated, the default) or are "
        "frames without objects (all)",
    )
    group.add_argument("--void", type=int, help="index of void pixels, -1 for none (default: 255)")
    group.add_argument("--subfolder", help="folder above the videos, as 480p in DAVIS")
    group.add_argument("--videos", type=Path, help="text file of the names of the videos to take")
    group = parser.add_argument_group("coco-tracks")
    group.add_argument(
        "--crowds",
        action="store_const",
        const=True,
        help="import crowds as objects; some tools write iscrowd 1 for every mask that is an RLE",
    )
    group = parser.add_argument_group("mots")
    group.add_argument(
        "--classes",
        nargs="+",
        metavar="NUMBER=NAME",
        help="names of the classes (default: 1=car 2=pedestrian); class 10, regions to ignore, is "
        "left out unless named here",
    )
    group = parser.add_argument_group("cvat")
    group.add_argument(
        "--gaps",
        choices=GAPS,
        help="frames for which a track lists no shape show no object (absent, the default) or the "
        "last shape (hold)",
    )
    group = parser.add_argument_group("labelme")
    group.add_argument(
        "--ungrouped",
        choices=UNGROUPED,
        help="shapes without group_id are refused (error, the default), belong to one track a "
        "label (label) or are left out (drop)",
    )
    group.add_argument(
        "--labels-with-number",
        action="store_const",
        const=True,
        help="take labels such as bus-1 and bus-2 for tracks 1 and 2 of the category bus",
    )


if __name__ == "__main__":
    sys.exit(main())
