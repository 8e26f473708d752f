"""Turn annotations of other formats into a YouTube-VIS file, which training and evaluation take.

    python tools/import_dataset.py davis DAVIS --output davis.json
    python tools/import_dataset.py mots instances_txt --images image_02 --output mots.json

KIND is davis (also YouTube-VOS: a PNG of object numbers for each frame), mots (text files or
16-bit PNGs), coco-tracks (a COCO file with track ids), cvat (CVAT for video 1.1), labelme (a JSON
for each frame), ctc (the Cell Tracking Challenge's TIFFs) or sa-v (its JSON next to an mp4).
Frames are not copied, but for 16-bit TIFFs and SA-V's videos (--write-frames).
DATASETS.CUSTOM takes the two paths of the last line of the summary.
"""

import argparse
import os
from pathlib import Path

from simplevtr.data.categories import DATASET_CATEGORIES
from simplevtr.formats.files import check_output, read_json, refuse_existing
from simplevtr.terminal import command, number, say
from simplevtr.toolbox.importing import READERS, output, read_dataset

# Categories by the name of a dataset without its split.
CATEGORIES = {
    name.rsplit("_", 1)[0]: pairs
    for name, pairs in DATASET_CATEGORIES.items()
    if not name.startswith("coco")
}
# What is done after reading; all other options are those of read_dataset.
LATER = ("output", "overwrite", "categories", "rename", "drop_others")


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("kind", metavar="KIND", choices=READERS, help=", ".join(READERS))
    add("source", metavar="SOURCE", type=Path, help="a file or folder of the kind")
    add("--output", required=True, type=Path, help="the YouTube-VIS JSON to write")
    text = """folder of the videos' frames, which the file names in the output start at (default:
        davis SOURCE/JPEGImages, coco-tracks the file's folder, labelme and ctc SOURCE, mots SOURCE
        if it has VIDEO/gt/gt.txt and VIDEO/img1; other mots and cvat need it, sa-v unless
        --write-frames is given)"""
    add("--images", type=Path, help=text)
    text = """leave out frames that cannot be used, such as those of another size than their video,
        or videos where no single frame is to blame; they are counted"""
    add("--skip-broken", action="store_true", help=text)
    text = f"""take the categories with their ids and order from this annotation file, such as that
        of the training set, or of {", ".join(CATEGORIES)}; names must be equal"""
    add("--categories", metavar="FILE", help=text)
    text = """other names for categories; those of one name become one; "*=object" gives all that
        are not named themselves the name object, as class-agnostic training wants it"""
    add("--rename", nargs="+", metavar="OLD=NEW", default=(), help=text)
    text = "leave out tracks of categories that --categories does not have (default: an error)"
    add("--drop-others", action="store_true", help=text)
    add("--overwrite", action="store_true", help="replace the output, and files of --write-frames")
    # What not all kinds have, and read_dataset checks; what is not given is not in the result.
    special = parser.add_argument_group("of some kinds", argument_default=argparse.SUPPRESS)
    add = special.add_argument
    text = "davis, labelme: frames without annotation: left out (annotated, default) or empty (all)"
    add("--frames", metavar="annotated|all", help=text)
    text = """davis: index of void pixels, -1 for none (default: 255, unless it is the only one
        besides 0 in all pictures: then it is the object)"""
    add("--void", type=number(int, least=-1, most=255), help=text)
    add("--subfolder", help="davis: folder above the videos (default: the only one, as 480p)")
    text = "davis: text file of the names of the videos to take, or its name in ImageSets: 2017/val"
    add("--videos", metavar="LIST", help=text)
    text = "coco-tracks: crowds are objects too; some tools write iscrowd 1 for every RLE"
    add("--crowds", action="store_true", help=text)
    text = """mots: names of the classes (default: 1=car 2=pedestrian); class 10, regions to ignore,
        is left out unless named here, and 10000 always"""
    add("--classes", nargs="+", metavar="NUMBER=NAME", help=text)
    text = "cvat: frames without a shape of a track show none (absent, default) or the last (hold)"
    add("--gaps", metavar="absent|hold", help=text)
    text = """labelme: shapes without group_id are refused (error, the default), belong to one track
        of their label (label) or are left out (drop)"""
    add("--ungrouped", metavar="error|label|drop", help=text)
    text = """ctc: whole cells of 01_GT/SEG where there are some, otherwise marks of TRA (both, the
        default), marks alone (tra), or only frames with whole cells, of 01_GT/SEG (seg) or
        01_ST/SEG (st)"""
    add("--masks", metavar="both|tra|seg|st", help=text)
    add("--masklets", metavar="manual|auto", help="sa-v: which files of a folder (default: manual)")
    text = """new folder for frames; sa-v: JPEGs of the mp4s; ctc: 8-bit PNGs, which 16-bit frames
        need, with levels from the 0.1 to the 99.9 percentile of a video as 0 to 255"""
    add("--write-frames", metavar="FOLDER", type=Path, help=text)
    text = "labelme: take labels such as bus-1 and bus-2 for tracks 1 and 2 of the category bus"
    add("--labels-with-number", action="store_true", help=text)


@command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Read, write and print the summary."""
    inputs = filter(None, (options.source, options.categories, vars(options).get("videos")))
    refuse_existing(options.output, overwrite=options.overwrite, inputs=inputs)
    _check_output(options.output, options)
    if "write_frames" in options:
        check_output(options.write_frames, overwrite=options.overwrite, suffixes=("",))
    categories = None if options.categories is None else _categories(options.categories)
    if options.drop_others and categories is None:
        raise ValueError("--drop-others needs --categories: others than which?")
    reading = {name: value for name, value in vars(options).items() if name not in LATER}
    dataset = read_dataset(**reading, new_names=output.parse_pairs(options.rename, "OLD=NEW"))
    output.rename(dataset)
    if categories is not None:
        output.use_categories(
            dataset, categories, source=options.categories, drop_others=options.drop_others
        )
    text = f"imported from {options.kind}: {options.source.absolute().name!a}"
    output.write_ytvis(dataset, options.output, description=text, overwrite=options.overwrite)
    say(output.summary_table(dataset))
    # Absolute, as DATASETS.CUSTOM takes paths from another folder than this one.
    say(f"{options.output.absolute()}, frames below {dataset.image_root.absolute()}")


def _check_output(path: Path, options: argparse.Namespace) -> None:
    """Refuse to write what later imports would read as labels, and to replace other files."""
    source, target = (Path(os.path.realpath(name)) for name in (options.source, path))
    if options.kind == "labelme" and source in target.parents:
        raise ValueError(f"{path} is in the source, whose JSON files are labels; write elsewhere")
    if not path.is_file():
        return
    try:
        content = read_json(path)
    except ValueError:  # a list of videos, or a frame
        content = None
    if not isinstance(content, dict) or not {"videos", "annotations"} <= content.keys():
        raise FileExistsError(f"{path} is not a YouTube-VIS file, so it is kept; write elsewhere")


def _categories(name: str) -> list[tuple[int, str]]:
    """The categories of a dataset that is known by name, or of an annotation file."""
    if name in CATEGORIES:
        return list(CATEGORIES[name])
    if not Path(name).exists():
        known = ", ".join(CATEGORIES)
        raise FileNotFoundError(f"--categories {name}: no such file, and not one of {known}")
    return output.categories_of_file(Path(name))
