"""Damaged files: a clear refusal or a dataset, and nothing else."""

import copy
import json

from simplevtr.importing.output import summary_table, write_ytvis

import pytest
from foreign_formats import (
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


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    return known_dataset(tmp_path_factory.mktemp("fuzz") / "known", videos=1, ragged=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def survives(folder, read, *args, **options):
    """Whether a dataset came out, which can be written; a refusal must name a file."""
    try:
        dataset = read(*args, **options)
        write_ytvis(dataset, folder / "out.json", overwrite=True)
    except (ValueError, FileNotFoundError) as error:
        message = str(error)
    else:
        assert summary_table(dataset)
        return True
    assert str(folder) in message or "JPEGImages" in message
    return False


def damaged(data, content):
    """A JSON value with some of its parts changed, moved or removed."""
    content = copy.deepcopy(content)
    mutate(content, data.draw(STEPS))
    return content


def broken(data, content: bytes) -> bytes:
    return cut(content, data.draw(CUTS))


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("shape", ["compressed", "uncompressed", "polygon"])
def test_coco(known, folder, shape, data):
    path = write_coco(known, folder / "coco.json", shape=shape)
    path.write_text(json.dumps(damaged(data, json.loads(path.read_text()))))
    survives(folder, read_coco_tracks, path, images=known.images)


@FUZZ
@given(data=st.data())
def test_broken_json(known, folder, data):
    path = write_coco(known, folder / "broken.json")
    path.write_bytes(broken(data, path.read_bytes()))
    survives(folder, read_coco_tracks, path, images=known.images)


@FUZZ
@given(data=st.data())
def test_labelme(known, folder, data):
    source = folder / "labelme"
    write_labelme(known, source)
    path = source / "video1/00001.json"
    content = json.loads(path.read_text())
    for kind in ("rectangle", "circle", "mask"):
        shape = labelme_shape("cat", [[1, 1], [4, 4]], kind=kind, group_id=1, mask="aGVsbG8=")
        content["shapes"].append(shape)
    path.write_text(json.dumps(damaged(data, content)))
    survives(folder, read_labelme, source, images=known.images)


@FUZZ
@given(data=st.data())
def test_meta(known, folder, data):
    source = folder / "vos"
    if not source.exists():
        write_davis(known, source)
        (source / "meta.json").rename(source / "whole.json")
    content = json.loads((source / "whole.json").read_text())
    (source / "meta.json").write_text(json.dumps(damaged(data, content)))
    survives(folder, read_davis, source)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("depth", [8, 16])
def test_pictures(known, folder, depth, data):
    source = folder / f"pictures{depth}"
    if not source.exists():
        write = write_davis if depth == 8 else write_mots_png
        if depth == 16:
            source.mkdir()
        write(known, source)
    path = source / ("Annotations/video1/00000.png" if depth == 8 else "video1/000000.png")
    whole = path.with_suffix(".whole")
    if not whole.exists():
        whole.write_bytes(path.read_bytes())
    path.write_bytes(broken(data, whole.read_bytes()))
    if depth == 8:
        survives(folder, read_davis, source)
    else:
        survives(folder, read_mots, source, images=known.images)


@FUZZ
@given(data=st.data())
def test_broken_frames(known, folder, data):
    """The headers of frames are read too."""
    source, frames = folder / "text", folder / "frames/video1"
    if not source.exists():
        write_mots_text(known, source)
        frames.mkdir(parents=True)
        for path in (known.images / "video1").iterdir():
            (frames / path.name).write_bytes(path.read_bytes())
    whole = (known.images / "video1/00000.jpg").read_bytes()
    (frames / "00000.jpg").write_bytes(broken(data, whole[:200]) + whole[200:])
    survives(folder, read_mots, source, images=frames.parent)


@FUZZ
@given(data=st.data())
def test_mots_lines(known, folder, data):
    source = folder / "lines"
    if not source.exists():
        write_mots_text(known, source)
    path = folder / "video1.txt"
    lines = (source / "video1.txt").read_text().splitlines()
    row = data.draw(st.integers(0, len(lines) - 1))
    fields = lines[row].split()
    for _ in range(data.draw(st.integers(0, 2))):
        place = data.draw(st.integers(0, len(fields) - 1))
        fields[place] = str(data.draw(st.one_of(NUMBERS, st.text(max_size=5))))
    lines[row] = " ".join(fields)
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    path.write_bytes(broken(data, content) if data.draw(st.booleans()) else content)
    classes = ["1=cat", "2=dog"]
    survives(folder, read_mots, path, images=known.images, classes=classes)


@FUZZ
@given(data=st.data())
@pytest.mark.parametrize("shape", ["mask", "polygon"])
def test_xml(known, folder, shape, data):
    source = folder / f"cvat_{shape}"
    if not source.exists():
        write_cvat(known, source, shape=shape)
        (source / "video1.xml").rename(source / "video1.whole")
    content = (source / "video1.whole").read_bytes()
    path = source / "video1.xml"
    if data.draw(st.booleans()):
        path.write_bytes(broken(data, content))
    else:
        parts = content.decode().split('"')
        place = data.draw(st.integers(0, len(parts) // 2 - 1)) * 2 + 1
        text = str(data.draw(SCALARS))
        parts[place] = "".join(c for c in text if c not in '<&"' and c.isprintable())
        path.write_text('"'.join(parts), encoding="utf-8", errors="replace")
    survives(folder, read_cvat, path, images=known.images)


def test_the_undamaged_files_are_imported(known, folder):
    """Otherwise the tests above would be refused for another reason."""
    names = {"classes": ["1=cat", "2=dog"], "images": known.images}
    new = folder / "undamaged"
    new.mkdir()
    assert survives(
        folder, read_coco_tracks, write_coco(known, new / "a.json"), images=known.images
    )
    assert survives(folder, read_labelme, write_labelme(known, new / "b"), images=known.images)
    assert survives(folder, read_davis, write_davis(known, new / "c"))
    assert survives(folder, read_mots, write_mots_png(known, new / "d"), **names)
    assert survives(folder, read_mots, write_mots_text(known, new / "e"), **names)
    assert survives(folder, read_cvat, write_cvat(known, new / "f"), images=known.images)
