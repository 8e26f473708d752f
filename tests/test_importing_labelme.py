import shutil

import numpy as np
import pytest
from foreign_formats import (
    SIZE,
    decoded,
    embedded_png,
    imported,
    known_dataset,
    labelme_shape,
    read_labelme,
    turn_frames,
    write_labelme,
)
from json_files import save_json

SQUARE = [[4, 4], [12, 4], [12, 12], [4, 12]]


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known", videos=1, ragged=False)


@pytest.fixture
def read(known):
    """Reads one file, of frame 1 of a video of four."""

    def read(*shapes, content=None, **options):
        content = content or {"shapes": shapes, "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
        save_json(known.images / "video1/00001.json", content)
        return read_labelme(known.images, **options)

    return read


def only_mask(dataset):
    ((found,),) = [video.tracks for video in dataset.videos]
    ((mask),) = found.masks.values()
    return decoded(mask)


def test_one_video(known):
    source = write_labelme(known, known.images) / "video1"
    (video,) = read_labelme(source).videos
    assert (video.name, video.file_names[1]) == ("video1", "00001.jpg")


def test_another_image_that_a_file_names_is_refused(read):
    content = {"shapes": [shape()], "imageHeight": SIZE[0], "imageWidth": SIZE[1]}
    for name in ("00001.png", "gone.jpg", "..\\labelled\\00001.jpg", None):
        assert len(read(content={**content, "imagePath": name}).tracks) == 1
    message = r"00001.json: imagePath is '.*00002.jpg', which is there too, and not 00001.jpg"
    with pytest.raises(ValueError, match=message):
        read(content={**content, "imagePath": "..\\labelled\\00002.jpg"})


def test_folders_next_to_files_are_counted(read, known):
    (known.images / "video1/more").mkdir()
    save_json(known.images / "video1/more/00001.json", {"shapes": []})
    read(shape())
    notes = read_labelme(known.images / "video1").notes
    assert notes["folders of further videos left out, as there are files next to them"] == 1


def test_a_folder_of_two_videos_is_pointed_out(read, known):
    note = "videos in which the images' numbers start again: several videos in one folder?"
    assert not read(shape()).notes[note]
    (known.images / "video1/take2_00000.jpg").symlink_to(known.images / "video1/00000.jpg")
    assert read(shape()).notes[note] == 1


def test_frames_without_a_file(read):
    assert read(shape()).videos[0].file_names == ["video1/00001.jpg"]
    dataset = read(shape(), frames="all")
    assert len(dataset.videos[0].file_names) == 4
    assert [*dataset.videos[0].tracks[0].masks] == [1]
    assert dataset.notes["frames without a file taken as empty"] == 3


def test_rectangle_circle_and_mask(read):
    rectangle = only_mask(read(shape([[12, 4], [4, 14]], kind="rectangle")))  # opposite corners
    expected = np.zeros(SIZE, bool)
    expected[4:14, 4:12] = True
    assert (rectangle == expected).all()

    circle = only_mask(read(shape([[20, 20], [20, 30]], kind="circle")))
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    assert (circle == ((y - 20) ** 2 + (x - 20) ** 2 <= 100)).all()

    pixels = np.eye(5, 7, dtype=np.uint8) * 255
    mask = only_mask(read(shape([[3, 2], [9, 6]], kind="mask", mask=embedded_png(pixels))))
    expected = np.zeros(SIZE, bool)
    expected[2:7, 3:10] = pixels > 0
    assert (mask == expected).all()


@pytest.mark.parametrize("kind", ["oriented_rectangle", "rotation", None])
def test_turned_rectangles_are_polygons(read, kind):
    corners = [[20, 10], [30, 20], [20, 30], [10, 20]]
    expected = only_mask(read(shape(corners)))
    assert 150 < expected.sum() < 250
    assert (only_mask(read(shape(corners, kind=kind))) == expected).all()


@pytest.mark.parametrize(
    ("x", "y"), [(-2, 5), (60, 5), (3, -1), (3, 45), (-3, -3), (62, 46), (10.5, 7.5), (-1.5, 5)]
)
def test_masks_are_cut_at_the_border(read, x, y):
    pixels = np.arange(6 * 8, dtype=np.uint8).reshape(6, 8) % 5
    box = [[x, y], [x + 7, y + 5]]
    around = np.pad(np.zeros(SIZE, bool), 9)  # a frame that holds all of the mask
    top, left = round(y) + 9, round(x) + 9
    around[top : top + 6, left : left + 8] = pixels > 0
    expected = around[9:-9, 9:-9]
    mask = embedded_png(pixels)
    assert (only_mask(read(shape(box, kind="mask", mask=mask))) == expected).all()


@pytest.mark.parametrize(("x", "y"), [(-7, 5), (64, 5), (3, -5), (3, 48), (-9e8, 9e8)])
def test_masks_beyond_the_border_are_empty(read, x, y):
    pixels = embedded_png(np.ones((5, 7), np.uint8))
    dataset = read(shape([[x, y], [x + 6, y + 4]], kind="mask", mask=pixels))
    assert dataset.videos[0].tracks == []
    assert dataset.notes["empty masks left out"] == 1


def test_shapes_without_a_group(read):
    alone = shape(group_id=None)
    with pytest.raises(ValueError, match=r"00001.json, shape 1: 'cat' has no group_id"):
        read(alone)
    assert only_mask(read(alone, ungrouped="label")).sum() == 64
    dropped = read(alone, ungrouped="drop")
    assert dropped.videos[0].tracks == []
    assert dropped.notes["shapes without group_id left out"] == 1
    assert dropped.categories == []


def test_a_group_of_two_labels_is_two_tracks(read):
    dog = [[20, 20], [30, 20], [30, 30], [20, 30]]
    shapes = [shape(), shape(dog, label="dog"), shape(dog, label="dog", group_id=2)]
    dataset = read(*shapes, shape([[20, 4], [22, 4], [22, 12], [20, 12]]))
    found = [(t.category, decoded(t.masks[0]).sum()) for t in dataset.videos[0].tracks]
    assert found == [("cat", 64 + 16), ("dog", 100), ("dog", 100)]
    assert dataset.notes["group_ids with several labels, each label a track"] == 1


def test_points_lines_and_ignored_regions_are_counted(read):
    shapes = [labelme_shape("post", [[1, 1]], kind=k) for k in ("point", "line", "line")]
    ignored = labelme_shape("__ignore__", SQUARE)
    dataset = read(*shapes, ignored, ignored | {"group_id": 1}, shape())
    assert dataset.notes["shapes of kind line left out"] == 2
    assert dataset.notes["shapes of kind point left out"] == 1
    assert dataset.notes["shapes labelled __ignore__ left out"] == 2
    assert dataset.categories == [(1, "cat")]
    assert len(dataset.videos[0].tracks) == 1


NUMBERED = ("bus-1", "bus-2", "bus-1", "bus-", "tram-4", "-5")


def numbered(*labels):
    return [labelme_shape(label, SQUARE) for label in labels]


def test_labels_with_number(read, known, tmp_path):
    read(*numbered("bus-1", "bus-2"), labels_with_number=True)
    found = imported("labelme", known.images, tmp_path / "out.json", "--labels-with-number")
    assert len(found.content["annotations"]) == 2
    dataset = read(*numbered(*NUMBERED), labels_with_number=True, ungrouped="drop")
    tracks = [(t.category, [*t.masks]) for t in dataset.videos[0].tracks]
    assert tracks == [("bus", [0]), ("bus", [0]), ("tram", [0])]
    assert dataset.categories == [(1, "bus"), (2, "tram")]
    assert dataset.notes["shapes without group_id left out"] == 2
    with pytest.raises(ValueError, match="shape 2: 'bus' has no group_id"):
        read(*numbered("bus-1", "bus"), labels_with_number=True)


def test_labels_with_number_are_pointed_out(read):
    note = "categories alike but for -NUMBER (see --labels-with-number)"
    dataset = read(*numbered(*NUMBERED), ungrouped="label")
    assert [name for _, name in dataset.categories] == sorted({*NUMBERED})
    assert dataset.notes[note] == 2
    assert dataset.notes["group_ids with several labels, each label a track"] == 0  # no group_id
    assert read(*numbered("bus-1", "tram-1", "t-x"), ungrouped="label").notes[note] == 0
    assert read(*numbered("bus-1-1", "bus-2-1"), labels_with_number=True).notes[note] == 0
    with pytest.raises(ValueError, match=r"'bus-1' has no group_id.* \(--labels-with-number\)"):
        read(*numbered("bus-1"))


NINE_BY_FIVE = embedded_png(np.zeros((9, 5), np.uint8))


def shape(points=SQUARE, kind="polygon", **values):
    return labelme_shape("cat", points, kind=kind, group_id=1) | values


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ([shape(group_id=1.5)], "group_id is 1.5"),
        ([shape(label=3)], "shape 1: label must be text, got 3"),
        ([shape([[1, 2], [3]])], r"points are \[\[1, 2\], \[3\]\]; a list of points"),
        ([shape([[1, 2], [3, "4"], [5, 6]])], r"points are \[.* \[3, '4'\]"),
        ([shape([[1, 2], [3, 1e300], [5, 6]])], r"points are .*1e\+300"),
        ([shape([[1, 2], [3, 4]])], "polygon .* at least 6 numbers"),
        ([shape([])], r"points are \[\]"),
        ([shape(kind="blob")], "unknown shape_type 'blob'"),
        ([shape(kind=["polygon"])], "unknown shape_type"),
        ([shape([[0, 0]] * 3, kind="rectangle")], "of kind rectangle has 3 points; 2"),
        ([shape([[0, 0]] * 3, kind="rotation")], "of kind rotation has 3 points; 4"),
        ([shape([[0, 0], [8e8, 0]], kind="circle")], "of an ellipse are out of range"),
        ([shape([[0, 0], [128, 9]], kind="mask")], "mask from .* at most twice the frame's, 48 x"),
        ([shape([[0, 0], [9, 96]], kind="mask")], r"mask from \(0, 0\) to \(9, 96\)"),
        ([shape([[9, 9], [3, 12]], kind="mask")], "first corner must be the upper left"),
        ([shape([[-1e308, 0], [1e308, 4]], kind="mask")], "points are"),
        ([shape([[0, 0], [4, 4]], kind="mask")], "mask must be text, it is missing"),
        ([shape([[0, 0], [4, 4]], kind="mask", mask="%%")], "shape 1: "),
        ([shape([[0, 0], [4, 4]], kind="mask", mask="aGk=")], "embedded PNG: cannot be read"),
        ([shape([[0, 0], [4, 4]], kind="mask", mask=NINE_BY_FIVE)], "embedded PNG: has 9 x 5"),
        ([3], "shape 1: is 3; an object"),
    ],
)
def test_bad_shapes_are_named(read, shapes, message):
    with pytest.raises(ValueError, match=message):
        read(*shapes)


def test_bad_files_are_named(read, known):
    with pytest.raises(ValueError, match="00001.json: shapes must be a list, it is missing"):
        read(content={"version": "5"})
    message = r"height and width are \(9, None\), but .* has \(48, 64\)"
    with pytest.raises(ValueError, match=message):
        read(content={"shapes": [], "imageHeight": 9})
    with pytest.raises(ValueError, match=r"height and width are \('48', 64\), but"):
        read(content={"shapes": [], "imageHeight": "48", "imageWidth": 64})
    shutil.move(known.images / "video1/00001.json", known.images / "video1/00009.json")
    with pytest.raises(FileNotFoundError, match="00009.json: there is no image 00009"):
        read_labelme(known.images)


def test_labels_of_the_stored_picture_say_so_by_their_size(known, read):
    """As tools label it that do not look at EXIF."""
    turn_frames(known.images)
    stored = {"shapes": [shape()], "imageHeight": SIZE[1], "imageWidth": SIZE[0]}
    assert [video.size for video in read(content=stored).videos] == [SIZE[::-1]]
    message = r"00001.json: height and width are \(50, 60\), but .*00001.jpg has \(48, 64\)"
    with pytest.raises(ValueError, match=message):
        read(content=stored | {"imageHeight": 50, "imageWidth": 60})
