"""Damaged files: a clear refusal or a dataset, and nothing else."""

import json
import shutil
from functools import partial

from simplevtr.data.ytvis import load_ytvis_json
from simplevtr.toolbox.importing import read_dataset
from simplevtr.toolbox.importing.output import summary_table, write_ytvis

import numpy as np
import pytest
from foreign_formats import (
    embedded_png,
    known_dataset,
    labelme_shape,
    read_coco_tracks,
    read_cvat,
    read_davis,
    read_labelme,
    read_mots,
    write_coco,
    write_cvat,
    write_davis,
    write_labelme,
    write_mots_png,
    write_mots_text,
)
from fuzzing import CUTS, FUZZ, NUMBERS, SCALARS, STEPS, cut, mutate
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

JSON = ("coco compressed", "coco uncompressed", "coco polygon", "labelme", "meta", "sa-v")
XML = ("cvat mask", "cvat polygon")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@pytest.fixture(scope="module")
def files(root):
    """By name how a source is read, which of its files is damaged, and what that holds."""
    known = known_dataset(root / "known", videos=1, ragged=False)
    images, names = {"images": known.images}, ["1=cat", "2=dog"]
    found = {}
    for shape in ("compressed", "uncompressed", "polygon"):
        path = write_coco(known, root / f"{shape}.json", shape=shape)
        found[f"coco {shape}"] = partial(read_coco_tracks, path, **images), path
    for shape in ("mask", "polygon"):
        path = write_cvat(known, root / f"cvat_{shape}", shape=shape) / "video1.xml"
        found[f"cvat {shape}"] = partial(read_cvat, path, **images), path
    source = write_labelme(known, root / "labelme")
    path = source / "video1/00001.json"
    content, mask = json.loads(path.read_text()), embedded_png(np.eye(4, dtype=np.uint8))
    for kind in ("rectangle", "circle", "mask"):
        shape = labelme_shape("post", [[1, 1], [4, 4]], kind=kind, group_id=1, mask=mask)
        content["shapes"].append(shape)
    path.write_text(json.dumps(content))
    found["labelme"] = partial(read_labelme, source, **images), path
    for name, file in (("meta", "meta.json"), ("picture", "Annotations/video1/00000.png")):
        source = write_davis(known, root / name)
        found[name] = partial(read_davis, source), source / file
    track = known.content["annotations"][0]["segmentations"]
    sav = {"video_id": "video1", "video_frame_count": 4.0, "video_height": 48.0, "video_width": 64}
    sav |= {"masklet": [track[:1]], "masklet_id": [0], "masklet_frame_count": [1], "masklet_num": 1}
    path = root / "video1_manual.json"
    path.write_text(json.dumps(sav))
    found["sa-v"] = partial(read_dataset, "sa-v", path, **images), path
    for name, file in (("tiff", "man_track000.tif"), ("lives", "man_track.txt")):
        marks = root / name / "01_GT/TRA"
        for folder in (root / name / "01", marks):
            folder.mkdir(parents=True)
        Image.fromarray(np.ones((48, 64), np.uint8)).save(root / name / "01/t000.tif")
        Image.fromarray(np.eye(48, 64, dtype=np.uint16)).save(marks / "man_track000.tif")
        (marks / "man_track.txt").write_text("1 0 0 0\n")
        found[name] = partial(read_dataset, "ctc", root / name), marks / file
    (root / "mots").mkdir()
    source = write_mots_png(known, root / "mots")
    read = partial(read_mots, classes=names)
    found["deep picture"] = partial(read, source, **images), source / "video1/000000.png"
    source = write_mots_text(known, root / "text")
    found["lines"] = partial(read, source, **images), source / "video1.txt"
    shutil.copytree(known.images, root / "frames")
    path = root / "frames/video1/00000.jpg"
    found["frame"] = partial(read, source, images=root / "frames"), path
    return {name: (read, path, path.read_bytes()) for name, (read, path) in found.items()}


def survives(root, read):
    """Whether a dataset came out, which can be written; a refusal must name a file."""
    try:
        dataset = read()
        write_ytvis(dataset, root / "out.json", overwrite=True)
        load_ytvis_json(root / "out.json", dataset.image_root)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
    else:
        assert summary_table(dataset)
        return True
    assert str(root) in message
    return False


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("name", JSON)
def test_changed_json(root, files, name, data):
    """Some parts are changed, moved or removed."""
    read, path, whole = files[name]
    content = json.loads(whole)
    mutate(content, data.draw(STEPS))
    path.write_text(json.dumps(content))
    survives(root, read)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@FUZZ
@given(data=st.data())
@pytest.mark.parametrize(
    "name", ["coco compressed", *XML, "picture", "deep picture", "lines", "tiff", "lives"]
)
def test_broken_files(root, files, name, data):
    read, path, whole = files[name]
    path.write_bytes(cut(whole, data.draw(CUTS)))
    survives(root, read)


@FUZZ
@given(data=st.data())
def test_broken_frames(root, files, data):
    """The headers of frames are read too."""
    read, path, whole = files["frame"]
    path.write_bytes(cut(whole[:200], data.draw(CUTS)) + whole[200:])
    survives(root, read)


@FUZZ
@given(data=st.data())
def test_mots_lines(root, files, data):
    read, path, whole = files["lines"]
    lines = whole.decode().splitlines()
    row = data.draw(st.integers(0, len(lines) - 1))
    fields = lines[row].split()
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(fields) - 1))
        fields[place] = str(data.draw(st.one_of(NUMBERS, st.text(max_size=5))))
    lines[row] = " ".join(fields)
    path.write_bytes("\n".join(lines).encode("utf-8", "surrogatepass"))
    survives(root, read)


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("name", XML)
def test_xml_attributes(root, files, name, data):
    read, path, whole = files[name]
    parts = whole.decode().split('"')
    place = data.draw(st.integers(0, len(parts) // 2 - 1)) * 2 + 1
    text = str(data.draw(SCALARS))
    parts[place] = "".join(c for c in text if c not in '<&"' and c.isprintable())
    path.write_text('"'.join(parts), encoding="utf-8", errors="replace")
    survives(root, read)


def test_the_undamaged_files_are_imported(root, files):
    """Otherwise the tests above would be refused for another reason."""
    for read, path, whole in files.values():
        path.write_bytes(whole)
        assert survives(root, read)
