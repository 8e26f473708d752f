from simplevtr.toolbox.importing.output import write_ytvis

import numpy as np
import pytest
from foreign_formats import (
    SIZE,
    assert_same_tracks,
    decoded,
    imported,
    known_dataset,
    read_coco_tracks,
    turn_frames,
    write_coco,
)
from json_files import edit_json


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known", ragged=False)


def by_folder(content):
    content["categories"].reverse()  # their order is that of the ids
    for image in content["images"]:
        del image["video_id"], image["frame_index"]


def nested(content):
    """As CVAT writes them."""
    for entry in content["annotations"]:
        keys = entry.keys() & {"track_id", "instance_id"}
        entry["attributes"] = {"occluded": False, "track_id": entry.pop(*keys)}


@pytest.mark.parametrize("change", [by_folder, nested, lambda content: None])
@pytest.mark.parametrize("shape", ["compressed", "uncompressed", "polygon", "rings"])
def test_round_trip(tmp_path, change, shape):
    known = known_dataset(tmp_path / "known", ragged=shape == "compressed")
    source = write_coco(known, tmp_path / "coco.json", shape=shape)
    edit_json(source, change)
    other = imported("coco-tracks", source, tmp_path / "out.json", "--images", known.images)
    assert_same_tracks(known, other)
    assert other.content["categories"] == known.content["categories"]


def read(known, tmp_path, change, *, crowds=False, skip_broken=False, **options):
    path = write_coco(known, tmp_path / "coco.json", **options)
    edit_json(path, change)
    return read_coco_tracks(path, images=known.images, crowds=crowds, skip_broken=skip_broken)


def test_a_number_and_its_text_are_one_track(known, tmp_path):
    def as_text(content):
        for entry in content["annotations"][::2]:
            key = next(key for key in ("track_id", "instance_id") if key in entry)
            entry[key] = str(entry[key])

    expected = read(known, tmp_path, lambda content: None)
    assert read(known, tmp_path, as_text).videos == expected.videos


@pytest.mark.parametrize("value", [-1, "-1", "", " "])
def test_placeholders_are_no_track_ids(known, tmp_path, value):
    def untracked(content):
        for entry in content["annotations"][:2]:
            entry.pop("instance_id", None)
            entry["track_id"] = value

    dataset = read(known, tmp_path, untracked)
    assert dataset.notes["annotations without a track id left out"] == 2
    assert masks_in(dataset) == masks_in(read(known, tmp_path, lambda content: None)) - 2


def test_a_category_that_changes_is_one_where_both_get_one_name(known, tmp_path):
    path = write_coco(known, tmp_path / "coco.json")
    edit_json(path, annotation(category_id=2))
    found = imported("coco-tracks", path, tmp_path / "a.json", "--images", str(known.images),
        "--rename", "*=object")  # fmt: skip
    assert [category["name"] for category in found.content["categories"]] == ["object"]


def test_videos_that_no_image_names_are_not_joined(known, tmp_path):
    def change(content):
        for entry in content["images"]:
            del entry["video_id"]
            entry.pop("frame_index", None)
        content["videos"] = [{"id": n, "name": f"video{n}"} for n in (1, 2, 3)]

    with pytest.raises(ValueError, match="has 3 videos, but no image .* are those of 2"):
        read(known, tmp_path, change)


@pytest.mark.parametrize("joined", [True, False])
def test_a_folder_of_two_videos_is_pointed_out(known, tmp_path, joined):
    def change(content):
        for entry in content["images"]:
            for key in ("video_id", "frame_index"):
                del entry[key]
            if joined:
                entry["file_name"] = entry["file_name"].replace("/", "_")

    for path in [*known.images.glob("*/*.jpg")]:
        (known.images / f"{path.parent.name}_{path.name}").symlink_to(path)
    dataset = read(known, tmp_path, change)
    note = "videos in which the images' numbers start again: several videos in one folder?"
    assert (len(dataset.videos), dataset.notes[note]) == ((1, 1) if joined else (2, 0))


def masks_in(dataset):
    return sum(len(track.masks) for video in dataset.videos for track in video.tracks)


def test_frames_beside_the_file(known, tmp_path):
    source = write_coco(known, known.images / "coco.json")
    assert len(read_coco_tracks(source).videos) == 2


def test_what_has_no_mask_is_counted(known, tmp_path):
    def change(content):
        del content["annotations"][0]["segmentation"]
        content["annotations"][1]["segmentation"] = []
        content["annotations"][2]["iscrowd"] = 1
        content["annotations"][3]["ignore"] = True  # not a crowd, but without a label
        content["annotations"][4] |= {"ignore": False, "iscrowd": None}
        del content["annotations"][5]["track_id"]

    dataset = read(known, tmp_path, change)
    assert dataset.notes["annotations without a segmentation left out"] == 2
    assert dataset.notes[f"{CROWDS} (--crowds imports them as objects)"] == 1
    assert dataset.notes["annotations to ignore left out"] == 1
    assert dataset.notes["annotations without a track id left out"] == 1
    assert masks_in(dataset) == 14 - 5


def test_crowds_are_objects_where_every_rle_is_one(known, tmp_path):
    def change(content):
        for entry in content["annotations"]:
            entry["iscrowd"] = 1

    dataset = read(known, tmp_path, change)
    assert masks_in(dataset) == 0
    reason = r"no track in 2 videos \(14 crowds .* which all annotations are \(--crowds imports"
    with pytest.raises(ValueError, match=reason):
        write_ytvis(dataset, tmp_path / "out.json")
    assert masks_in(read(known, tmp_path, change, crowds=True)) == 14


CROWDS = "crowds (iscrowd 1) left out"


def annotation(index=0, **values):
    return lambda content: content["annotations"][index].update(values)


def segmentation(value):
    return annotation(segmentation=value)


def image(index=0, **values):
    return lambda content: content["images"][index].update(values)


def category(**values):
    return lambda content: content["categories"][0].update(values)


def without_tracks(content):
    for entry in content["annotations"]:
        entry.pop("track_id", entry.pop("instance_id", None))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_tracks, "annotation 0: track_id or instance_id, also .* in attributes, is None"),
        (annotation(track_id=1.5), "annotation 0: .* is 1.5; an integer or a text"),
        (annotation(track_id=1), "annotation 1: track 1 has category 'dog' here"),
        (annotation(1, track_id=0, category_id=1), "annotation 1: track 0 has a second mask"),
        (annotation(image_id=77), r"annotations\[0\]: there is no image 77"),
        (annotation(category_id=9), "annotation 0: unknown category_id 9; .* 1, 2"),
        (annotation(iscrowd="no"), r"annotations\[0\]: iscrowd must be 0 or 1, got 'no'"),
        (annotation(ignore="no"), r"annotations\[0\]: ignore must be 0 or 1, got 'no'"),
        (
            segmentation([{"size": [24, 32], "counts": "a"}]),
            "is in a list; an RLE must stand alone",
        ),
        (segmentation({"exterior": 3}), "annotation 0: points are 3; a list"),
        (segmentation([{"exterior": [], "interiors": 3}]), "'interiors' is"),
        (segmentation([[1, 2]]), r"annotation 0: polygon \[1, 2\]"),
        (segmentation({"size": 3, "counts": "a"}), "annotation 0: RLE size is 3"),
        (image(height=47), "height and width are .47, 64., but .* has .48, 64."),
        (image(id=201), r"images\[2\]: id 201 is used by images\[0\]"),
        (image(height=47, width=None), "height and width are .47, None., but"),
        (
            image(frame_index=0),
            "images .* of video 2 are the same frame.*'video_id'.*'first_frame_image_id'.* folder",
        ),
        (image(frame_index=None), "such as 'video2/00003.jpg', have none"),
        (image(video_id=None), r"images\[0\]: 'video_id' is None"),
        (image(file_name="../../secret.jpg"), "'../../secret.jpg'; a relative path below"),
        (category(id=2), r"categories\[1\]: id 2 is used by"),
        (image(7, file_name="video1/9.jpg"), "9.jpg does not exist"),
        (lambda content: content.pop("images"), "coco.json: images must be a list, it is missing"),
        (
            lambda content: content.update(videos=content.pop("images")),
            "coco.json: is a YouTube-VIS file",
        ),
        (
            lambda content: content["annotations"].insert(0, 3),
            r"coco.json: annotations\[0\]: must be an object",
        ),
    ],
)
def test_bad_values_are_named(known, tmp_path, change, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        read(known, tmp_path, change)


BOX = [4, 5, 14, 5, 14, 25, 4, 25]


def turned(corners, start, step):
    """The outline from another corner on, in the same or the other direction."""
    points = [corners[i : i + 2] for i in range(0, len(corners), 2)]
    return [x for i in range(len(points)) for x in points[(start + step * i) % len(points)]]


@pytest.mark.parametrize("start", range(4))
@pytest.mark.parametrize("step", [1, -1])
@pytest.mark.parametrize("closed", [False, True])
def test_boxes_are_counted_in_any_direction(known, tmp_path, start, step, closed):
    outline = turned(BOX, start, step)
    outline += outline[:2] * closed
    dataset = read(known, tmp_path, segmentation([outline]))
    assert dataset.notes == {"masks that are boxes": 1}
    assert masks_in(dataset) == 14


RING = [[4, 5], [14, 5], [14, 25], [4, 25]]
HOLED = {"exterior": RING, "interiors": [[[6, 7], [9, 7], [9, 9]]]}


@pytest.mark.parametrize(
    "polygons",
    [
        [[4, 5, 14, 5, 14, 25, 4, 26]],
        [[4, 5, 14, 25, 14, 5, 4, 25]],  # crossing
        [[4, 5, 14, 5, 14, 25]],
        [BOX, [30, 30, 40, 30, 40, 40, 30, 40]],
        [HOLED],
        [[30, 30, 40, 30, 40, 40, 30, 40], HOLED],
        [[4, 5, 4, 5, 4, 5, 4, 5]],
    ],
)
def test_other_masks_are_no_boxes(known, tmp_path, polygons):
    dataset = read(known, tmp_path, segmentation(polygons))
    assert not [note for note in dataset.notes if "boxes" in note]


@pytest.mark.parametrize("shape", ["polygon", "rings"])
def test_a_file_of_boxes_says_so(known, tmp_path, shape):
    empty = segmentation([[4, 5, 4, 5, 4, 5]])
    notes = read(known, tmp_path, empty, shape=shape).notes
    boxes = {"masks that are boxes: all, the file has no outlines": 13}
    assert notes == boxes | {"empty masks left out": 1}


@pytest.mark.parametrize("listed", [True, False])
def test_holes_are_left_out_of_polygons(known, tmp_path, listed):
    holes = [[[6, 7], [9, 7], [9, 9], [6, 9]], [[10, 20], [20, 20], [20, 30], [10, 30]]]
    polygon = {"exterior": RING, "interiors": holes}  # the second hole leaves the polygon
    shapes = [polygon, [7, 7, 8, 7, 8, 8, 7, 8]] if listed else polygon  # and an island
    dataset = read(known, tmp_path, segmentation(shapes))
    expected = np.zeros(SIZE, bool)
    expected[5:25, 4:14] = True
    expected[7:9, 6:9] = False
    expected[20:30, 10:20] = False
    expected[7, 7] = listed
    np.testing.assert_array_equal(decoded(dataset.videos[0].tracks[0].masks[0]), expected)


def test_outlines_count_together(known, tmp_path):
    long = [[0, 0], [9e4, 0], [0, 9e4]] * 2  # 5.4e5 pixels, and at most 1e6 are allowed
    shapes = [{"exterior": long, "interiors": [[[1, 1], [2, 1], [2, 2]]]}, sum(long, [])]
    with pytest.raises(ValueError, match=r"outline of 1.08e\+06 pixels"):
        read(known, tmp_path, segmentation(shapes))
    read(known, tmp_path, segmentation(shapes[:1]))


def test_a_sequence_is_known_by_its_first_image(known, tmp_path):
    """All frames in one folder, frame numbers that start again: the ids alone tell them apart."""
    flat = tmp_path / "flat"
    flat.mkdir()

    def change(content):
        for image in content["images"]:
            name = image["file_name"].replace("/", "_")
            (flat / name).symlink_to(known.images / image["file_name"])
            image |= {"file_name": name, "first_frame_image_id": 100 * image.pop("video_id")}

    dataset = read(known._replace(images=flat), tmp_path, change)
    files = [f"{name}_{file}" for name, files, _ in known.videos() for file in files]
    assert [name for video in dataset.videos for name in video.file_names] == files
    assert [len(video.tracks) for video in dataset.videos] == [2, 2]


def test_the_id_of_a_video_goes_before_its_first_image(known, tmp_path):
    dataset = read(known, tmp_path, image(first_frame_image_id=7))
    assert len(dataset.videos) == 2


def test_sizes_are_read_where_the_file_has_none(known, tmp_path):
    def change(content):
        for image in content["images"]:
            del image["height"], image["width"]

    assert [video.size for video in read(known, tmp_path, change).videos] == [SIZE, SIZE]


def test_the_size_in_the_file_tells_how_a_picture_was_labelled(known, tmp_path):
    expected = read(known, tmp_path, lambda content: None).videos
    turn_frames(known.images)  # stored on their side, upright by EXIF
    assert read(known, tmp_path, lambda content: None).videos == expected

    def stored(content):
        for image in content["images"]:
            image |= {"height": SIZE[1], "width": SIZE[0]}
        for entry in content["annotations"]:
            entry["segmentation"] = [BOX]

    assert {video.size for video in read(known, tmp_path, stored).videos} == {SIZE[::-1]}
