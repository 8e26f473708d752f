from fractions import Fraction

from simplevtr.video_io import FrameTiming
from simplevtr.video_io.clock import Clock
from simplevtr.video_io.frame_times import Timeline

import pytest

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
    assert times.uneven() is None


def test_times_that_vary_are_kept():
    times = timeline([500, 540, 700, (720, 90)])
    assert starts(times) == [0, 0.04, 0.2, 0.22]
    assert times.timing(3).duration == Fraction(9, 100)
    assert times.uneven() == [0, Fraction(4, 100), Fraction(2, 10), Fraction(22, 100)]
    assert times.end() == Fraction(31, 100)


def test_frames_without_a_time_follow_the_one_before():
    assert starts(timeline([None, None, (100, 0), None])) == [0, 0.04, 0.1, 0.14]
    assert starts(timeline([(0, None), None], fps=None)) == [0, 0.001]
    assert timeline([]).end() == 0
    assert timeline([]).uneven() is None


def test_times_always_increase():
    assert starts(timeline([0, 40, 40, 30, 160])) == [0, 0.04, 0.041, 0.042, 0.16]


def test_a_clock_that_is_set_back_goes_on():
    assert starts(timeline([5000, 5040, 0, 40, 80])) == [0, 0.04, 0.08, 0.12, 0.16]


def test_a_gap_is_kept_unless_the_clock_may_jump():
    assert starts(timeline([0, 40, 60_000, 60_040])) == [0, 0.04, 60, 60.04]
    assert starts(timeline([0, 40, 60_000, 60_040], may_jump=True)) == [0, 0.04, 0.08, 0.12]
    assert starts(timeline([0, 40, 9_000], may_jump=True)) == [0, 0.04, 9]


@pytest.mark.parametrize("fps", [Fraction(24000, 1001), Fraction(25), Fraction(17, 3)])
def test_ticks_hold_a_rate_exactly(fps):
    clock = Clock.fine(fps, None)
    assert clock.tick.numerator == 1
    assert 90_000 <= 1 / clock.tick <= 1_000_000
    spans = [clock.span(i, None) for i in range(50)]
    assert [start * clock.tick for start, _ in spans] == [i / fps for i in range(50)]
    assert {duration * clock.tick for _, duration in spans} == {1 / fps}


def test_odd_rates_have_ticks_that_containers_can_hold():
    assert Clock.fine(Fraction(52110001, 1738003), None).tick == Fraction(1, 90_000)


def test_a_clock_follows_what_it_is_told_and_never_stands_still():
    clock = Clock(Fraction(10), None, Fraction(1, 100))
    told = [None, FrameTiming(Fraction(1, 2), Fraction(1, 5)), None]
    assert [clock.span(i, timing) for i, timing in enumerate(told)] == [(0, 10), (50, 20), (70, 10)]
    assert clock.span(3, FrameTiming(Fraction(0), Fraction(1, 1000))) == (71, 1)
    times = Clock(Fraction(10), [Fraction(0), Fraction(3)], Fraction(1, 100))
    assert [times.span(i, None) for i in range(2)] == [(0, 10), (300, 10)]
