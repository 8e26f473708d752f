import math
import re

import numpy as np
import pytest
from foreign_formats import SIZE, decoded, known_dataset, read_cvat, turn_frames, write_cvat


@pytest.fixture
def known(tmp_path):
    return known_dataset(tmp_path / "known", videos=1, ragged=False)


@pytest.fixture
def read(tmp_path, known):
    def read(tracks, *, head="", **options):
        path = tmp_path / "video1.xml"
        path.write_text(f"{head}<annotations><version>1.1</version>{tracks}</annotations>")
        return read_cvat(path, images=known.images, **options)

    return read


def test_one_file_with_the_frames_at_once(known, tmp_path):
    source = write_cvat(known, tmp_path / "cvat") / "video1.xml"
    (video,) = read_cvat(source, images=known.images / "video1").videos
    assert video.file_names[0] == "00000.jpg"


def polygon(frame, *, x=0, outside=0, **attributes):
    points = f"{x},0;{x + 4},0;{x + 4},4;{x},4"
    more = "".join(f' {key}="{value}"' for key, value in attributes.items())
    return f'<polygon frame="{frame}" outside="{outside}" points="{points}"{more}/>'


def track(*shapes, label="cat"):
    return f'<track id="0" label="{label}">{"".join(shapes)}</track>'


def shown(dataset):
    """Of the only track: frame -> left edge."""
    ((found,),) = [video.tracks for video in dataset.videos]
    return {t: int(decoded(mask).any(axis=0).argmax()) for t, mask in found.masks.items()}


@pytest.mark.parametrize(
    ("shapes", "gaps", "expected", "between"),
    [
        ([polygon(0), polygon(2, x=8)], "absent", {0: 0, 2: 8}, 2),
        ([polygon(0), polygon(2, x=8)], "hold", {0: 0, 1: 0, 2: 8, 3: 8}, 2),
        # Nothing is held after outside or before the first shape.
        ([polygon(1), polygon(2, outside=1)], "absent", {1: 0}, 0),
        ([polygon(1), polygon(2, outside=1)], "hold", {1: 0}, 0),
        ([polygon(0, outside=1), polygon(2)], "hold", {2: 0, 3: 0}, 1),
        # An end right after a shape may be past the last frame.
        ([polygon(3), polygon(4, outside=1)], "absent", {3: 0}, 0),
        ([polygon(3), polygon(4, outside=1)], "hold", {3: 0}, 0),
        # A single shape in the last frame but one has no end and is not held.
        ([polygon(2)], "hold", {2: 0}, 0),
        ([polygon(1)], "hold", {1: 0, 2: 0, 3: 0}, 2),
        ([polygon(1), polygon(2)], "hold", {1: 0, 2: 0, 3: 0}, 1),
    ],
)
def test_gaps(read, shapes, gaps, expected, between):
    dataset = read(track(*shapes), gaps=gaps)
    assert shown(dataset) == expected
    held = "taken as absent" if gaps == "absent" else "filled with the last shape"
    assert dataset.notes[f"frames between or after a track's shapes {held}"] == between
    visible = [shape for shape in shapes if 'outside="0"' in shape]
    assert dataset.notes["tracks with one shape only"] == (len(visible) == 1)


def test_interpolated_shapes_are_imported_and_counted(read):
    dataset = read(track(*(polygon(t, x=t, keyframe=int(t == 0)) for t in range(4))))
    assert shown(dataset) == {0: 0, 1: 1, 2: 2, 3: 3}
    assert dataset.notes["shapes interpolated by CVAT, imported"] == 3


def test_polygons_that_lead_out_of_the_frame_are_counted(read):
    """A file of pictures does not state their size, and they may be smaller ones by now."""
    left = SIZE[1] - 3  # its right edge is a pixel beyond, as rounding may leave it
    notes = read(track(polygon(0, x=left), polygon(1, x=left + 1), polygon(2, x=-1))).notes
    assert notes["polygons that lead out of the frame, cut off: labelled in larger images?"] == 1


def test_shapes_without_a_mask_are_counted(read):
    box = '<box frame="1" outside="0" xtl="1" ytl="1" xbr="5" ybr="5"/>'
    dataset = read(track(box, polygon(0), '<polyline frame="2" points="1,1;2,2"/>'))
    assert shown(dataset) == {0: 0}
    assert dataset.notes["shapes of kind box left out"] == 1
    assert dataset.notes["shapes of kind polyline left out"] == 1


def test_parts_of_skeletons_and_absent_tracks_are_skipped_and_no_categories(read):
    skeleton = '<skeleton frame="0" keyframe="1"><points label="1" points="1,1"/></skeleton>'
    nested = '<track id="0" label="1"><points frame="0" points="1,1"/></track>'
    labels = "<label><name>cat</name></label><label><name>man</name><type>skeleton</type></label>"
    labels += "<label><name>1</name><parent>man</parent></label>"
    dataset = read(
        f"<meta><task><labels>{labels}</labels></task></meta>"
        + track(skeleton, nested, nested, label="man")
        + track(polygon(0))
        + track(polygon(1, outside=1))
    )
    assert shown(dataset) == {0: 0}
    assert dataset.notes["tracks with one shape only"] == 1
    assert dataset.notes["tracks within tracks (parts of skeletons) left out"] == 2
    assert dataset.notes["shapes of kind skeleton left out"] == 1
    assert [name for _, name in dataset.categories] == ["cat", "man"]


def ellipse(**values):
    values = {"cx": 30.2, "cy": 20.3, "rx": 14, "ry": 6} | values
    attributes = " ".join(f'{key}="{value}"' for key, value in values.items())
    return f'<ellipse frame="0" outside="0" {attributes}/>'


@pytest.mark.parametrize(
    ("values", "degrees"),
    [({}, 0), ({"rotation": 30}, 30), ({"rotation": 250.5}, 250.5), ({"cx": -3, "ry": 40}, 0)],
)
def test_ellipses(read, values, degrees):
    """Against the definition; y points down, so positive rotations are clockwise."""
    ((found,),) = [video.tracks for video in read(track(ellipse(**values))).videos]
    angle = math.radians(degrees)
    v = {"cx": 30.2, "cy": 20.3, "rx": 14, "ry": 6} | values
    expected = np.zeros(SIZE, bool)
    for row, column in np.ndindex(SIZE):
        dx, dy = column + 0.5 - v["cx"], row + 0.5 - v["cy"]
        along = dx * math.cos(angle) + dy * math.sin(angle)
        across = dy * math.cos(angle) - dx * math.sin(angle)
        expected[row, column] = (along / v["rx"]) ** 2 + (across / v["ry"]) ** 2 <= 1
    assert expected.any()
    assert np.array_equal(decoded(found.masks[0]), expected)


def head(start, stop, step="", kind="task"):
    ends = f"<start_frame>{start}</start_frame><stop_frame>{stop}</stop_frame>"
    return f"<{kind}>{ends}<frame_filter>{step}</frame_filter></{kind}>"


@pytest.fixture
def numbered(tmp_path, known):
    """Reads a file of this head and tracks, with an image of each of these numbers."""

    def numbered(numbers, meta, tracks, **options):
        folder = tmp_path / "numbered"
        folder.mkdir()
        for number in numbers:
            (folder / f"{number:06}.jpg").symlink_to(known.images / "video1/00000.jpg")
        path = tmp_path / "v.xml"
        path.write_text(f"<annotations><meta>{meta}</meta>{tracks}</annotations>")
        return read_cvat(path, images=folder, **options)

    return numbered


def shown_images(dataset):
    """Of the only track: the numbers of the images that show it."""
    ((video,),) = [dataset.videos]
    return [int(video.file_names[t].removesuffix(".jpg")) for t in shown(dataset)]


OTHER_NUMBERS = "videos whose images have other numbers than CVAT's frames, taken in order"
BY_NUMBER = "videos whose images do not begin at 0, taken by their numbers"


@pytest.mark.parametrize(
    ("numbers", "meta", "frame", "expected"),
    [
        pytest.param(range(10), head(0, 9), 6, 6, id="the same numbers"),
        pytest.param(range(1, 11), head(0, 9), 6, 7, id="images from 1"),
        pytest.param(range(1, 11), head(0, 9, kind="job"), 6, 7, id="a job"),
        pytest.param([10, 13, 16, 19], head(10, 20, "step=3"), 16, 16, id="same, in steps"),
        pytest.param(range(4), head(10, 20, "step=3"), 16, 2, id="numbered anew"),
        pytest.param(range(20), head(10, 14, kind="job"), 12, 12, id="all images of a video"),
        pytest.param(range(20), head(10, 19, "step=3"), 13, 13, id="all images, in steps"),
        pytest.param([0, 1, 2, 4, 5], head(0, 5), 4, 4, id="a deleted frame"),
        pytest.param(range(10), "", 6, 6, id="no head"),
        pytest.param(range(1, 11), "", 6, 6, id="no head, images from 1"),
        pytest.param(range(1, 11), "<task/>", 6, 6, id="an old head"),
        pytest.param(range(1, 11), head(0, "None"), 6, 6, id="no end"),
    ],
)
def test_frames_find_their_images(numbered, numbers, meta, frame, expected):
    dataset = numbered(numbers, meta, track(polygon(frame)))
    assert shown_images(dataset) == [expected]
    assert dataset.notes[OTHER_NUMBERS] == int(frame != expected)
    # The images may be frames 0 to 9.
    assert dataset.notes[BY_NUMBER] == int(
        numbers[0] > 0 and not re.search("stop_frame>[0-9]", meta)
    )


def test_names_that_cvat_sorts_in_another_way_are_counted(known, tmp_path):
    folder, path = tmp_path / "v", tmp_path / "v.xml"
    folder.mkdir()
    for number in (8, 9, 10):
        (folder / f"{number}.jpg").symlink_to(known.images / "video1/00000.jpg")
    path.write_text(f"<annotations><meta>{head(0, 2)}</meta>{track(polygon(2))}</annotations>")
    (note,) = [n for n in read_cvat(path, images=tmp_path).notes.elements() if "naturally" in n]
    assert note.endswith("(by default it puts 10 before 2)")


def test_images_of_other_frames_are_no_frames_of_the_video(numbered):
    dataset = numbered(range(20), head(10, 14, kind="job"), track(polygon(12)), gaps="hold")
    assert shown_images(dataset) == [12, 13, 14]
    assert dataset.videos[0].file_names == [f"{n:06}.jpg" for n in range(10, 15)]
    assert dataset.notes["images of frames that a file is not of left out"] == 15


def test_an_end_in_a_deleted_frame_is_an_end(numbered):
    tracks = track(polygon(2), polygon(3, outside=1))
    dataset = numbered([0, 1, 2, 4, 5], head(0, 5), tracks, gaps="hold")
    assert shown_images(dataset) == [2]
    assert dataset.notes["frames without an image left out"] == 1


def test_a_shape_in_a_frame_without_an_image_costs_that_frame_at_most(numbered, tmp_path):
    content = (head(0, 5), track(*map(polygon, range(6))))
    with pytest.raises(ValueError, match="track '0': frame 3 has no image; there are images of"):
        numbered([0, 1, 2, 4, 5], *content)
    (tmp_path / "numbered").rename(tmp_path / "first")
    dataset = numbered([0, 1, 2, 4, 5], *content, skip_broken=True)
    assert shown_images(dataset) == [0, 1, 2, 4, 5]
    assert len(dataset.broken["frames"]) == 1


@pytest.mark.parametrize(
    ("numbers", "meta", "message"),
    [
        (range(1, 12), head(0, 9), "of 10 frames, 0 to 9 in steps of 1 .* 11 images, 1 to 11; "),
        (range(1, 10), head(0, 9), "9 images, 1 to 9"),
        (range(1, 21), head(10, 14), "of 5 frames, 10 to 14"),
        ([0, 1, 3], head(0, 9, "step=3"), "of 4 frames, 0 to 9 in steps of 3"),
        (range(5), head(3, 8), "of 6 frames, 3 to 8"),
        (range(0, 10, 2), head(0, 3), "5 images, 0 to 8"),
        (range(4), head(3, 1), "stop_frame 1 is before start_frame 3"),
        (range(4), head("x", 1), "start_frame must be an integer of 0 or more, got 'x'"),
        (range(4), head(0, -1), "stop_frame must be an integer of 0 or more, got '-1'"),
        (range(4), head(0, 3, "step=0"), "frame_filter is 'step=0'; step=<number>"),
        (range(4), head(5, 999999999), "of 999999995 frames"),
        (range(4), head(0, 3), "track '0': frame 9 has no image; there are images of"),
    ],
)
def test_frames_that_fit_no_images_are_refused(numbered, numbers, meta, message):
    with pytest.raises(ValueError, match=rf"v\.xml(: |, ).*{message}"):
        numbered(numbers, meta, track(polygon(9)))


TASKS = [head(first, first + 3, kind="task").partition(">") for first in (0, 50)]
TASKS = [f"<task><id>{i}</id>{rest}" for i, (_, _, rest) in enumerate(TASKS)]
PROJECT = f"<project><tasks>{''.join(TASKS)}</tasks></project>"


def test_a_project_with_tracks_of_one_task(numbered):
    one = track(polygon(52)).replace("<track", '<track task_id="1" subset="Train"')
    own = PROJECT.replace("<id>1</id>", "<id>1</id><subset>Train</subset>")
    assert shown_images(numbered(range(1, 5), own, one)) == [3]


def test_frames_that_a_project_numbers_on_are_refused(numbered):
    # CVAT adds the frames of the tasks before, of the same subset: here it would write 2 + 4.
    one = track(polygon(6)).replace("<track", '<track task_id="1"')
    with pytest.raises(ValueError, match="tracks of task 1, whose frames .*task by itself"):
        numbered(range(4), PROJECT, one)


SIZED = "<original_size><width>128</width><height>96</height></original_size>"


@pytest.mark.parametrize(
    "meta",
    [
        head(0, 3).replace("</task>", f"{SIZED}</task>"),
        head(0, 3, kind="job") + SIZED,
        PROJECT.replace("<id>0</id>", f"<id>0</id>{SIZED}"),
    ],
)
def test_frames_of_another_size_than_was_labelled_are_refused(numbered, meta):
    one = track(polygon(0)).replace("<track", '<track task_id="0"')
    with pytest.raises(ValueError, match=r"original_size: height and width are \(96, 128\), but"):
        numbered(range(4), meta, one)


def test_tracks_of_several_tasks_are_refused(numbered):
    own = track(polygon(0))
    tracks = "".join(own.replace("<track", f'<track task_id="{i}"') for i in (7, 8, 7))
    with pytest.raises(ValueError, match=r"v.xml: holds tracks of 2 tasks \(task_id 7, 8\), but"):
        numbered(range(4), PROJECT, tracks)


def mask(**values):
    values = {"left": 1, "top": 2, "width": 3, "height": 2, "rle": "1, 4, 1"} | values
    attributes = " ".join(f'{key}="{value}"' for key, value in values.items())
    return f'<mask frame="0" outside="0" {attributes}/>'


def test_runs_of_a_mask_go_along_rows(read):
    ((found,),) = [video.tracks for video in read(track(mask())).videos]
    pixels = decoded(found.masks[0])
    assert pixels.shape == SIZE
    assert np.argwhere(pixels).tolist() == [[2, 2], [2, 3], [3, 1], [3, 2]]


@pytest.mark.parametrize(
    ("tracks", "message"),
    [
        (track(polygon(9)), "'0': frame 9 has no image; there are images of frames 0 to 3"),
        (track(polygon("x")), "frame must be an integer of 0 or more, got 'x'"),
        (track(polygon(0), polygon(0)), "frame 0: the track has a second shape"),
        (track(polygon(0, keyframe="yes")), "keyframe must be 0 or 1, got 'yes'"),
        (track(polygon(0, outside=2)), "outside must be 0 or 1, got '2'"),
        (track('<polygon frame="0" points="1,2;3"/>'), r"points are .* \[3.0\]\]; a list"),
        (track('<polygon frame="0" points="1,2;a,3"/>'), "points '1,2;a,3': could not convert"),
        (track(ellipse(rx=0)), "frame 0: rx is '0'; a number from 0.01 to 100000"),
        (track(ellipse(ry="nan")), "ry is 'nan'"),
        (track(ellipse(cx="")), "cx is ''; a number from -100000"),
        (track(ellipse(rotation="1e9")), "rotation is '1e9'"),
        (track('<blob frame="0"/>'), "unknown shape 'blob'"),
        (track(polygon(0), label=""), "track '0': label must be text, got ''"),
        (track(mask(rle="1, 2")), "do not fill a mask of 3 x 2"),
        (track(mask(rle="-1, 7")), "rle must be an integer of 0 or more, got '-1'"),
        (track(mask(width=999)), "leaves the frame of 64 x 48"),
        (track(mask(width=0, rle="")), "rle must be an integer of 0 or more, got ''"),
        ("<track>", "video1.xml: is not XML: mismatched tag"),
        ("<image/>", "is 'CVAT for images'; export it as"),
        ("<a>" * 20_000, "video1.xml: is not XML"),
    ],
)
def test_bad_files_are_named(read, tracks, message):
    with pytest.raises(ValueError, match=message):
        read(tracks)


def test_deep_nesting_does_no_harm(read):
    assert shown(read("<a>" * 20_000 + "</a>" * 20_000 + track(polygon(0)))) == {0: 0}


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10 if i else "ha"}">' for i in range(10))


@pytest.mark.parametrize(
    "subset", [f"[{LAUGHS}]", '[<!ENTITY l9 SYSTEM "file:///etc/hostname">]', 'SYSTEM "x.dtd"']
)
def test_document_types_are_refused(read, subset):
    with pytest.raises(ValueError, match=r"video1.xml: has a DOCTYPE \('annotations'\)"):
        read(track(polygon(0), label="&l9;"), head=f"<!DOCTYPE annotations {subset}>")


def test_other_roots_versions_and_encodings_are_refused(tmp_path, known):
    path = tmp_path / "video1.xml"
    for content, message in (
        (b"<svg/>", "the root is 'svg'"),
        (b"<annotations><version>1.0</version></annotations>", "version '1.0'; 1.1 is needed"),
        (b'<?xml version="1.0" encoding="nonsense"?><annotations/>', "video1.xml: "),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_cvat(path, images=known.images)


def test_frames_are_needed(tmp_path, known):
    with pytest.raises(ValueError, match="CVAT files need the folder"):
        read_cvat(tmp_path)


@pytest.mark.parametrize(("gaps", "left"), [("absent", [0, 2, 3]), ("hold", [0, 3])])
def test_a_broken_shape_costs_the_frames_that_it_would_be_in(read, gaps, left):
    tracks = track(polygon(0), mask(width=999).replace('"0"', '"1"', 1), polygon(3, x=8))
    with pytest.raises(ValueError, match=r"track '0': frame 1: .* leaves the frame"):
        read(tracks, gaps=gaps)
    dataset = read(tracks, gaps=gaps, skip_broken=True)
    assert dataset.videos[0].file_names == [f"video1/{t:05}.jpg" for t in left]
    assert shown(dataset) == {0: 0, len(left) - 1: 8}
    assert len(dataset.broken["frames"]) == 4 - len(left)


@pytest.mark.parametrize(("side", "size"), [(48, SIZE), (64, SIZE[::-1])])
def test_the_size_in_the_head_tells_how_frames_were_labelled(known, read, side, size):
    turn_frames(known.images)
    head = f"<original_size><width>{112 - side}</width><height>{side}</height></original_size>"
    dataset = read(f"<meta><task>{head}</task></meta>" + track(polygon(0)))
    assert dataset.videos[0].size == size


def test_frames_of_another_size_than_they_were_labelled_at_are_refused(known, read):
    head = "<original_size><width>128</width><height>96</height></original_size>"
    message = r"original_size: height and width are \(96, 128\), but .* has \(48, 64\)"
    with pytest.raises(ValueError, match=message):
        read(f"<meta><task>{head}</task></meta>" + track(polygon(0)))
