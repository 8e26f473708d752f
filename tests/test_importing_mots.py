import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from foreign_formats import (
    CLASSES,
    SIZE,
    assert_same_tracks,
    encoded,
    imported,
    known_dataset,
    read_mots,
    write_mots_png,
    write_mots_text,
)
from PIL import Image

NAMES = [f"{number}={name}" for name, number in CLASSES.items()]
OPTIONS = ("--classes", "1=cat", "2=dog")


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known")


@pytest.mark.parametrize("write", [write_mots_text, write_mots_png])
def test_one_video(tmp_path, known, write):
    source = write(known, tmp_path / "mots")
    path = next(p for p in source.iterdir() if p.stem == "video2")
    (video,) = read_mots(path, images=known.images, classes=NAMES).videos
    assert (video.name, len(video.tracks), video.size) == ("video2", 2, SIZE)


def test_lines_in_the_encodings_of_windows(tmp_path, known):
    source = write_mots_text(known, tmp_path / "mots")
    text = (source / "video1.txt").read_text().replace("\n", "\r\n")
    expected = read_mots(source / "video1.txt", images=known.images, classes=NAMES).tracks
    for encoding in ("utf-8-sig", "utf-16", "utf-16-le"):
        mark = "\ufeff" * (encoding == "utf-16-le")
        (source / "video1.txt").write_bytes((mark + text).encode(encoding))
        dataset = read_mots(source / "video1.txt", images=known.images, classes=NAMES)
        assert dataset.tracks == expected


def test_frames_without_a_picture_are_counted(tmp_path, known):
    source = write_mots_png(known, tmp_path / "mots")
    (source / "video1/000002.png").unlink()
    dataset = read_mots(source, images=known.images, classes=NAMES)
    assert dataset.notes["frames without a PNG taken as empty"] == 1
    assert len(dataset.videos[0].file_names) == 4


def test_videos_next_to_text_files_are_counted(tmp_path, known):
    source = write_mots_text(known, tmp_path / "mots")
    (write_mots_png(known, tmp_path / "png") / "video1").rename(source / "video3")
    dataset = read_mots(source, images=known.images, classes=NAMES)
    assert len(dataset.videos) == 2
    assert any("next to them" in note for note in +dataset.notes)


def test_frame_numbers_may_start_at_one_and_images_be_in_img1(tmp_path, known):
    folder = tmp_path / "images/video1/img1"
    folder.mkdir(parents=True)
    for t, path in enumerate(sorted((known.images / "video1").iterdir())):
        (folder / f"{t + 1:06d}.jpg").write_bytes(path.read_bytes())
    mask = encoded(np.eye(*SIZE))
    text = tmp_path / "video1.txt"
    text.write_text(f"4 2005 2 {SIZE[0]} {SIZE[1]} {mask['counts']}\n\n")
    (video,) = read_mots(text, images=tmp_path / "images").videos
    assert video.file_names[3] == "video1/img1/000004.jpg"
    ((track,),) = [video.tracks]
    assert (track.category, sorted(track.masks)) == ("pedestrian", [3])


@pytest.fixture
def challenge(tmp_path, known):
    """A folder as MOTChallenge has it: two videos with gt/gt.txt and img1, and one without gt."""
    texts = write_mots_text(known, tmp_path / "texts")
    root = tmp_path / "train"
    for name in ("video1", "video2"):
        (root / name / "gt").mkdir(parents=True)
        (texts / f"{name}.txt").rename(root / name / "gt/gt.txt")
        (root / name / "img1").symlink_to(known.images / name)
    (root / "video3/img1").mkdir(parents=True)
    return root


def test_the_layout_of_motchallenge(tmp_path, known, challenge, capsys):
    (challenge / "README.txt").write_text("no annotations")
    found = imported("mots", challenge, tmp_path / "out.json", *OPTIONS)
    assert re.search("folders without annotations left out +1\n", capsys.readouterr().out)
    files = [video["file_names"][0] for video in found.content["videos"]]
    assert files == ["video1/img1/00000.jpg", "video2/img1/00000.jpg"]
    for video in found.content["videos"]:
        video["file_names"] = [name.replace("/img1", "") for name in video["file_names"]]
    assert_same_tracks(known, found)


@pytest.mark.parametrize("below", ["", "gt", "gt/gt.txt"])
def test_one_video_of_motchallenge(known, challenge, below, monkeypatch):
    source = challenge / "video2" / below
    dataset = read_mots(source, classes=NAMES)
    (video,) = dataset.videos
    assert (video.name, len(video.tracks), dataset.image_root) == ("video2", 2, challenge)
    (other,) = read_mots(source, images=known.images, classes=NAMES).videos
    assert (other.name, other.file_names[0]) == ("video2", "video2/00000.jpg")
    monkeypatch.chdir(source.parent if source.is_file() else source)
    (relative,) = read_mots(Path("gt.txt" if source.is_file() else "."), classes=NAMES).videos
    assert relative.name == "video2"


@pytest.mark.parametrize(
    ("identity", "label", "classes", "tracks"),
    [
        (10000, 10, None, 0),
        (10003, 10, None, 0),
        (7, 10, None, 0),
        (10003, 10, ["10=bus"], 1),  # a class like others in files that are not MOTS's own
        (10000, 10, ["10=bus"], 0),
        (10003, 1, None, 1),
    ],
)
def test_the_class_to_ignore(tmp_path, known, identity, label, classes, tracks):
    text = tmp_path / "video1.txt"
    text.write_text(LINE.replace("1001 1", f"{identity} {label}", 1))
    dataset = read_mots(text, images=known.images, classes=classes)
    assert len(dataset.videos[0].tracks) == tracks
    assert dataset.notes["regions to ignore, taken as background"] == 1 - tracks


@pytest.mark.parametrize("ignored", [10000, 10003])
def test_the_class_to_ignore_in_pictures(tmp_path, known, ignored):
    picture = np.zeros(SIZE, np.uint16)
    picture[:4], picture[10:14] = ignored, 1001
    folder = tmp_path / "video1"
    folder.mkdir()
    Image.fromarray(picture).save(folder / "000000.png")
    dataset = read_mots(folder, images=known.images)
    assert [t.category for t in dataset.videos[0].tracks] == ["car"]
    assert dataset.notes["regions to ignore, taken as background"] == 1
    assert dataset.categories == [(1, "car"), (2, "pedestrian")]


LINE = "0 1001 1 48 64 " + encoded(np.eye(*SIZE))["counts"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (LINE + "\n" + LINE, "video1.txt, line 2: track 1001 has a second mask"),
        ("0 1001 1 48 64", "line 1: '0 1001 1 48 64'; time_frame id class_id .* needed"),
        (LINE.replace("0", "-1", 1), "line 1: time_frame must be .* got '-1'"),
        (LINE.replace("0", "9", 1), "line 1: there is no image of frame 9"),
        (LINE.replace("48 64", "64 48"), r"line 1: RLE size is \[64, 48\], .* is \[48, 64\]"),
        (LINE.replace("1001 1 ", "3001 3 "), "line 1: class 3 has no name; known: 1=car"),
        (LINE + "0", "line 1: RLE counts cover 3073 pixels, not"),
        ("0 1001 1 48 64 \xff\xfe", "line 1: RLE counts .* a character that is not ASCII"),
        (LINE + "\n" + LINE.replace("0 1001 1 ", "1 1001 2 "), "category 'pedestrian' here and"),
    ],
)
def test_bad_lines_are_named(tmp_path, known, text, message):
    path = tmp_path / "video1.txt"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=message):
        read_mots(path, images=known.images)


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        (7, "000000.png", "000000.png: pixel value 7; 0, or 1000 and more"),
        (5001, "000000.png", "000000.png: class 5 has no name"),
        (1001, "000007.png", "000007.png: there is no image of frame 7"),
        (1001, "first.png", "first.png: the name must end in the number"),
    ],
)
def test_bad_pictures_are_named(tmp_path, known, value, name, message):
    folder = tmp_path / "video1"
    folder.mkdir()
    Image.fromarray(np.full(SIZE, value, np.uint16)).save(folder / name)
    with pytest.raises(ValueError, match=message):
        read_mots(folder, images=known.images)


def test_a_line_without_a_frame_costs_its_video(tmp_path, known):
    source = write_mots_text(known, tmp_path / "mots")
    (source / "video1.txt").write_text("0 1001 1\n")
    dataset = read_mots(source, images=known.images, classes=NAMES, skip_broken=True)
    assert [video.name for video in dataset.videos] == ["video2"]
    assert "line 1: '0 1001 1'" in dataset.broken["videos"][0]
    with pytest.raises(ValueError, match=r"class 2 has no name; .* \(--classes\)"):
        read_mots(source, images=known.images, classes=["1=cat"], skip_broken=True)


def test_sources_that_cannot_be_used(tmp_path, known):
    source = write_mots_text(known, tmp_path / "texts")
    with pytest.raises(ValueError, match="texts: MOTS needs the folder of the frames"):
        read_mots(source)
    with pytest.raises(ValueError, match=r"video1.txt: MOTS needs the folder of the frames"):
        read_mots(source / "video1.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty: holds no text file, no PNG"):
        read_mots(tmp_path / "empty", images=known.images)
    (tmp_path / "video9.txt").touch()
    with pytest.raises(FileNotFoundError, match="video9: no such folder"):
        read_mots(tmp_path / "video9.txt", images=known.images)


def test_classes(tmp_path, known):
    (tmp_path / "video1.txt").touch()
    read = partial(read_mots, tmp_path / "video1.txt", images=known.images)
    assert read(classes=["1=car", "7=big truck"]).categories == [(1, "car"), (7, "big truck")]
    for entries in (["car"], ["x=car"], ["1="], ["1=a", "1=b"], ["1=a", "2=a"]):
        with pytest.raises(ValueError, match="NUMBER=NAME|class must be .* got 'x'|classes 1=a"):
            read(classes=entries)
