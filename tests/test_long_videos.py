"""The benchmark of windows: a row of its table has what an evaluation finds."""

from benchmarks.long_videos import measure, table
from simplevtr.data import register_ytvis

from conftest import build
from ytvis_folder import forget, make_ytvis_folder


def test_a_row_of_the_table(tiny_cfg, tmp_path):
    folder = make_ytvis_folder(tmp_path, videos=1, frames=6, categories=tuple("abcdef"))
    register_ytvis("long_videos", *folder)
    tiny_cfg.TEST.LENGTH_POWER = 0.0
    row = measure(tiny_cfg, build(tiny_cfg), "long_videos", 4, 2, 0.0)
    forget("long_videos")
    assert 0 < row["tracks"] <= 3 * 4  # windows and slots
    assert 0 <= row["AP"] <= row["AP50"] <= 100
    assert " 4 |        2 |" in table([row])
