"""The benchmark of windows: a row of its table has what an evaluation finds."""

from argparse import Namespace

from benchmarks.long_videos import measure, ranking
from simplevtr.data import register_ytvis

import pytest
from conftest import build
from ytvis_folder import forget, make_ytvis_folder


def test_a_row_of_the_table(tiny_cfg, tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1, frames=6, categories=tuple("abcdef"))
    register_ytvis("long_videos", *folder)
    args = Namespace(dataset="long_videos", powers=[0.0, 2.0], score_threshold=0.0)
    row = measure(tiny_cfg, build(tiny_cfg), args, 4, 2)
    forget("long_videos")
    assert 0 < row["tracks"] <= 3 * 4  # windows and slots
    for power in 0, 2:
        assert 0 <= float(row[f"AP, power {power}"]) <= float(row[f"AP50, power {power}"]) <= 100


def test_ranking_by_any_power_follows_from_that_by_one():
    result = {"pred_scores": [0.8, 0.5, 0.0], "pred_ranking": [0.2, 0.5, 0.0]}
    assert ranking(result, 0) == [0.8, 0.5, 0.0]
    assert ranking(result, 2) == pytest.approx([0.8 / 16, 0.5, 0.0])
