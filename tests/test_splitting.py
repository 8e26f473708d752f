import random
from collections import Counter
from fractions import Fraction

from simplevtr.toolbox.splitting import group_digest, length_bounds, names_digest, split_videos
from simplevtr.toolbox.statistics import VideoSummary

import pytest


def make_videos(count, *, categories=12, seed=1):
    """Videos like those of YouTube-VIS: one category is frequent, some videos have several."""
    rng = random.Random(seed)
    weights = [categories, *(rng.randint(1, 4) for _ in range(categories - 1))]
    return [
        VideoSummary(
            name=f"clip{index:04d}",
            length=rng.choice([20, 25, 30, 36, 36, rng.randint(5, 72)]),
            categories=frozenset(rng.choices(range(categories), weights, k=rng.choice([1, 1, 2]))),
        )
        for index in range(count)
    ]


def val_names(videos, is_val):
    return {video.name for video, val in zip(videos, is_val, strict=True) if val}


def test_the_size_is_exact_and_each_category_has_its_share():
    videos = make_videos(600)
    for wanted in (60, 200, 300):
        is_val = split_videos(videos, val_videos=wanted, seed=5)
        assert sum(is_val) == wanted
        total = Counter(c for video in videos for c in video.categories)
        val = Counter(
            c for v, chosen in zip(videos, is_val, strict=True) if chosen for c in v.categories
        )
        for category, count in total.items():
            assert abs(val[category] - wanted / 600 * count) <= 1


def test_lengths_have_their_share():
    # Without categories nothing but the length can guide the choice.
    videos = [VideoSummary(name=f"v{i}", length=10 + i // 10) for i in range(200)]
    is_val = split_videos(videos, val_videos=40)
    quarters = Counter((v.length - 10) // 5 for v, val in zip(videos, is_val, strict=True) if val)
    assert quarters == {0: 10, 1: 10, 2: 10, 3: 10}


def test_neither_order_nor_machine_matters():
    videos = make_videos(150)
    expected = val_names(videos, split_videos(videos, val_videos=15, seed=0))
    shuffled = videos[:]
    random.Random(0).shuffle(shuffled)
    assert val_names(shuffled, split_videos(shuffled, val_videos=15, seed=0)) == expected
    # SHA-256 is the same everywhere, and what others have split must not change.
    assert group_digest("clip0001", 0)[:16] == "95196dff60748ae4"
    assert names_digest(["b", "a"]) == names_digest(["a", "b"]) != names_digest(["ab"])
    fixed = [
        VideoSummary(name=f"v{i:02d}", length=5 + i % 7, categories=frozenset({i % 3, i % 5}))
        for i in range(40)
    ]
    chosen = val_names(fixed, split_videos(fixed, val_videos=8, seed=3))
    assert sorted(chosen) == "v06 v08 v10 v13 v14 v35 v37 v39".split()


def test_seeds_give_unrelated_splits():
    videos = make_videos(600)
    chosen = [val_names(videos, split_videos(videos, val_videos=60, seed=s)) for s in range(4)]
    overlaps = [len(chosen[i] & chosen[j]) for i in range(4) for j in range(i)]
    assert sum(overlaps) / len(overlaps) < 12  # by chance alone: 6


def imbalance(videos, chosen):
    """The sum that the module's text states, in exact arithmetic."""
    bounds = length_bounds([video.length for video in videos])
    total, val = Counter(), Counter()
    for index, video in enumerate(videos):
        quarter = next(k for k, bound in enumerate(bounds) if video.length <= bound)
        labels = [("category", c) for c in video.categories] + [("length", quarter)]
        total.update(labels)
        if index in chosen:
            val.update(labels)
    share = Fraction(len(chosen), len(videos))
    return sum((val[label] - share * n) ** 2 / n for label, n in total.items())


def test_no_exchange_of_two_videos_would_balance_better():
    videos = make_videos(40, categories=5, seed=2)
    assert min(Counter(c for v in videos for c in v.categories).values()) > 1
    is_val = split_videos(videos, val_videos=10, seed=1)
    chosen = {index for index, val in enumerate(is_val) if val}
    found = imbalance(videos, chosen)
    for leaving in chosen:
        for entering in set(range(40)) - chosen:
            other = imbalance(videos, chosen - {leaving} | {entering})
            assert other >= found - Fraction(1, 10**3)  # weights are whole millionths


@pytest.mark.parametrize("val_videos", [3, 15])
def test_a_category_with_one_video_is_trained_on(val_videos):
    videos = [
        VideoSummary(name=f"v{i}", length=9, categories=frozenset({i if i < 5 else 99}))
        for i in range(20)
    ]
    for seed in range(5):
        is_val = split_videos(videos, val_videos=val_videos, seed=seed)
        assert not any(is_val[:5])
        assert sum(is_val) == val_videos
    # One of them must go if there is not enough else.
    assert sum(split_videos(videos, val_videos=16)[:5]) == 1


def test_groups_of_different_sizes_meet_the_size():
    videos = [VideoSummary(name=f"v{i}", length=4) for i in range(30)]
    groups = ["large"] * 12 + [f"pair{i // 2}" for i in range(12, 30)]
    for seed in range(5):
        assert sum(split_videos(videos, val_videos=6, seed=seed, groups=groups)) == 6


@pytest.mark.parametrize(
    ("count", "arguments", "message"),
    [
        (5, {"val_videos": 0}, "0 of 5 videos"),
        (5, {"val_videos": 5}, "5 of 5 videos"),
        (3, {"val_videos": 1, "groups": ["a"] * 3}, "all videos are of one group, 'a'"),
        (9, {"val_videos": 1, "groups": ["a"] * 5 + ["b"] * 4}, "groups are too large"),
    ],
)
def test_what_cannot_be_split(count, arguments, message):
    videos = [VideoSummary(name=str(index), length=1) for index in range(count)]
    with pytest.raises(ValueError, match=message):
        split_videos(videos, **arguments)


def test_names_must_differ():
    with pytest.raises(ValueError, match="different names"):
        split_videos([VideoSummary(name="a", length=1)] * 3, val_videos=1)


def test_length_bounds():
    assert length_bounds([1, 2, 3, 4, 5, 6, 7, 8]) == [2, 4, 6, 8]
    assert length_bounds([36] * 9 + [40]) == [36, 40]
    assert length_bounds([7]) == [7]
