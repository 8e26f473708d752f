"""What is drawn, and what is not, as the painter's options say."""

from simplevtr.structures import FrameTracks
from simplevtr.visualization import TrackPainter, side_by_side, track_colour

import numpy as np
import pytest
from track_samples import draw, rle

NAMES = ["car", "person"]
SIZE = (300, 400)
NOTHING = {"draw_masks": False, "draw_labels": False, "draw_ids": False}


def grey():
    return np.full((*SIZE, 3), 128, dtype=np.uint8)


def disc(y, x, radius=40, size=SIZE):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - y) ** 2 + (columns - x) ** 2 <= radius**2


def tracks(index, *found, size=SIZE):
    """Each track is (id, label, score, mask)."""
    ids, labels, scores, masks = ([t[i] for t in found] for i in range(4))
    return FrameTracks(index, size, ids, labels, scores, [*map(rle, masks)])


def changed(picture):
    return (picture != 128).any(axis=2)


def test_tracks_below_a_score_are_not_drawn():
    masks = [disc(100, 100), disc(130, 140), disc(250, 300, 20)]
    found = tracks(4, (5, 0, 0.9, masks[0]), (2, 1, 0.6, masks[1]), (9, 0, 0.2, masks[2]))
    for options in ({}, {"scale": 0.5}):
        picture = TrackPainter(NAMES, min_score=0.5, **options).draw_frame(grey(), found)
        expected = TrackPainter(NAMES, **options).draw_frame(grey(), found.rows([0, 1]))
        np.testing.assert_array_equal(picture, expected)
    nothing = TrackPainter(NAMES).draw_frame(grey(), tracks(0))
    np.testing.assert_array_equal(nothing, grey())
    with pytest.raises(ValueError, match=r"frame 4 is uint8 \(64, 96, 3\), expected"):
        TrackPainter(NAMES).draw_frame(np.zeros((64, 96, 3), dtype=np.uint8), found)


def test_nothing_wanted_is_nothing_drawn():
    painter = TrackPainter(NAMES, **NOTHING)
    found = tracks(0, (1, 0, 0.9, disc(100, 100)))
    np.testing.assert_array_equal(painter.draw_frame(grey(), found), grey())


def test_boxes():
    painter = TrackPainter(NAMES, **NOTHING, draw_boxes=True)
    picture = draw(painter, grey(), [disc(100, 150, 30)], [0], None, [1])
    expected = np.zeros(SIZE, dtype=bool)
    expected[70:131, 120:181] = True
    expected[71:130, 121:180] = False
    np.testing.assert_array_equal(changed(picture), expected)
    assert tuple(picture[70, 120]) == tuple(round(c * 255) for c in track_colour(1))


def test_masks_can_be_left_out():
    mask = disc(200, 200, 60)
    picture = draw(TrackPainter(NAMES, draw_masks=False), grey(), [mask], [0], None, [1])
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
    with pytest.raises(ValueError, match="unknown class 'dog'; the model's classes: car, person"):
        TrackPainter(NAMES, classes=["dog"])
    with pytest.raises(ValueError, match="unknown class 2; allowed: 0 to 1"):
        TrackPainter(NAMES, classes=[2])


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
    colour = tuple(round(c * 255) for c in track_colour(1))
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
        painter.new_video()
        picture = draw(painter, grey(), [disc(150, x)], [0], None, [1])
    assert columns_of(picture)[0] > 250


def test_trails_forget_what_is_gone():
    painter = trail_painter(2)
    for i in range(50):
        found = (i, 0, 0.9, disc(150, 5 * i)), (99, 0, 0.9, disc(150, 200))
        painter.draw_frame(grey(), tracks(i, *found))
    assert sum(len(points) for points in painter._centroids) == 6
    with pytest.raises(ValueError, match="min_score is 50; it must be a number from 0 to 1"):
        TrackPainter(NAMES, min_score=50)
    with pytest.raises(ValueError, match="trail is -1"):
        TrackPainter(NAMES, trail=-1)


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
    joined = side_by_side(grey(), np.zeros((600, 800, 3), dtype=np.uint8))
    assert joined.shape == (600, 1600, 3)
    assert (joined[:, :800] == 128).all()


def test_a_mask_that_vanishes_in_a_smaller_picture_is_not_drawn():
    mask = np.zeros(SIZE, dtype=bool)
    mask[151, 201] = True
    picture = draw(TrackPainter(NAMES, scale=0.1), grey(), [mask], [0], None, [1])
    assert picture.shape == (30, 40, 3)
    assert (picture == 128).all()
