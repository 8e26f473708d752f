import itertools

from simplevtr.formats.images import evenly_spaced
from simplevtr.structures import FrameTracks
from simplevtr.visualization import TrackPainter, clip_sheet, track_colour

import cv2
import numpy as np
import pytest
from track_samples import draw, rle

NAMES = ["car", "person"]


def grey_frame(height=300, width=400):
    return np.full((height, width, 3), 128, dtype=np.uint8)


def box_mask(y, x, height, width, size=(300, 400)):
    mask = np.zeros(size, dtype=bool)
    mask[y : y + height, x : x + width] = True
    return mask


def test_a_track_keeps_its_colour_wherever_and_with_whomever_it_is():
    painter = TrackPainter(NAMES)
    alone = draw(painter, grey_frame(), [box_mask(100, 50, 150, 150)], [0], [0.9], [7])
    both = draw(
        painter,
        grey_frame(),
        [box_mask(100, 10, 150, 150), box_mask(100, 220, 150, 150)],
        [1, 0],
        None,
        [3, 7],
    )
    again = draw(TrackPainter(NAMES), grey_frame(), [box_mask(0, 0, 9, 9)], [1], None, [7])
    assert tuple(alone[110, 60]) == tuple(both[110, 230]) == tuple(again[4, 4])
    assert tuple(both[110, 20]) != tuple(both[110, 230])
    expected = 128 * 0.55 + np.array(track_colour(7)) * 255 * 0.45
    np.testing.assert_allclose(alone[110, 60], expected, atol=1)


def test_colours_stay_what_they_are():
    # Pictures of different runs and versions are laid side by side.
    assert [np.round(np.multiply(track_colour(i), 255)).tolist() for i in (0, 1, 63)] == [
        [0, 255, 0],
        [185, 0, 255],
        [255, 93, 185],
    ]


def test_colours_are_well_separated_and_bright():
    colours = np.array([track_colour(i) for i in range(64)], dtype=np.float32)
    lab = cv2.cvtColor(colours[None], cv2.COLOR_RGB2LAB)[0]
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab[:10], 2)]
    assert min(gaps) > 40  # 2 can just be told apart
    gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(lab, 2)]
    assert min(gaps) > 10
    assert lab[:, 0].min() > 45
    assert track_colour(64) == track_colour(0)


def test_absent_and_weak_tracks_are_not_drawn():
    frame = grey_frame()
    masks = [np.zeros((300, 400), dtype=bool), box_mask(50, 50, 100, 100)]
    untouched = draw(TrackPainter(NAMES, min_score=0.5), frame, masks, [0, 1], [0.9, 0.49], [1, 2])
    np.testing.assert_array_equal(untouched, frame)
    drawn = draw(TrackPainter(NAMES, min_score=0.5), frame, masks, [0, 1], [0.9, 0.5], [1, 2])
    assert (drawn != frame).any()
    assert (frame == 128).all()  # the input is left alone
    nothing = draw(TrackPainter(NAMES), frame, np.zeros((0, 300, 400)), [], [], [])
    np.testing.assert_array_equal(nothing, frame)


def test_only_mask_outline_and_label_are_touched():
    mask = box_mask(150, 100, 100, 200)
    mask[180:220, 150:250] = False  # a hole
    mask[5, 390] = True  # one pixel elsewhere
    frame = grey_frame()
    drawn = draw(TrackPainter(NAMES), frame, [mask], [0], [0.9], [1])
    changed = (drawn != frame).any(axis=2)
    assert changed[mask].all()
    label_and_line = cv2.dilate(mask.astype(np.uint8), np.ones((5, 5))).astype(bool)
    rows, columns = np.nonzero(changed & ~label_and_line)
    assert len(rows) > 0  # the label lies in the middle, over the hole
    assert rows.max() - rows.min() < 25
    assert 120 < columns.min()
    assert columns.max() < 280


def test_label_text():
    painter = TrackPainter(NAMES)
    assert painter.label(0, 3, 0.918) == "car #3 92%"
    assert painter.label(1, 12, None) == "person #12"
    assert painter.label(7, 1, 1.0) == "class 7 #1 100%"
    assert TrackPainter([]).label(-1, 1, None) == "class -1 #1"


@pytest.mark.parametrize("name", ["a$b$", r"$\frac$", "naïve_字", "", "x" * 200])
def test_any_class_name_can_be_drawn(name):
    drawn = draw(TrackPainter([name]), grey_frame(), [box_mask(290, 390, 10, 10)], [0], [0.5], [1])
    assert drawn.shape == (300, 400, 3)
    assert (drawn[:280] != 128).any()  # the label is inside the picture, above the mask


def test_labels_do_not_lie_on_each_other():
    masks = [box_mask(100, 100, 20, 20)] * 2
    one = draw(TrackPainter(NAMES), grey_frame(), masks[:1], [0], None, [1])
    two = draw(TrackPainter(NAMES), grey_frame(), masks, [0, 0], None, [1, 2])
    dark_one, dark_two = ((picture.max(axis=2) < 100).sum() for picture in (one, two))
    assert dark_two > 1.6 * dark_one


def test_small_frames_are_enlarged_and_large_ones_are_not():
    painter = TrackPainter(NAMES)
    assert painter.output_size((64, 96)) == (256, 384)
    assert painter.output_size((65, 97)) == (260, 388)
    assert painter.output_size((240, 426)) == (240, 426)
    assert painter.output_size((720, 1280)) == (720, 1280)
    small = draw(painter, grey_frame(64, 96), [box_mask(5, 5, 8, 8, (64, 96))], [0], None, [1])
    assert small.shape == (256, 384, 3)
    assert small.dtype == np.uint8
    half = draw(
        TrackPainter(NAMES, scale=0.5), grey_frame(), [box_mask(0, 0, 9, 9)], [0], None, [1]
    )
    assert half.shape == (150, 200, 3)
    # One painter serves videos of several sizes.
    assert draw(painter, grey_frame(), [box_mask(0, 0, 9, 9)], [0], None, [1]).shape[0] == 300


def test_a_frame_of_another_type_or_scale_is_refused():
    with pytest.raises(ValueError, match=r"frame 0 is float32 \(300, 400, 3\), expected uint8"):
        draw(TrackPainter(NAMES), grey_frame().astype(np.float32), [], [], [], [])
    with pytest.raises(ValueError, match="scale is 0"):
        TrackPainter(NAMES, scale=0)


def test_clip_sheet_has_a_row_per_set_and_a_column_per_frame():
    frames = np.stack([grey_frame(64, 96)] * 20)
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
    assert clip_sheet(frames[:2], {}).shape == (200, 2 * 270 + 4, 3)


def test_clip_sheet_refuses_what_does_not_fit():
    frames = np.stack([grey_frame(64, 96)] * 3)
    with pytest.raises(ValueError, match="row 'x' has tracks of 2 frames, expected 3"):
        clip_sheet(frames, {"x": list(FrameTracks.of_video([], (64, 96), 2))})
    with pytest.raises(ValueError, match="frame 0 is uint8"):
        clip_sheet(frames, {"x": list(FrameTracks.of_video([], (64, 95), 3))})
    with pytest.raises(ValueError, match="T > 0"):
        clip_sheet(frames[:0], {})


@pytest.mark.parametrize(
    ("length", "expected"), [(1, [0]), (3, [0, 1, 2]), (8, list(range(8))), (15, None)]
)
def test_evenly_spaced(length, expected):
    numbers = evenly_spaced(length, 8)
    assert numbers == (expected or [0, 2, 4, 6, 8, 10, 12, 14])
