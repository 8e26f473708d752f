import io
import os
import re
import shutil
import unicodedata
from pathlib import Path

from simplevtr.commands.import_dataset import main
from simplevtr.toolbox.importing.output import summary_table

import numpy as np
import pytest
from foreign_formats import SIZE, known_dataset, read_davis, write_davis
from json_files import save_json
from PIL import Image, ImageFilter


@pytest.fixture
def source(tmp_path):
    return write_davis(known_dataset(tmp_path / "known"), tmp_path / "davis")


def test_davis_has_one_category_and_void_is_background(tmp_path):
    known = known_dataset(tmp_path / "known")
    dataset = read_davis(write_davis(known, tmp_path / "davis", meta=False, void=True))
    assert dataset.categories == [(1, "object")]
    assert [len(video.tracks) for video in dataset.videos] == [2, 2]
    assert dataset.notes[VOID] == 8
    objects = read_davis(tmp_path / "davis", void=-1)
    assert [len(video.tracks) for video in objects.videos] == [3, 3]


def repaint(folder, paint):
    """Replace each PNG of object numbers below a folder by the picture that ``paint`` makes."""
    for path in folder.rglob("*.png"):
        paint(np.array(Image.open(path))).save(path)


def white(numbers, mode):
    """All objects white, as in DAVIS 2016."""
    grey = Image.fromarray(np.where(numbers > 0, 255, 0).astype(np.uint8))
    if mode != "P":
        return grey.convert(mode, dither=Image.Dither.NONE)
    grey = Image.fromarray(np.array(grey), mode="P")
    grey.putpalette(bytes(range(256)) * 3)
    return grey


@pytest.fixture
def davis_2016(tmp_path):
    return write_davis(known_dataset(tmp_path / "known"), tmp_path / "davis", meta=False)


ONLY_WHITE = "frames whose only value, 255, is taken as the object"
VOID = "frames with void pixels, taken as background (see --void)"


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "RGBA", "LA"])
def test_white_is_the_object_where_there_is_nothing_else(davis_2016, mode):
    repaint(davis_2016 / "Annotations/video1", lambda numbers: white(numbers, mode))
    repaint(davis_2016 / "Annotations/video2", lambda numbers: white(numbers, "L"))
    dataset = read_davis(davis_2016)
    for video in dataset.videos:
        assert [(t.category, sorted(t.masks)) for t in video.tracks] == [("object", [0, 1, 2, 3])]
    assert (dataset.notes[ONLY_WHITE], dataset.notes[VOID]) == (8, 0)


def test_white_is_void_where_any_picture_has_another_value(davis_2016):
    """Decided for the whole import: one frame of another video has a number."""
    repaint(davis_2016 / "Annotations/video1", lambda numbers: white(numbers, "1"))
    dataset = read_davis(davis_2016)
    assert [len(video.tracks) for video in dataset.videos] == [0, 2]
    assert (dataset.notes[ONLY_WHITE], dataset.notes[VOID]) == (0, 4)
    assert [len(v.tracks) for v in read_davis(davis_2016, void=-1).videos] == [1, 2]


def test_white_is_void_where_meta_names_other_objects(source):
    repaint(source / "Annotations", lambda numbers: white(numbers, "L"))
    dataset = read_davis(source)
    assert [video.tracks for video in dataset.videos] == [[], []]
    assert (dataset.notes[ONLY_WHITE], dataset.notes[VOID]) == (0, 8)


def test_void_of_the_command_line_wins_and_an_import_without_objects_fails(
    davis_2016, tmp_path, capsys
):
    repaint(davis_2016 / "Annotations", lambda numbers: white(numbers, "L"))
    arguments = ["davis", str(davis_2016), "--output", str(tmp_path / "out.json")]
    assert main([*arguments, "--void", "255"]) == 2
    assert f"no track in 2 videos (8 {VOID})" in capsys.readouterr().err
    assert not (tmp_path / "out.json").exists()
    assert main(arguments) == 0
    assert re.search(f"{ONLY_WHITE} +8", capsys.readouterr().out)
    repaint(davis_2016 / "Annotations", lambda numbers: Image.fromarray(numbers * 0))
    assert main([*arguments, "--overwrite"]) == 2
    assert "out.json: no track in 2 videos: they have no mask" in capsys.readouterr().err


def test_colours_are_objects(davis_2016):
    colours = np.array([[0, 0, 0], [0, 0, 255], [255, 0, 0]], np.uint8)
    expected = read_davis(davis_2016)
    repaint(davis_2016 / "Annotations", lambda numbers: Image.fromarray(colours[numbers]))
    assert read_davis(davis_2016).videos == expected.videos


def smoothed(numbers, mode="L"):
    big = Image.fromarray(np.where(numbers > 0, 255, 0).astype(np.uint8))
    return big.filter(ImageFilter.GaussianBlur(2)).convert(mode)


def as_jpeg(numbers):
    file = io.BytesIO()
    white(numbers, "L").save(file, format="JPEG")
    return Image.open(file)


@pytest.mark.parametrize(
    "paint",
    [smoothed, as_jpeg, lambda numbers: smoothed(numbers, "RGB")],
    ids=["smoothed", "as_jpeg", "smoothed_rgb"],
)
def test_shades_of_grey_are_not_objects(davis_2016, paint):
    repaint(davis_2016 / "Annotations/video1", paint)
    message = r"video1/0000\d.png: has \d+ grey values other than 0 and 255, .* without smoothing"
    with pytest.raises(ValueError, match=message):
        read_davis(davis_2016)
    dataset = read_davis(davis_2016, skip_broken=True)
    assert [video.name for video in dataset.videos] == ["video2"]


def test_few_shades_of_grey_beside_white_are_a_question(davis_2016):
    """As resizing leaves them at the edges of black and white masks."""

    def resized(numbers):
        levels = np.array(white(numbers, "L")).astype(int)
        return Image.fromarray(((levels + np.roll(levels, 1, axis=1)) // 2).astype(np.uint8))

    repaint(davis_2016 / "Annotations/video1", resized)
    with pytest.raises(ValueError, match=r"pixels of 255 and of 127: .* \(--void 255, or -1"):
        read_davis(davis_2016, skip_broken=True)
    assert len(read_davis(davis_2016, void=255).videos) == 2


THIN = "frames with objects nowhere 3 pixels wide, of a colour or grey: or smoothed edges?"


@pytest.mark.parametrize("shades", [[(200, 0, 0), (100, 0, 0)], [(128,) * 3, (72,) * 3], [128, 72]])
def test_thin_shades_are_counted(davis_2016, shades):
    def shaded(numbers):
        picture = np.zeros((*SIZE, *np.shape(shades[0])), np.uint8)
        picture[2:12, 2:12], picture[2:12, 12] = shades
        return Image.fromarray(picture)

    repaint(davis_2016 / "Annotations/video1", shaded)
    notes = read_davis(davis_2016).notes
    assert notes[THIN] == len([*(davis_2016 / "Annotations/video1").iterdir()])


def with_palette(numbers, *colours):
    picture = Image.fromarray(numbers.astype(np.uint8))
    picture.putpalette(bytes(sum(colours, ())))
    return picture


BLACK, RED, GREEN = (0, 0, 0), (255, 0, 0), (0, 255, 0)


def test_a_palette_begins_with_the_background(davis_2016):
    repaint(davis_2016 / "Annotations/video1", lambda n: with_palette(1 - (n > 0), RED, BLACK))
    with pytest.raises(ValueError, match="palette in which 1 is black, the background, and 0 is"):
        read_davis(davis_2016)


def test_palettes_of_a_video_agree(davis_2016):
    repaint(davis_2016 / "Annotations", lambda n: with_palette(n, BLACK, RED, GREEN))
    assert len(read_davis(davis_2016).videos) == 2
    path = davis_2016 / "Annotations/video1/00001.png"
    with_palette(np.array(Image.open(path)) > 0, BLACK, GREEN).save(path)
    with pytest.raises(ValueError, match=r"00001.png: .* 1 is the colour \(0, 255, 0\), and 00000"):
        read_davis(davis_2016)
    assert len(read_davis(davis_2016, skip_broken=True).videos) == 1


@pytest.mark.parametrize("mode", ["L", "P", "RGB"])
@pytest.mark.parametrize(
    "objects",
    [range(1, 101), range(3, 65, 5), [*range(1, 21), 254], [38, 75, 113, 128]],
    ids=["many", "some of many", "with a void of its own", "few greys"],
)
def test_many_objects_with_low_numbers_are_objects(davis_2016, mode, objects):
    numbers = np.zeros(SIZE, np.uint8)
    numbers.flat[: len(objects)] = objects
    picture = Image.fromarray(numbers)
    if mode == "P":
        picture.putpalette(bytes(range(256)) * 3)
    repaint(davis_2016 / "Annotations/video1", lambda _: picture.convert(mode))
    dataset = read_davis(davis_2016)
    assert len(dataset.videos[0].tracks) == len(objects)


def test_palettes_have_any_numbers(davis_2016):
    picture = Image.fromarray((np.arange(SIZE[0] * SIZE[1]) % 250).astype(np.uint8).reshape(SIZE))
    picture.putpalette(bytes(range(256)) * 3)
    repaint(davis_2016 / "Annotations/video1", lambda _: picture)
    assert len(read_davis(davis_2016).videos[0].tracks) == 249


@pytest.mark.parametrize("coloured", ["00000", "00002"])
def test_numbers_and_colours_in_one_video_are_refused(davis_2016, coloured):
    """Object 1 of the palette and its colour would be two tracks."""
    path = davis_2016 / f"Annotations/video1/{coloured}.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(ValueError, match=r"video1/0000\d.png: .* by colours or by numbers .*0000"):
        read_davis(davis_2016)
    dataset = read_davis(davis_2016, skip_broken=True)
    assert [video.name for video in dataset.videos] == ["video2"]
    assert [*dataset.broken] == ["videos"]


def moved_below(folder, name):
    folder.rename(folder.with_name("moved"))
    folder.mkdir()
    folder.with_name("moved").rename(folder / name)


def davis_layout(root, *labels, images="480p"):
    """The archive's folders; ``labels`` such as "Annotations/480p"."""
    numbers = root / "Annotations"
    for name in labels:
        shutil.copytree(numbers, root / "new" / name)
    shutil.rmtree(numbers)
    for path in (root / "new").iterdir():
        path.rename(root / path.name)
    frames = (root / "JPEGImages").resolve()
    (root / "JPEGImages").unlink()
    (root / "JPEGImages").mkdir()
    (root / "JPEGImages" / images).symlink_to(frames)


@pytest.mark.parametrize("labels", ["Annotations/480p", "Annotations_unsupervised/480p"])
@pytest.mark.parametrize("below", ["", "above", "labels", "labels/480p"])
def test_archives_of_davis_as_they_unpack(davis_2016, labels, below, monkeypatch):
    expected = read_davis(davis_2016).videos
    davis_layout(davis_2016, labels)
    source = davis_2016.parent if below == "above" else davis_2016
    if below == "above":
        moved_below(davis_2016, "DAVIS")
        source = davis_2016
    if below.startswith("labels"):
        source = davis_2016 / labels.split("/")[0] / below.removeprefix("labels").lstrip("/")
    dataset = read_davis(source)
    assert dataset.videos == expected
    monkeypatch.chdir(next(dataset.image_root.parents[1].rglob("480p")))
    assert read_davis(Path(os.path.relpath(source))) == dataset  # ".", ".." and deeper
    assert (dataset.image_root.parent.name, dataset.image_root.name) == ("JPEGImages", "480p")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["Annotations/480p", "Annotations/1080p"], r"below 480p, 1080p; choose one \(--subfolder"),
        (["Annotations/480p", "Annotations_unsupervised/480p"], "several sets: .* as SOURCE"),
    ],
)
def test_unclear_layouts_name_the_option(davis_2016, labels, message):
    davis_layout(davis_2016, *labels)
    with pytest.raises(ValueError, match=message):
        read_davis(davis_2016)
    assert len(read_davis(davis_2016 / "Annotations", subfolder="480p").videos) == 2


def test_what_is_no_video_makes_no_layout_unclear(davis_2016):
    expected = read_davis(davis_2016).videos
    davis_layout(davis_2016, "Annotations/480p")
    for stray in ("Annotations/__MACOSX", "Annotations/1080p", "JPEGImages/1080p/video1"):
        (davis_2016 / stray).mkdir(parents=True)
    assert read_davis(davis_2016).videos == expected
    moved_below(davis_2016, "DAVIS")
    inside = davis_2016.rename(davis_2016.parent / "Annotations")
    assert read_davis(inside / "DAVIS").videos == expected


def test_a_subfolder_may_have_several_levels(davis_2016):
    expected = read_davis(davis_2016).videos
    davis_layout(davis_2016, "Annotations/all/480p", "Annotations/few/480p")
    moved_below(davis_2016 / "JPEGImages", "all")
    (davis_2016 / "JPEGImages/few").mkdir()
    dataset = read_davis(davis_2016, subfolder="all/480p")
    assert dataset.videos == expected
    assert dataset.image_root == davis_2016 / "JPEGImages/all/480p"


def test_frames_in_two_sizes_name_the_option(davis_2016):
    davis_layout(davis_2016, "Annotations", images="480p")
    (davis_2016 / "JPEGImages/1080p").symlink_to(davis_2016 / "JPEGImages/480p")
    with pytest.raises(ValueError, match=r"JPEGImages/480p, .*1080p; choose one \(--images\)"):
        read_davis(davis_2016)


def test_lists_of_image_sets_are_found_by_name(davis_2016):
    for year, line in (
        ("2016", "/JPEGImages/480p/video1/00000.jpg /Annotations/480p/video1/0.png"),
        ("2017", "video2"),
    ):
        (davis_2016 / "ImageSets" / year).mkdir(parents=True)
        (davis_2016 / f"ImageSets/{year}/val.txt").write_text(f"{line}\n{line}\n")
    (davis_2016 / "ImageSets/2017/train.txt").write_text("video1\n")
    names = {"2016/val": "video1", "2017/val.txt": "video2", "train": "video1"}
    for videos, name in names.items():
        assert [v.name for v in read_davis(davis_2016, videos=videos).videos] == [name]
    with pytest.raises(ValueError, match="--videos val may be 2016/val, 2017/val; choose one"):
        read_davis(davis_2016, videos="val")
    with pytest.raises(FileNotFoundError, match="in ImageSets are 2016/val, 2017/train, 2017/val"):
        read_davis(davis_2016, videos="test")


def test_a_video_without_a_usable_frame_is_left_out(source):
    for path in (source / "Annotations/video1").iterdir():
        path.write_bytes(b"")
    (source / "Annotations/video3").mkdir()
    with pytest.raises(ValueError, match=r"video1/00000.png: cannot be read as a PNG"):
        read_davis(source)
    dataset = read_davis(source, skip_broken=True)
    assert [video.name for video in dataset.videos] == ["video2"]
    assert (len(dataset.broken["frames"]), len(dataset.broken["videos"])) == (4, 2)
    assert "broken videos:\n  " in summary_table(dataset)


def test_names_may_be_spelled_in_two_ways(davis_2016):
    """Composed on a Linux disk, decomposed where a Mac unpacked or wrote them."""
    frames = (davis_2016 / "JPEGImages").resolve()
    for folder, spelled in ((frames, nfd), (davis_2016 / "Annotations", str)):
        for path in sorted((folder / "video1").iterdir()):
            path.rename(path.with_name(spelled(f"é{path.name}")))
        (folder / "video1").rename(folder / spelled("ä1"))
    (davis_2016 / "list.txt").write_text(nfd("ä1"))
    (video,) = read_davis(davis_2016, videos=davis_2016 / "list.txt").videos
    assert video.file_names[1] == nfd("ä1/é00001.jpg")
    assert len(video.tracks) == 2


def nfd(text):
    return unicodedata.normalize("NFD", text)


def test_frames_without_a_png(source):
    for path in (source / "Annotations").glob("*/0000[13].png"):
        path.unlink()
    annotated = read_davis(source).videos[0]
    assert annotated.file_names == ["video1/00000.jpg", "video1/00002.jpg"]
    assert sorted(annotated.tracks[1].masks) == [0, 1]
    complete = read_davis(source, frames="all")
    assert len(complete.videos[0].file_names) == 4
    assert sorted(complete.videos[0].tracks[1].masks) == [0, 2]
    assert complete.notes["frames without a PNG taken as empty"] == 4


def test_a_list_of_videos(tmp_path, source):
    for folder in (source / "Annotations", (source / "JPEGImages").resolve()):
        (folder / "video2").rename(folder / "video 2")
    meta = source / "meta.json"
    meta.write_text(meta.read_text().replace("video2", "video 2"))
    (source / "Annotations/video1").rename(tmp_path / "video1")
    note = "videos of meta.json without PNGs left out"
    assert read_davis(source).notes[note] == 1
    (tmp_path / "video1").rename(source / "Annotations/video1")
    videos = tmp_path / "val.txt"
    for encoding in ("utf-8-sig", "utf-16"):
        videos.write_text(" video 2\n\n", encoding=encoding)
        dataset = read_davis(source, videos=videos)
        ((only,),) = [dataset.videos]
        assert not dataset.notes[note]  # it was asked for
        assert (only.name, only.file_names[0]) == ("video 2", "video 2/00000.jpg")
    videos.write_text("video 2\nvideo9\n")
    with pytest.raises(ValueError, match=r"val.txt: video 'video9' is not in"):
        read_davis(source, videos=videos)


def photograph():
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (photograph(), "00002.png: has 3072 colours, each of which would be"),
        (np.full((*SIZE, 4), 9, np.uint8), "00002.png: is transparent in places"),
        (np.zeros(SIZE, np.uint16), "00002.png: is a PNG of mode 'I;16'"),
        (b"GIF89a", "00002.png: cannot be read as a PNG"),
        (np.zeros((9, 9), np.uint8), "00002.png: has 9 x 9 pixels .*expected 48 x 64"),
        (np.full(SIZE, 7, np.uint8), "00002.png: object 7 is not in meta.json; there: 1, 2"),
    ],
)
def test_bad_pictures_are_named(source, picture, message):
    path = source / "Annotations/video1/00002.png"
    if isinstance(picture, bytes):
        path.write_bytes(picture)
    else:
        Image.fromarray(picture).save(path)
    with pytest.raises(ValueError, match=message):
        read_davis(source)


def test_missing_frames_are_named(source):
    Image.fromarray(np.zeros(SIZE, np.uint8)).save(source / "Annotations/video1/00009.png")
    with pytest.raises(FileNotFoundError, match=r"00009.png: there is no image 00009"):
        read_davis(source)
    dataset = read_davis(source, skip_broken=True)
    assert [len(video.file_names) for video in dataset.videos] == [4, 4]
    assert len(dataset.broken["frames"]) == 1
    with pytest.raises(FileNotFoundError, match=r"nowhere.*: no such folder"):
        read_davis(source, images=Path("nowhere"))


def of_video1(objects):
    return {"videos": {"video1": {"objects": objects}}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([], r"meta.json: is \[\]; an object"),
        ({"videos": 3}, r"meta.json, 'videos': is 3"),
        ({"videos": {}}, "video1: is a video that meta.json does not have"),
        (of_video1({"one": {}}), "object 'one': its name must be an integer"),
        (of_video1({"1": {"category": 5}}), "object '1': category must be text, got 5"),
    ],
)
def test_bad_meta_is_named(source, content, message):
    save_json(source / "meta.json", content)
    with pytest.raises(ValueError, match=message):
        read_davis(source)


def test_objects_without_category(source):
    """As in the parts of YouTube-VOS whose categories are not public."""
    videos = {
        "video1": {"objects": {"1": {"frames": []}, "2": {"category": "dog"}}},
        "video2": {"objects": {"1": {}, "2": {}}},
    }
    save_json(source / "meta.json", {"videos": videos})
    dataset = read_davis(source)
    found = [[track.category for track in video.tracks] for video in dataset.videos]
    assert found == [["object", "dog"], ["object", "object"]]
    assert dataset.categories == [(1, "dog"), (2, "object")]
    assert dataset.notes["objects without category, taken as 'object'"] == 3
