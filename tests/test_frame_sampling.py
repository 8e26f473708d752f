import itertools
from collections import Counter

from simplevtr.data.frame_sampling import epoch_items, sample_frames
from simplevtr.structures import cyclic_frames

import numpy as np
import pytest


def rng(seed=0):
    return np.random.default_rng(seed)


def paper_lengths():
    """2,985 videos with 90,160 frames, as YTVIS-2021 train has (paper, table 5)."""
    lengths = [30] * 2985
    for index in range(90160 - 30 * 2985):
        lengths[index] += 1
    return lengths


def test_schemes_visit_videos_frames_or_what_lies_between():
    assert epoch_items([2, 1], 16, "video") == [(0, None), (1, None)]
    assert epoch_items([2, 1], 16, "frame") == [(0, 0), (0, 1), (1, 0)]
    spread = [(0, 6), (0, 20), (0, 33), (1, 8), (2, 4), (2, 12), (3, 0)]
    assert epoch_items([40, 16, 17, 1], 16, "compromise") == spread
    assert len(epoch_items(paper_lengths(), 16, "video")) == 2985
    assert len(epoch_items(paper_lengths(), 16, "frame")) == 90160
    assert 2985 < len(epoch_items(paper_lengths(), 16, "compromise")) == 2 * 2985 < 90160


@pytest.mark.parametrize("seed", range(20))
def test_long_videos_give_distinct_frames_in_order_with_the_anchor(seed):
    frames = sample_frames(60, 16, rng(seed), anchor=41)
    assert len(frames) == len(set(frames)) == 16
    assert frames == sorted(frames)
    assert 41 in frames
    assert all(type(t) is int and 0 <= t < 60 for t in frames)


def test_all_frames_are_drawn_equally_often_but_the_anchor_always():
    counts = Counter(t for seed in range(3000) for t in sample_frames(10, 4, rng(seed), anchor=2))
    assert counts.pop(2) == 3000
    assert set(counts) == set(range(10)) - {2}
    assert all(900 < count < 1100 for count in counts.values())


@pytest.mark.parametrize(
    ("length", "count", "uses"), [(5, 16, {3, 4}), (1, 3, {3}), (8, 16, {2}), (16, 16, {1})]
)
def test_short_videos_reuse_frames_evenly(length, count, uses):
    frames = sample_frames(length, count, rng(), anchor=0)
    counts = Counter(frames)
    assert sorted(counts) == list(range(length))
    assert set(counts.values()) == uses
    assert frames == cyclic_frames(length, count)


def test_range_keeps_near_the_anchor():
    for seed in range(50):
        frames = sample_frames(100, 5, rng(seed), anchor=50, frame_range=3)
        assert 50 in frames
        assert len(set(frames)) == 5
        assert min(frames) >= 47
        assert max(frames) <= 53


def test_range_at_the_border_reuses_the_window():
    frames = sample_frames(100, 8, rng(), anchor=0, frame_range=3)
    assert frames == [0, 1, 2, 3, 0, 1, 2, 3]


def test_range_without_an_anchor_draws_one():
    frames = [sample_frames(100, 3, rng(seed), frame_range=1) for seed in range(50)]
    assert all(max(clip) - min(clip) <= 2 for clip in frames)
    assert len({tuple(clip) for clip in frames}) > 20


@pytest.mark.parametrize(
    ("length", "count", "anchor", "frames"),
    [
        (10, 4, 6, [3, 4, 5, 6]),
        (10, 4, 9, [6, 7, 8, 9]),
        (10, 4, 1, [8, 9, 0, 1]),
        (3, 7, 1, [1, 2, 0, 1, 2, 0, 1]),
        (1, 3, 0, [0, 0, 0]),
    ],
)
def test_consecutive_frames_end_at_the_anchor(length, count, anchor, frames):
    drawn = sample_frames(length, count, rng(), anchor=anchor, sampling="consecutive")
    assert drawn == frames


def test_consecutive_frames_without_an_anchor_end_anywhere():
    clips = [sample_frames(9, 3, rng(seed), sampling="consecutive") for seed in range(60)]
    assert {clip[-1] for clip in clips} == set(range(9))
    assert all((b - a) % 9 == 1 for clip in clips for a, b in itertools.pairwise(clip))


def test_shuffle_changes_the_order_only():
    shuffled = [sample_frames(30, 16, rng(seed), shuffle=True) for seed in range(5)]
    assert any(clip != sorted(clip) for clip in shuffled)
    assert all(len(set(clip)) == 16 for clip in shuffled)
    consecutive = {"anchor": 20, "sampling": "consecutive", "shuffle": True}
    assert sorted(sample_frames(30, 16, rng(), **consecutive)) == list(range(5, 21))
