"""The command, the writer, and what all importers share."""

import errno
import gzip
import json
import shutil
import tracemalloc
import zlib
from collections import Counter
from functools import partial
from pathlib import Path

from simplevtr.commands import import_dataset
from simplevtr.toolbox.importing import reading
from simplevtr.toolbox.importing.output import summary_table, use_categories, write_ytvis
from simplevtr.toolbox.importing.shapes import from_labels
from simplevtr.toolbox.importing.sources import frames_of, numbered_frames

import numpy as np
import pytest
from conftest import check_refused
from foreign_formats import SIZE, decoded, encoded, known_dataset, read_davis, write_davis
from json_files import save_json
from PIL import Image


@pytest.fixture
def davis(tmp_path):
    return write_davis(known_dataset(tmp_path / "known"), tmp_path / "davis")


def one_track(category="cat", **values):
    rle = encoded(np.eye(*SIZE))
    mask = {"size": rle["size"], "counts": rle["counts"].encode()}
    track = reading.ImportedTrack(category, {1: mask})
    video = reading.ImportedVideo("a", SIZE, ["a/0.jpg", "a/1.jpg"], [track])
    values = {"videos": [video], "categories": [(3, "cat")], "notes": Counter()} | values
    return reading.ImportedDataset(image_root=Path("root"), **values)


# --- the file


def test_fields_of_the_file(tmp_path):
    path = tmp_path / "new/out.json"
    write_ytvis(one_track(), path, description="by hand")
    content = json.loads(path.read_text())
    assert [*content] == ["info", "licenses", "videos", "categories", "annotations"]
    assert content["info"] == {"description": "by hand"}
    assert content["categories"] == [{"id": 3, "name": "cat"}]
    (video,), (track,) = content["videos"], content["annotations"]
    size = {"height": 48, "width": 64, "length": 2, "id": 1}
    assert video == size | {"file_names": ["a/0.jpg", "a/1.jpg"]}
    lists = {"bboxes": [None, [0.0, 0.0, 48.0, 48.0]], "areas": [None, 48]}
    lists["segmentations"] = [None, encoded(np.eye(*SIZE))]
    assert track == size | lists | {"video_id": 1, "category_id": 3, "iscrowd": 0}


def test_nothing_is_replaced_or_left_behind(tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"out.json exists already"):
        write_ytvis(one_track(), path)
    assert path.read_text() == "mine"
    write_ytvis(one_track(), path, overwrite=True)
    before = path.read_text()

    def fail(*args):
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="disk full.*out.json"):
        write_ytvis(one_track(), path, overwrite=True)
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["out.json"]


@pytest.mark.parametrize("missing", ["videos", "categories"])
def test_an_empty_dataset_is_refused(tmp_path, missing):
    with pytest.raises(ValueError, match=f"the source has no {missing}"):
        write_ytvis(one_track(**{missing: []}), tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()


# --- the command


@pytest.fixture
def command(davis, tmp_path, call):
    """Runs it; gives what it wrote, None if it refused to, and what it printed."""

    def command(*options):
        output = tmp_path / "out.json"
        output.unlink(missing_ok=True)
        status, *printed = call(import_dataset, "davis", davis, "--output", output, *options)
        if status == 0:
            return json.loads(output.read_text()), printed[0]
        check_refused((status, *printed))
        assert not output.exists()
        return None, printed[1]

    return command


def test_summary(davis, command):
    (davis / "Annotations/video2/00003.png").unlink()
    _, printed = command()
    rows = [line.strip().rsplit(maxsplit=1) for line in printed.splitlines()[:-1]]
    expected = "videos 2, without tracks 0, frames 7, tracks 4, masks 12, categories 2, "
    expected += "tracks of cat 2, tracks of dog 2, frames without a PNG left out 1"
    assert ", ".join(map(" ".join, ((name.strip(), count) for name, count in rows))) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--gaps", "hold"], "davis has no option --gaps"),
        (["--frames", "some"], "frames is 'some'; allowed: annotated, all"),
        (["--images", "nowhere"], "nowhere: no such folder"),
        (["--videos", "nowhere.txt"], "nowhere.txt: no such file"),
        (["--drop-others"], "--drop-others needs --categories"),
        (["--categories", "ytvis_2020"], "ytvis_2020: no such file, and not one of ytvis_2019, "),
        (["--rename", "cow=animal"], "no category 'cow' to rename; there are 'cat', 'dog'"),
        (["--rename", "cow"], "'cow': OLD=NEW is needed"),
        (["--rename", "cat=a", "cat=b"], "'cat=b': OLD=NEW is needed, and no left side twice"),
    ],
)
def test_bad_options_are_refused_in_one_line(command, options, message):
    assert message in command(*options)[1]


def test_a_packed_file_that_is_cut_short_is_named(tmp_path, call):
    path = tmp_path / "tracks.json.gz"
    path.write_bytes(gzip.compress(b'{"images": [], "annotations": [], "categories": []}')[:30])
    result = call(import_dataset, "coco-tracks", path, "--output", tmp_path / "out.json")
    check_refused(result, f"{path}: cannot be unpacked")


def test_a_missing_source_or_an_existing_output_is_refused(davis, tmp_path, call):
    run, to = partial(call, import_dataset, "davis"), ("--output", tmp_path / "out.json")
    check_refused(run(tmp_path / "nothing", *to), "nothing: no such file or folder")
    for form in ("zip", "gztar"):  # as they are downloaded
        packed = shutil.make_archive(str(tmp_path / "packed"), form, davis)
        check_refused(run(packed, *to), f"{packed}: is an archive; unpack it")
    to[1].write_text("mine")
    check_refused(run(davis, *to), "exists already")
    check_refused(run(davis, *to, "--overwrite"), "out.json is not a YouTube-VIS file")
    assert to[1].read_text() == "mine"
    to[1].unlink()
    assert run(davis, *to)[0] == run(davis, *to, "--overwrite")[0] == 0
    to = ("--output", to[1], "--overwrite")
    check_refused(call(import_dataset, "coco-tracks", to[1], *to), "an input of this command")
    check_refused(run(davis, *to, "--categories", to[1]), "an input of this command")
    check_refused(run(davis, "--output", tmp_path, "--overwrite"), "is a folder; name a file")
    inside = davis / "notes.json"
    inside.write_text("[]")
    check_refused(run(davis, "--output", inside, "--overwrite"), "is not a YouTube-VIS file")
    check_refused(call(import_dataset, "labelme", davis, "--output", davis / "a.json"), "labels")
    (loop := tmp_path / "loop").symlink_to("loop")
    check_refused(call(import_dataset, "labelme", loop, *to), "loop: no such file or folder")
    inside.write_bytes(to[1].read_bytes())  # of an earlier import
    assert run(davis, "--output", inside, "--overwrite")[0] == 0


@pytest.mark.parametrize("name", ["vid\udce9o", "one\\two"])
def test_frames_whose_names_a_dataset_cannot_have_are_refused(davis, command, name):
    """As archives from Windows unpack: bytes that are not UTF-8, or backslashes."""
    for folder in (davis / "Annotations", (davis / "JPEGImages").resolve()):
        (folder / "video1").rename(folder / name)
    (davis / "meta.json").unlink()
    assert "file name" in command()[1]
    content, _ = command("--skip-broken")
    assert [video["file_names"][0] for video in content["videos"]] == ["video2/00000.jpg"]


# --- categories


@pytest.fixture
def train(tmp_path):
    """The annotation file of a training set: other ids, another order, one category more."""
    names = {7: "dog", 0: "zebra", 3: "cat"}
    content = {"categories": [{"id": i, "name": n} for i, n in names.items()]}
    return Path(save_json(tmp_path / "train.json", content))


def named(davis, cat, dog="dog"):
    meta = davis / "meta.json"
    text = meta.read_text().replace('"cat"', json.dumps(cat)).replace('"dog"', json.dumps(dog))
    meta.write_text(text)


def category_ids(content):
    return sorted(a["category_id"] for a in content["annotations"])


def test_categories_of_an_earlier_file(command, train):
    content, _ = command("--categories", train)
    assert content["categories"] == json.loads(train.read_text())["categories"]
    assert category_ids(content) == [3, 3, 7, 7]


def test_names_in_either_form_of_unicode_are_one(davis, command, train):
    composed, decomposed = "\N{LATIN SMALL LETTER E WITH ACUTE}", "e\N{COMBINING ACUTE ACCENT}"
    named(davis, decomposed)
    train.write_text(train.read_text().replace('cat"', f'{composed}"'))
    assert category_ids(command("--categories", train)[0]) == [3, 3, 7, 7]
    content, _ = command("--rename", f"{decomposed}=cat", "dog=cat")
    assert content["categories"] == [{"id": 1, "name": "cat"}]


@pytest.mark.parametrize(
    ("renamed", "names", "ids"),
    [
        (["dog=animal", "cat=animal"], ["animal"], [1, 1, 1, 1]),
        (["*=object"], ["object"], [1, 1, 1, 1]),
        (["dog=dog", "*=thing"], ["thing", "dog"], [1, 1, 2, 2]),
    ],
)
def test_categories_are_renamed_and_united(command, renamed, names, ids):
    content, _ = command("--rename", *renamed)
    assert content["categories"] == [{"id": i, "name": n} for i, n in enumerate(names, start=1)]
    assert category_ids(content) == ids


@pytest.mark.parametrize("name", ["Cat", " cat", "c at", "CAT", "c_a-t"])
@pytest.mark.parametrize("drop", [False, True])
def test_names_that_look_alike_are_for_the_user_to_decide(davis, command, train, name, drop):
    named(davis, name)
    content, printed = command("--categories", train, *["--drop-others"] * drop)
    assert content is None
    assert f"train.json spells in another way: {name!r} ('cat'); if they are the same" in printed
    assert f'--rename "{name}=cat"' in printed
    assert command("--categories", train, "--rename", f"{name}=cat")[0]


def test_other_names_are_refused_or_dropped_as_the_user_wants(davis, command, train):
    named(davis, "ferret")
    content, printed = command("--categories", train)
    assert content is None
    message = "train.json has no category 'ferret'; it has 'dog', 'zebra', 'cat'. Rename them"
    assert message in printed
    assert "(--rename OLD=NEW) or leave out their tracks (--drop-others)" in printed
    content, printed = command("--categories", train, "--drop-others")
    assert category_ids(content) == [7, 7]
    assert "tracks of category 'ferret' left out  2" in printed
    named(davis, "cat", "weasel")
    _, printed = command("--categories", train, "--drop-others")
    assert "no track in 2 videos (2 tracks of category" in printed


def test_categories_of_a_public_dataset(davis, command):
    named(davis, "ferret", "Giant Panda")
    options = ("--categories", "ytvis_2019", "--drop-others")
    message = "ytvis_2019 spells in another way: 'Giant Panda' ('giant_panda')"
    assert message in command(*options)[1]
    content, _ = command(*options, "--rename", "Giant Panda=giant_panda")
    assert len(content["categories"]) == 40
    assert category_ids(content) == [2, 2]


def test_names_alike_within_an_import_are_pointed_out(davis, command):
    named(davis, "Big cat", "big_cat")
    message = "alike but for case, blanks or hyphens (see --rename):\n  'Big cat', 'big_cat'\n"
    assert message in command()[1]


def test_the_first_broken_parts_are_listed_and_control_characters_do_no_harm():
    broken = {"frames": [f"frame {i}\n is cut" for i in range(9)]}
    table = summary_table(one_track("a\x1b[2J", categories=[(1, "a\x1b[2J")], broken=broken))
    assert "  tracks of 'a\\x1b[2J'  1\n" in table
    assert "broken frames left out  9\n" in table
    assert table.endswith("  'frame 4\\n is cut'\n  and 4 more")


def test_messages_do_not_grow_with_the_list_of_categories():
    many = [(i, f"name {i}") for i in range(50_000)]
    with pytest.raises(ValueError, match=r"has no category 'cat'; .*'name 9', \.\.\. \(50000\)"):
        use_categories(one_track(), many, source="train.json")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "train.json: categories must be a list, it is missing"),
        ({"categories": [{"id": 1}]}, "train.json: categories[0]: name must be text"),
    ],
)
def test_files_without_usable_categories_are_refused(command, train, content, message):
    save_json(train, content)
    assert message in command("--categories", train)[1]


# --- files and folders


def test_frames_of_a_folder(tmp_path):
    for name in ("a10.jpg", "a9.PNG", ".hidden.jpg", "notes.txt"):
        (tmp_path / name).touch()
    assert [p.name for p in frames_of(tmp_path).values()] == ["a9.PNG", "a10.jpg"]
    assert [*numbered_frames(tmp_path)] == [9, 10]
    (tmp_path / "b1.jpg").touch()
    with pytest.raises(ValueError, match=r"b1.jpg: comes after a10.jpg by its name, but before"):
        numbered_frames(tmp_path)  # as of times such as 10-59-59 and 11-00-00
    (tmp_path / "b1.jpg").unlink()
    (tmp_path / "b9.jpg").touch()
    with pytest.raises(ValueError, match=r"b9.jpg: a9.PNG has frame number 9 already"):
        numbered_frames(tmp_path)
    (tmp_path / "a9.jpg").touch()
    with pytest.raises(ValueError, match="is the same frame; keep one"):
        frames_of(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no image"):
        frames_of(tmp_path / "empty")


# --- hostile sizes


def huge_png(path, width, height):
    """A PNG of a few bytes that says that it is huge."""
    Image.new("L", (1, 1)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    # Pillow checks the sum of this chunk.
    content[29:33] = zlib.crc32(content[12:29]).to_bytes(4, "big")
    path.write_bytes(content)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [9_000, 12_000, 60_000, 2_000_000_000])
def test_huge_pictures_are_refused_unread(davis, tmp_path, side):
    tracemalloc.start()
    try:
        huge_png(davis / "Annotations/video1/00000.png", side, side)
        with pytest.raises(ValueError, match=r"Annotations/video1/00000.png: "):
            read_davis(davis)
        huge_png(tmp_path / "frame.png", side, side)
        frames = {0: tmp_path / "frame.png"}
        with pytest.raises(ValueError, match=r"frame.png[: ]"):
            reading.VideoDraft(reading.ImportedDataset(tmp_path), "video", frames)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_labels_of_any_number():
    picture = np.arange(SIZE[0] * SIZE[1], dtype=np.int32).reshape(SIZE)
    masks = from_labels(picture)
    assert [*masks] == [*range(1, picture.size)]
    assert decoded(masks[70])[1, 6]
    assert all(decoded(mask).sum() == 1 for mask in list(masks.values())[:50])
    assert from_labels(np.zeros(SIZE, np.uint8)) == {}
