"""Write predicted tracks in the formats of labelling tools, to correct them there.

    python tools/export_tracks.py cvat results.json --gt valid.json --output corrected
    python tools/export_tracks.py davis tracks.json --input video.mp4 --output corrected

KIND is cvat (CVAT for video 1.1, a polygon per frame), cvat-masks (the same with exact masks, of
which CVAT itself takes only the first of each track), mots (16-bit PNGs) or davis (palette PNGs;
where tracks overlap, the best one is on top). Names of videos and frames are those of the
annotation file. tools/import_dataset.py reads what comes back, as the last line shows.
"""

import argparse
import shlex
from operator import attrgetter
from pathlib import Path
from typing import Any

from simplevtr import video_io
from simplevtr.evaluation.scored_video import SCORE_THRESHOLD, tracks_by_video
from simplevtr.formats.files import check_output, read_json, refuse_existing, write_json
from simplevtr.formats.results import check_results
from simplevtr.formats.ytvis import GroundTruth, check_ground_truth, load_ground_truth
from simplevtr.terminal import add_score_threshold, add_unknown_categories, command, counted, say
from simplevtr.toolbox import exporting

from tqdm import tqdm


def _add_options(parser: argparse.ArgumentParser) -> None:
    add_unknown_categories(parser)
    add = parser.add_argument
    add("kind", metavar="KIND", choices=exporting.KINDS, help=", ".join(exporting.KINDS))
    add("results", metavar="RESULTS", help="results.json (also .json.gz, or a .zip that holds it)")
    videos = parser.add_mutually_exclusive_group(required=True)
    videos.add_argument("--gt", help="annotation file of the videos; it needs no annotations")
    videos.add_argument("--input", help="instead of it the only video, or the folder of its frames")
    add("--output", required=True, type=Path, help="folder to write into")
    add("--overwrite", action="store_true", help="replace existing files")
    add_score_threshold(parser, SCORE_THRESHOLD)


@command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Write the tracks of all videos."""
    output = check_output(options.output, overwrite=options.overwrite, suffixes=("",))
    content = read_json(options.results)
    truth = load_ground_truth(options.gt) if options.gt else _of_video(options, content)
    skip = options.unknown_categories == "skip"
    results = check_results(content, truth, source=options.results, skip_unknown=skip)
    names = exporting.video_names(truth.videos)
    by_name = {names[video.id]: video for video in truth.videos}
    exporting.check_folder(options.kind, output, by_name)
    inputs = [path for path in (options.results, options.gt) if path]
    if options.kind == "davis":
        refuse_existing(output / "meta.json", overwrite=options.overwrite, inputs=inputs)
    categories = sorted(truth.categories, key=attrgetter("id"))
    labels = {category.id: label for label, category in enumerate(categories)}
    classes = [category.name for category in categories]
    videos = tracks_by_video(truth, results, score_threshold=options.score_threshold)
    objects, overlaps, as_named = {}, 0, True
    for found in videos:
        own = [labels[track.category_id] for track in found.predicted]
        name = names[found.video.id]
        as_named &= exporting.check_video(options.kind, name, found.video, own, classes)
    for found in tqdm(videos, unit="video", disable=None):
        tracks, name = found.predicted, names[found.video.id]
        frames = found.by_frame(tracks, range(1, len(tracks) + 1), labels)
        overlaps += exporting.export_video(
            options.kind, output, name, found.video, frames, classes, overwrite=options.overwrite
        )
        kinds = (classes[labels[track.category_id]] for track in tracks)
        known = {str(number): {"category": kind} for number, kind in enumerate(kinds, start=1)}
        objects[name] = {"objects": known}
    if options.kind == "davis":
        write_json(output / "meta.json", {"videos": objects}, overwrite=options.overwrite)
    kind = "cvat" if options.kind.startswith("cvat") else options.kind
    more = ["--categories", options.gt] if options.gt else []
    if kind == "mots":
        more += ["--classes", *(f"{n}={name}" for n, name in enumerate(classes, start=1))]
    written = sum(len(found.predicted) for found in videos)
    say(f"wrote {counted(written, 'tracks')} of {counted(len(videos), 'videos')} into {output}")
    if overlaps:
        say(f"in {counted(overlaps, 'frames')} tracks overlap: a pixel is that of the best one")
    if kind == "cvat" and not as_named:
        say(
            "FRAMES, here and in CVAT, must be these frames alone, in CVAT sorted naturally (by "
            "default it puts 10 before 2): it numbers them from 0 on"
        )
    words = ["simplevtr", "import", kind, str(output), "--images", "FRAMES", "--output", "NEW.json"]
    say(shlex.join([*words, *more]))


def _of_video(options: argparse.Namespace, content: Any) -> GroundTruth:
    """What an annotation file would say of one video and the categories that results name."""
    path, output = options.input, options.output
    source = video_io.open_source(path)
    name = Path(path).stem
    if len({file.absolute().parent for file in source.files}) > 1:
        raise ValueError(f"{path}: its frames are in several folders")
    if source.names:
        folder = source.files[0].absolute().parent
        name = folder.name
        for place in (output / name, output / "Annotations" / name):
            if place.is_dir() and place.samefile(folder):  # pictures would take their place
                raise ValueError(f"{place}: holds the frames; choose another --output")
    entries = [e for e in content if isinstance(e, dict)] if isinstance(content, list) else []
    masks: Any = next((e["segmentations"] for e in entries if e.get("segmentations")), [])
    length = len(masks) if isinstance(masks, list) else 0
    if not length:
        raise ValueError(f"the results hold no track of {path}")
    known = sum(1 for _ in source) if source.length is None else source.length
    if length > known:
        raise ValueError(f"{path}: has {known} frames, but the results have {length}")
    # The results may be of the first frames alone (--max-frames).
    files = (source.names or [f"{t:05d}.jpg" for t in range(length)])[:length]
    named = (e for e in entries if type(e.get("category_id")) is int)
    ids = {e["category_id"]: e.get("category_name") for e in named}
    video = {"id": entries[0].get("video_id"), "file_names": [f"{name}/{file}" for file in files]}
    video |= dict(zip(("height", "width"), source.size, strict=True))
    categories = [{"id": i, "name": name or f"category {i}"} for i, name in ids.items()]
    return check_ground_truth({"videos": [video], "categories": categories}, source=path)
