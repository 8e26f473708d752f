"""What all formats have in common: the same tracks, and what a broken frame costs."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.toolbox.importing import READERS, read_dataset
from simplevtr.toolbox.importing.output import summary_table

import numpy as np
import pytest
from foreign_formats import (
    assert_same_tracks,
    imported,
    known_dataset,
    turn_frames,
    write_coco,
    write_cvat,
    write_davis,
    write_labelme,
    write_mots_png,
    write_mots_text,
)
from PIL import Image

CLASSES = ("1=cat", "2=dog")


class Format(NamedTuple):
    """How a format is written, and what breaks the annotation of the first frame of "video1"."""

    kind: str
    write: Callable
    damage: Callable[[Path], object]  # of the source
    classes: tuple[str, ...] = ()
    ragged: bool = True  # whether it has masks of any form


def replaced(old, new, name=""):
    def replace(source):
        path = source / name if name else source
        path.write_text(path.read_text().replace(old, new, 1))

    return replace


def small(name, kind):
    return lambda source: Image.fromarray(np.zeros((48, 63), kind)).save(source / name)


FIRST = "video1/00000.json"
FORMATS = {
    "davis": Format("davis", write_davis, small("Annotations/video1/00000.png", np.uint8)),
    "text": Format("mots", write_mots_text, replaced("48 64", "47 64", "video1.txt"), CLASSES),
    "png": Format("mots", write_mots_png, small("video1/000000.png", np.uint16), CLASSES),
    "coco": Format("coco-tracks", write_coco, replaced('"size": [48', '"size": [47')),
    "cvat": Format("cvat", write_cvat, replaced('width="', 'width="9', "video1.xml")),
    "cvat polygons": Format(
        "cvat",
        partial(write_cvat, shape="polygon"),
        replaced('points="', 'points="x', "video1.xml"),
        ragged=False,
    ),
    "labelme": Format("labelme", write_labelme, replaced("{", "", FIRST), ragged=False),
}


@pytest.fixture(params=FORMATS)
def case(request, tmp_path):
    """A format, the known dataset and the same in this format."""
    form = FORMATS[request.param]
    known = known_dataset(tmp_path / "known", ragged=form.ragged)
    (tmp_path / "source").mkdir()
    return form, known, form.write(known, tmp_path / "source" / request.param)


def reader(form, known, source):
    options = {"classes": form.classes} if form.classes else {}
    return partial(read_dataset, form.kind, source, images=known.images, **options)


def test_every_kind_is_tested():
    # Those of one category have tests of their own.
    assert {form.kind for form in FORMATS.values()} | {"ctc", "sa-v"} == READERS.keys()


def test_round_trip(case, tmp_path, capsys):
    form, known, source = case
    output = tmp_path / "out.json"
    classes = ["--classes", *form.classes] if form.classes else []
    found = imported(form.kind, source, output, "--images", known.images, *classes)
    assert_same_tracks(known, found)
    assert found.content["categories"] == known.content["categories"]
    assert capsys.readouterr().out.endswith(f"{output}, frames below {known.images}\n")
    records = load_ytvis_json(output, known.images)
    assert [[len(a) for a in record["annotations"][:2]] for record in records] == [[2, 1]] * 2


def test_pictures_are_read_as_exif_turns_them(case):
    expected = reader(*case)().videos
    turn_frames(case[1].images)
    assert reader(*case)().videos == expected


def test_annotations_behind_a_link_that_leads_nowhere_are_not_absent(case):
    """As where the content of a large file was not fetched."""
    form, _, source = case
    names = "video1.txt", "video1.xml", "video1/000000.png", "video1/00000.json", "meta.json"
    found = [path for name in names if (path := source / name).is_file()]
    for path in found or [source]:
        path.rename(path.with_name("moved"))
        path.symlink_to("nowhere")
        with pytest.raises((ValueError, FileNotFoundError), match=path.name):
            reader(*case)()


@pytest.mark.parametrize("broken", ["annotation", "size", "image"])
def test_a_broken_frame_costs_that_frame(case, broken):
    form, known, source = case
    read, image = reader(*case), known.images / "video1/00000.jpg"
    expected = read().videos
    message = r"video1|image 100"
    if broken == "annotation":
        form.damage(source)
    elif broken == "size":
        Image.new("RGB", (64, 47)).save(image)
        message = "00000.jpg: has 47 x 64 .*, but 00001.jpg of the same video has 48 x 64"
    else:
        image.write_bytes(b"cut")
    hint = r"\(--skip-broken leaves out what cannot be used\)$"
    with pytest.raises(ValueError, match=f"({message}).*{hint}"):
        read()
    dataset = read(skip_broken=True)
    assert dataset.videos[1] == expected[1]
    assert dataset.videos[0].file_names == expected[0].file_names[1:]
    shifted = [{t - 1: m for t, m in track.masks.items() if t} for track in expected[0].tracks]
    assert sorted(map(str, shifted)) == sorted(str(t.masks) for t in dataset.videos[0].tracks)
    assert [*dataset.broken] == ["frames"]
    assert re.search(r"broken frames left out +\d\n", summary_table(dataset))
