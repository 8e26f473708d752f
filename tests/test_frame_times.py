from fractions import Fraction

from simplevtr.video_io import FrameTiming, open_source
from simplevtr.video_io.frame_source import Timeline
from simplevtr.video_io.writer import fine_tick

import pytest
from footage import pictures, record

MS = Fraction(1, 1000)


def timeline(pts, fps=Fraction(25), tick=MS, **options):
    times = Timeline(fps, tick, **options)
    for item in pts:
        start, duration = item if isinstance(item, tuple) else (item, 40)
        times.add(start, duration)
    return times


def starts(times):
    return [float(times.timing(i).start) for i in range(len(times))]


def test_rounded_times_are_what_the_rate_says():
    fps = Fraction(30000, 1001)
    times = timeline([(round(1000 * i / fps), 33) for i in range(100)], fps)
    assert [times.timing(i) for i in (0, 1, 99)] == [
        FrameTiming(i / fps, 1 / fps) for i in (0, 1, 99)
    ]


@pytest.mark.parametrize("fps", [960, 2000, Fraction(2997), 4800])
def test_frames_shorter_than_a_tick_have_times_of_their_own(tmp_path, fps):
    source = open_source(record(tmp_path / "clip.mkv", pictures(40), fps=fps))  # milliseconds
    assert len(list(source)) == 40
    assert [source.timing(i) for i in range(40)] == [
        FrameTiming(i / source.fps, 1 / source.fps) for i in range(40)
    ]
    assert round(source.fps) == fps


def test_times_that_vary_are_kept():
    times = timeline([500, 540, 700, (720, 90)])
    assert starts(times) == [0, 0.04, 0.2, 0.22]
    assert times.timing(3).duration == Fraction(9, 100)
    assert times.end() == Fraction(31, 100)


def test_a_missing_frame_stays_missing_where_a_tick_is_a_frame():
    tick = Fraction(1, 25)  # as in AVI files
    assert starts(timeline([(0, 1), (2, 1), (3, 1)], tick=tick)) == [0, 0.08, 0.12]
    times = timeline([(0, 2), (2, 1)], tick=tick)
    assert times.timing(0).duration == 2 * tick


def test_frames_without_a_time_follow_the_one_before():
    assert starts(timeline([None, None, (100, 0), None])) == [0, 0.04, 0.1, 0.14]
    assert starts(timeline([(0, None), None], fps=None)) == [0, 0.001]
    assert timeline([]).end() == 0


def test_times_always_increase():
    assert starts(timeline([0, 40, 40, 30, 160])) == [0, 0.04, 0.041, 0.042, 0.16]


def test_a_clock_that_is_set_back_goes_on():
    assert starts(timeline([5000, 5040, 0, 40, 80])) == [0, 0.04, 0.08, 0.12, 0.16]
    recording = range(0, 360, 40)  # a short one, joined with itself
    assert starts(timeline([*recording, *recording])) == [i / 25 for i in range(18)]


@pytest.mark.parametrize("name", ["clip.avi", "clip.wmv", "clip.mkv", "clip.mp4"])
def test_frames_that_are_stored_out_of_order_have_even_times(tmp_path, name):
    record(tmp_path / name, pictures(12), options={"bf": "2"})
    source = open_source(tmp_path / name)
    assert sum(1 for _ in source) == 12
    assert [source.timing(i).start for i in range(12)] == [Fraction(i, 10) for i in range(12)]


def test_frames_that_are_held_back_have_even_times_by_a_fine_clock(tmp_path):
    path, fine = tmp_path / "clip.avi", {"fps": 1000, "ticks": range(0, 1200, 40)}
    source = open_source(record(path, pictures(30), options={"bf": "2"}, **fine))
    assert sum(1 for _ in source) == 30
    assert [source.timing(i).start for i in range(30)] == [Fraction(i, 25) for i in range(30)]
    assert source.damage == ""


def test_a_gap_is_kept_unless_the_clock_may_jump():
    assert starts(timeline([0, 40, 60_000, 60_040])) == [0, 0.04, 60, 60.04]
    assert starts(timeline([0, 40, 60_000, 60_040], may_jump=True)) == [0, 0.04, 0.08, 0.12]
    assert starts(timeline([0, 40, 9_000], may_jump=True)) == [0, 0.04, 9]


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(25), Fraction(17, 3)])
def test_ticks_hold_a_rate_exactly(fps):
    tick = fine_tick(fps)
    assert tick.numerator == 1
    assert 90_000 <= 1 / tick <= 1_000_000
    assert (1 / fps / tick).denominator == 1


def test_odd_rates_have_ticks_that_containers_can_hold():
    assert fine_tick(Fraction(52110001, 1738003)) == Fraction(1, 90_000)
