"""What is drawn on frames, and what is not, as the painter's options say; contact sheets."""

import itertools
from functools import partial

from simplevtr.formats.images import evenly_spaced
from simplevtr.structures import FrameTracks
from simplevtr.visualization import TrackPainter, track_rgb
from simplevtr.visualization.clip_sheet import clip_sheet

import cv2
import numpy as np
import pytest
from track_samples import draw, rle, tracks_of_frame

NAMES = ["car", "person"]
SIZE = (300, 400)
UNLABELLED = TrackPainter(NAMES, draw_labels=False, draw_ids=False)
tracks = partial(tracks_of_frame, size=SIZE)
NOTHING = {"draw_masks": False, "draw_labels": False, "draw_ids": False}


def grey(height=300, width=400):
    return np.full((height, width, 3), 128, dtype=np.uint8)


def box_mask(y, x, height, width, size=SIZE):
    mask = np.zeros(size, dtype=bool)
    mask[y : y + height, x : x + width] = True
    return mask


def disc(y, x, radius=40, size=SIZE):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def changed(picture):
    return (picture != 128).any(axis=2)


def test_a_track_keeps_its_colour_wherever_and_with_whomever_it_is():
    painter = TrackPainter(NAMES)
    alone = draw(painter, grey(), [box_mask(100, 50, 150, 150)], scores=[0.9], ids=[7])
    masks = [box_mask(100, 10, 150, 150), box_mask(100, 220, 150, 150)]
    both = draw(painter, grey(), masks, [1, 0], ids=[3, 7])
    again = draw(TrackPainter(NAMES), grey(), [box_mask(0, 0, 9, 9)], [1], ids=[7])
    assert tuple(alone[110, 60]) == tuple(both[110, 230]) == tuple(again[4, 4])
    assert tuple(both[110, 20]) != tuple(both[110, 230])
    expected = 128 * 0.55 + np.array(track_rgb(7)) * 0.45
    np.testing.assert_allclose(alone[110, 60], expected, atol=1)


def test_colours_stay_what_they_are():
    # Pictures of different runs and versions are laid side by side.
    assert [track_rgb(i) for i in (0, 1, 63)] == [(0, 255, 0), (185, 0, 255), (255, 93, 185)]


def test_colours_are_well_separated_and_bright():
    colours = np.array([track_rgb(i) for i in range(64)], dtype=np.float32) / 255
    lab = cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0]
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab[:10], 2)]
    assert min(gaps) > 40  # 2 can just be told apart
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
    assert min(gaps) > 10
    assert lab[:, 0].min() > 45
    assert track_rgb(64) == track_rgb(0)


def test_tracks_below_a_score_are_not_drawn():
    masks = [disc(100, 100), disc(130, 140), disc(250, 300, 20)]
    found = tracks(4, (5, 0, 0.9, masks[0]), (2, 1, 0.6, masks[1]), (9, 0, 0.2, masks[2]))
    for options in ({}, {"scale": 0.5}):
        picture = TrackPainter(NAMES, min_score=0.5, **options).draw_frame(grey(), found)
        expected = TrackPainter(NAMES, **options).draw_frame(grey(), found.rows([0, 1]))
        np.testing.assert_array_equal(picture, expected)
    for nothing in (tracks(0), tracks(0, (1, 0, 0.9, np.zeros(SIZE, dtype=bool)))):
        frame = grey()
        np.testing.assert_array_equal(TrackPainter(NAMES).draw_frame(frame, nothing), grey())
    TrackPainter(NAMES).draw_frame(frame, found)
    np.testing.assert_array_equal(frame, grey())  # the input is left alone


def test_only_mask_outline_and_label_are_touched():
    mask = box_mask(150, 100, 100, 200)
    mask[180:220, 150:250] = False  # a hole
    mask[5, 390] = True  # one pixel elsewhere
    frame = grey()
    drawn = draw(TrackPainter(NAMES), frame, [mask], scores=[0.9])
    changed = (drawn != frame).any(axis=2)
    assert changed[mask].all()
    label_and_line = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
    rows, columns = np.nonzero(changed & ~label_and_line)
    assert len(rows) > 0  # the label lies in the middle, over the hole
    assert rows.max() - rows.min() < 25
    assert 120 < columns.min()
    assert columns.max() < 280


@pytest.mark.parametrize("name", ["a$b$", r"$\frac$", "naïve_字", "", "x" * 200])
def test_any_class_name_can_be_drawn(name):
    drawn = draw(TrackPainter([name]), grey(), [box_mask(290, 390, 10, 10)], scores=[0.5])
    assert drawn.shape == (300, 400, 3)
    assert (drawn[:280] != 128).any()  # the label is inside the picture, above the mask


def test_labels_do_not_lie_on_each_other():
    masks = [box_mask(100, 100, 20, 20)] * 2
    one = draw(TrackPainter(NAMES), grey(), masks[:1])
    two = draw(TrackPainter(NAMES), grey(), masks)
    dark_one, dark_two = ((picture.max(axis=2) < 100).sum() for picture in (one, two))
    assert dark_two > 1.6 * dark_one


def test_of_equal_masks_the_best_is_on_top():
    mask = box_mask(100, 100, 50, 50)
    picture = draw(UNLABELLED, grey(), [mask] * 2, scores=[0.9, 0.4])
    below = 128 * 0.55 + np.array(track_rgb(2)) * 0.45
    above = below * 0.55 + np.array(track_rgb(1)) * 0.45
    np.testing.assert_allclose(picture[125, 125], above, atol=2)
    line = picture[100, 125].astype(float)
    assert np.abs(line - track_rgb(1)).max() < 30 < np.abs(line - track_rgb(2)).max()


@pytest.mark.parametrize("y", [0, 100, 260])
def test_a_label_hides_little_of_its_mask(y):
    """Above the mask or below it, unless the mask is eight times as large as the label."""
    mask = box_mask(y, 50, 40, 90)  # its middle has room for the label
    picture = draw(TrackPainter(NAMES), grey(), [mask])
    bare = draw(UNLABELLED, grey(), [mask])
    label = (picture != bare).any(axis=2)
    assert label.any()
    assert not label[mask].any()
    mask = box_mask(0, 50, 300, 150)
    picture = draw(TrackPainter(NAMES), grey(), [mask])
    assert (picture.max(axis=2)[mask] < 100).any()


def test_where_another_label_is_a_small_mask_has_its_own_below():
    masks = [box_mask(100, 100, 20, 20), box_mask(102, 130, 20, 20)]
    picture = draw(TrackPainter(NAMES), grey(), masks)
    bare = draw(UNLABELLED, grey(), masks)
    label = (picture != bare).any(axis=2)
    assert label[:100].any()
    assert label[122:].any()
    assert not label[102:120, 130:150].any()


def test_a_mask_ends_visibly_on_ground_of_its_own_colour():
    frame = np.full((300, 400, 3), track_rgb(4), dtype=np.uint8)
    for y, x in ((0, 0), (100, 100), (260, 350)):
        mask = box_mask(y, x, 40, 50)
        picture = draw(UNLABELLED, frame, [mask], ids=[4])
        darkened = picture.max(axis=2) < 0.5 * frame.max()
        near, rim = (cv2.dilate(mask.astype(np.uint8), np.ones((n, n))) > 0 for n in (3, 5))
        assert darkened[rim & ~near].mean() > 0.9  # behind the line, whose edge is soft
        np.testing.assert_array_equal(picture[~rim | mask], frame[~rim | mask])


def test_labels_can_be_read_on_white_in_every_colour():
    def luminance(colour):
        linear = (np.asarray(colour) / 255) ** 2.2
        return linear @ (0.2126, 0.7152, 0.0722)

    white = np.full((300, 400, 3), 255, dtype=np.uint8)
    for i in range(64):
        painter = TrackPainter(["MMMMMM"], draw_masks=False)
        picture = draw(painter, white, [box_mask(100, 100, 20, 20)], ids=[i])
        label = picture[(picture < 250).any(axis=2)]
        darkest, brightest = luminance(label).min(), luminance(label).max()
        assert (brightest + 0.05) / (darkest + 0.05) > 4.5, i  # WCAG's AA


def test_boxes():
    painter = TrackPainter(NAMES, **NOTHING, draw_boxes=True)
    picture = draw(painter, grey(), [disc(100, 150, 30)])
    expected = np.zeros(SIZE, dtype=bool)
    expected[70:131, 120:181] = True
    expected[71:130, 121:180] = False
    np.testing.assert_array_equal(changed(picture), expected)
    assert tuple(picture[70, 120]) == track_rgb(1)


def test_masks_can_be_left_out():
    mask = disc(200, 200, 60)
    picture = draw(TrackPainter(NAMES, draw_masks=False), grey(), [mask])
    rows, columns = np.nonzero(changed(picture))
    assert len(rows)  # the label
    assert rows.max() - rows.min() < 25
    assert abs(columns.mean() - 200) < 5


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "person #3 92%"),
        ({"draw_ids": False}, "person 92%"),
        ({"draw_labels": False}, "#3"),
        ({"draw_labels": False, "draw_ids": False}, ""),
    ],
)
def test_the_parts_of_a_label(options, text):
    painter = TrackPainter(NAMES, draw_masks=False, **options)
    assert painter.label(1, 3, 0.918) == text
    assert TrackPainter(NAMES).label(1, 12, None) == "person #12"  # ground truth
    assert TrackPainter(NAMES).label(7, 1, 1.0) == "class 7 #1 100%"
    assert TrackPainter(NAMES).label(-1, 1, 1.0) == "class -1 #1 100%"
    picture = draw(painter, grey(), [disc(150, 200)], [1], [0.918], [3])
    assert changed(picture).any() == bool(text)


def test_only_some_classes():
    masks = [disc(60, 60), disc(220, 300)]
    both = tracks(0, (1, 0, 0.9, masks[0]), (2, 1, 0.9, masks[1]))
    for classes in (["person"], [1], {"person", 1}):
        area = changed(TrackPainter(NAMES, classes=classes).draw_frame(grey(), both))
        assert area[220, 270]
        assert not area[:150].any()
    assert not changed(TrackPainter(NAMES, classes=[]).draw_frame(grey(), both)).any()
    assert not changed(TrackPainter([], classes=[5]).draw_frame(grey(), both)).any()


def test_small_frames_are_enlarged_and_large_ones_are_not():
    painter = TrackPainter(NAMES)
    sizes = {(64, 96): (256, 384), (65, 97): (260, 388), (240, 426): (240, 426)}
    sizes |= {(720, 1280): (720, 1280), (16, 9000): (16, 9000)}
    sizes |= {(16, 1500): (32, 3000)}  # players show no videos of any width
    assert {size: painter.output_size(size) for size in sizes} == sizes
    small = draw(painter, grey(64, 96), [box_mask(5, 5, 8, 8, (64, 96))])
    assert small.shape == (256, 384, 3)
    assert small.dtype == np.uint8
    half = draw(TrackPainter(NAMES, scale=0.5), grey(), [box_mask(0, 0, 9, 9)])
    assert half.shape == (150, 200, 3)
    # One painter serves videos of several sizes.
    assert draw(painter, grey(), [box_mask(0, 0, 9, 9)]).shape[0] == 300


def trail_painter(trail=3):
    return TrackPainter(NAMES, **NOTHING, trail=trail)


def columns_of(picture):
    columns = np.nonzero(changed(picture).any(axis=0))[0]
    return columns.min(), columns.max()


def test_a_trail_joins_the_last_centroids():
    painter = trail_painter()
    for index, x in enumerate((50, 100, 150, 200, 250)):
        picture = painter.draw_frame(grey(), tracks(index, (1, 0, 0.9, disc(150, x))))
    left, right = columns_of(picture)
    assert abs(left - 100) <= 3  # three frames ago
    assert abs(right - 250) <= 6
    rows = np.nonzero(changed(picture))[0]
    assert 140 < rows.min()
    assert rows.max() < 160
    colour = track_rgb(1)
    assert tuple(picture[150, 170]) == colour


def test_a_trail_is_scaled_and_bridges_gaps():
    painter = TrackPainter(NAMES, **NOTHING, trail=3, scale=0.5)
    painter.draw_frame(grey(), tracks(0, (1, 0, 0.9, disc(150, 60))))
    gone = painter.draw_frame(grey(), tracks(1))
    assert not changed(gone).any()
    picture = painter.draw_frame(grey(), tracks(2, (1, 0, 0.9, disc(150, 260))))
    left, right = columns_of(picture)
    assert abs(left - 30) <= 3
    assert abs(right - 130) <= 6


def test_another_video_begins_without_trails():
    painter = trail_painter()
    painter.draw_frame(grey(), tracks(5, (1, 0, 0.9, disc(150, 60))))
    again = painter.draw_frame(grey(), tracks(0, (1, 0, 0.9, disc(150, 260))))
    assert columns_of(again)[0] > 250
    for x in (60, 260):
        picture = draw(painter, grey(), [disc(150, x)])
    assert columns_of(picture)[0] > 250


def test_trails_forget_what_is_gone():
    painter = trail_painter(2)
    for i in range(50):
        found = (i, 0, 0.9, disc(150, 5 * i)), (99, 0, 0.9, disc(150, 200))
        painter.draw_frame(grey(), tracks(i, *found))
    assert sum(len(points) for points in painter._centroids) == 6


def test_side_by_side():
    painter = TrackPainter(NAMES, side_by_side=True)
    alone = TrackPainter(NAMES)
    assert painter.output_size(SIZE) == (300, 800)
    found = tracks(0, (1, 0, 0.9, disc(150, 200)))
    picture = painter.draw_frame(grey(), found)
    np.testing.assert_array_equal(picture[:, :400], grey())
    np.testing.assert_array_equal(picture[:, 400:], alone.draw_frame(grey(), found))
    half = TrackPainter(NAMES, side_by_side=True, scale=0.5)
    assert half.output_size(SIZE) == half.draw_frame(grey(), found).shape[:2] == (150, 400)


def test_a_mask_that_vanishes_in_a_smaller_picture_is_not_drawn():
    mask = np.zeros(SIZE, dtype=bool)
    mask[151, 201] = True
    picture = draw(TrackPainter(NAMES, scale=0.1), grey(), [mask])
    assert picture.shape == (30, 40, 3)
    assert (picture == 128).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": 0}, "scale is 0"),
        ({"min_score": 50}, "min_score is 50; it must be a number from 0 to 1"),
        ({"trail": -1}, "trail is -1"),
        ({"classes": ["dog"]}, "unknown class 'dog'; the model's classes: car, person"),
        ({"classes": [2]}, "unknown class 2; allowed: 0 to 1"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(ValueError, match=message):
        TrackPainter(NAMES, **options)


def test_a_frame_of_another_type_or_size_is_refused():
    with pytest.raises(ValueError, match=r"frame 0 is float32 \(300, 400, 3\), expected uint8"):
        draw(TrackPainter(NAMES), grey().astype(np.float32), [], [], [], [])
    with pytest.raises(ValueError, match=r"frame 4 is uint8 \(64, 96, 3\), expected"):
        TrackPainter(NAMES).draw_frame(grey(64, 96), tracks(4))


def test_clip_sheet_has_a_row_per_set_and_a_column_per_frame():
    frames = np.stack([grey(64, 96)] * 20)
    nothing = list(FrameTracks.of_video([], (64, 96), 20))
    masks = [None] * 19 + [rle(box_mask(20, 20, 40, 40, (64, 96)))]
    tracks = list(FrameTracks.of_video([(2, 0, 0.8, masks)], (64, 96), 20))
    assert [len(frame.masks) for frame in tracks] == [0] * 19 + [1]
    sheet = clip_sheet(frames, {"predicted": nothing, "ground truth": tracks}, thing_classes=NAMES)
    # 8 pictures of 270 x 180 with 4 pixels between, captions of 20 pixels.
    assert sheet.shape == (2 * 200 + 4, 8 * 270 + 7 * 4, 3)
    colourful = np.ptp(sheet.astype(int), axis=2) > 40
    assert colourful[204:, 7 * 274 :].any()  # the last frame is among those shown
    assert not colourful[:200].any()
    assert not colourful[:, : 7 * 274].any()
    assert clip_sheet(frames[:2], {"": nothing[:2]}).shape == (200, 2 * 270 + 4, 3)
    wide, nothing = grey(8, 1600)[None], list(FrameTracks.of_video([], (8, 1600), 1))
    assert clip_sheet(wide, {"": nothing}).shape == (4 + 20, 720, 3)


def test_clip_sheet_refuses_what_does_not_fit():
    frames = np.stack([grey(64, 96)] * 3)
    with pytest.raises(ValueError, match="frame 0 is uint8"):
        clip_sheet(frames, {"x": list(FrameTracks.of_video([], (64, 95), 3))})


@pytest.mark.parametrize(
    ("length", "expected"), [(1, [0]), (3, [0, 1, 2]), (8, list(range(8))), (15, None)]
)
def test_evenly_spaced(length, expected):
    numbers = evenly_spaced(length, 8)
    assert numbers == (expected or [0, 2, 4, 6, 8, 10, 12, 14])
