"""Videos in whatever state they come: the result has what can be read of them, at its times."""

import contextlib
import logging
import re
import time
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction

from simplevtr.video_io import FrameTiming, open_sink, open_source, video_source

import av
import numpy as np
import pytest
from footage import clicks, copied, noise, number, pictures, record, watch
from PIL import Image

MS = Fraction(1, 1000)
NTSC = Fraction(30000, 1001)


FOOTAGE = {
    "plain.mp4": {},
    "reordered.mp4": {"options": {"bf": "3", "b_strategy": "0"}},
    "late start.ts": {"fps": 25},
    "milliseconds.mkv": {"fps": NTSC},
    "film.mkv": {"fps": Fraction(24000, 1001), "tick": Fraction(1001, 24000)},
    "uneven.mp4": {"ticks": [0, 30, 400, 440, 1200, 1210, 1300, 1990], "tick": MS},
    "uneven.mkv": {"ticks": [0, 33, 400, 440, 1200, 1210, 1300, 1990], "tick": MS},
    "web.webm": {"codec": "libvpx", "fps": 30},
    "old.avi": {"codec": "mpeg4", "fps": 25},
    "flash.flv": {"codec": "flv1", "fps": 25},
    "stored from the second on.mp4": {"ticks": range(7, 15)},
}


@pytest.mark.parametrize("name", FOOTAGE)
def test_frames_and_duration_are_kept(tmp_path, name):
    path = record(tmp_path / name, pictures(8), **FOOTAGE[name])
    copied(path, tmp_path / "out.mp4")
    _, before, end = watch(path)
    shown, after, new_end = watch(tmp_path / "out.mp4")
    assert [number(frame) for frame in shown] == list(range(8))
    assert after[0] == 0
    wanted = [float(time - before[0]) for time in before]
    np.testing.assert_allclose([float(t) for t in after], wanted, atol=1e-3)
    if "uneven" in name:
        return
    length = max(end, before[-1] + before[1] - before[0]) - before[0]  # flv does not store the end
    assert float(new_end) == pytest.approx(float(length), abs=2e-3)


@pytest.mark.parametrize("fps", [NTSC, Fraction(24000, 1001), Fraction(25), Fraction(17, 3)])
def test_a_constant_rate_stays_exact(tmp_path, fps):
    for suffix in ("mp4", "mkv"):
        path = record(tmp_path / f"in {fps.numerator}.{suffix}", pictures(9), fps=fps)
        out = tmp_path / f"out of {suffix}.mp4"
        copied(path, out)
        with av.open(str(out)) as container:
            assert container.streams.video[0].average_rate == fps


def test_the_last_frame_is_shown_as_long_as_it_was(tmp_path):
    timings = [(0, 1), (1, 1), (2, 7)]  # tenths of a second
    with open_sink(tmp_path / "a.mp4", Fraction(10), (48, 64)) as sink:
        for frame, (start, duration) in zip(pictures(3), timings, strict=True):
            sink.write(frame, FrameTiming(Fraction(start, 10), Fraction(duration, 10)))
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert container.duration == 900_000
    source = open_source(tmp_path / "a.mp4")
    assert len(list(source)) == 3
    assert source.timing(2) == FrameTiming(Fraction(2, 10), Fraction(7, 10))
    with pytest.raises(IndexError):
        source.timing(3)


@pytest.mark.parametrize("size", [(47, 63), (48, 63), (1, 1), (2, 300)])
def test_odd_sizes(tmp_path, size):
    frames = pictures(3, *size)
    path = record(tmp_path / "odd.mkv", frames, codec="ffv1", pix_fmt="bgr0")
    assert copied(path, tmp_path / "out.mp4").size == size
    shown, _, _ = watch(tmp_path / "out.mp4")
    assert [frame.shape[:2] for frame in shown] == [
        (size[0] + size[0] % 2, size[1] + size[1] % 2)
    ] * 3


def test_one_frame(tmp_path):
    copied(record(tmp_path / "one.mp4", pictures(1), fps=25), tmp_path / "out.mp4")
    frames, times, end = watch(tmp_path / "out.mp4")
    assert (len(frames), times, end) == (1, [0], Fraction(1, 25))


def test_frames_before_the_start_stay_hidden(tmp_path):
    path = record(tmp_path / "cut.mp4", pictures(12), ticks=range(-4, 8))
    source = copied(path, tmp_path / "out.mp4")
    assert [number(frame) for frame in source] == [4, 5, 6, 7, 8, 9, 10, 11]
    assert [number(frame) for frame in watch(tmp_path / "out.mp4")[0]] == list(range(4, 12))


@pytest.mark.parametrize("mirrored", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("angle", [0, 90, 180, 270])
def test_turned_and_mirrored_footage_is_upright(tmp_path, angle, mirrored):
    path = record(tmp_path / "phone.mp4", pictures(2, 48, 80), turn=(angle, *mirrored))
    # The bright quarter is at the upper left as stored; it is turned first and flipped then.
    marked = np.rot90(np.array([[1, 0], [0, 0]]), angle // 90)
    marked = marked[:, ::-1] if mirrored[0] else marked
    marked = marked[::-1] if mirrored[1] else marked
    source = open_source(path)
    assert source.size == ((80, 48) if angle % 180 else (48, 80))
    frame = next(iter(source))
    rows, columns = (np.array([side // 4, side * 3 // 4]) for side in source.size)
    np.testing.assert_array_equal(frame[np.ix_(rows, columns)][..., 0] > 180, marked == 1)


def test_pixels_that_are_not_square_stay_so(tmp_path):
    path = record(tmp_path / "dv.mp4", pictures(2), shape=Fraction(16, 15))
    assert copied(path, tmp_path / "out.mp4").sample_aspect_ratio == Fraction(16, 15)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(16, 15)
    turned = record(tmp_path / "turned.mp4", pictures(2), shape=Fraction(16, 15), turn=(90,))
    assert open_source(turned).sample_aspect_ratio == Fraction(15, 16)
    assert open_source(record(tmp_path / "a.mp4", pictures(1))).sample_aspect_ratio == 1
    with pytest.raises(ValueError, match="sample aspect ratio of 0"):
        open_sink(tmp_path / "b.mp4", 10, (48, 64), sample_aspect_ratio=0)


def test_a_stream_that_changes_its_size(tmp_path, caplog):
    plain = {"fps": 25, "options": {"bf": "0"}}
    first = record(tmp_path / "a.ts", pictures(6), **plain)
    second = record(tmp_path / "b.ts", pictures(5, 96, 128), ticks=range(6, 11), **plain)
    path = tmp_path / "both.ts"
    path.write_bytes(first.read_bytes() + second.read_bytes())
    with caplog.at_level(logging.WARNING):
        copied(path, tmp_path / "out.mp4")
    frames, times, end = watch(tmp_path / "out.mp4")
    assert [frame.shape for frame in frames] == [(48, 64, 3)] * 11
    assert (times[-1], end) == (Fraction(10, 25), Fraction(11, 25))
    assert [r.message for r in caplog.records if "from frame 6 on, 128x96 pixels" in r.message]


def test_an_animated_avif_is_not_its_still_picture(tmp_path):
    path = tmp_path / "a.avif"  # by Pillow: PyAV's encoder makes the process a real-time one
    first, *others = map(Image.fromarray, pictures(6, 64, 96))
    first.save(path, save_all=True, append_images=others, duration=100, codec="aom")
    source = open_source(path)
    assert len(list(source)) == source.length == 6
    assert (source.fps, float(source.timing(5).start)) == (10, 0.5)


def test_joined_recordings_go_on_where_the_clock_starts_anew(tmp_path):
    parts = [record(tmp_path / f"{i}.ts", pictures(50), fps=25) for i in range(2)]
    path = tmp_path / "both.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    copied(path, tmp_path / "out.mp4")
    frames, times, _ = watch(tmp_path / "out.mp4")
    assert len(frames) == 100
    assert np.diff([float(t) for t in times]).max() == pytest.approx(0.04, abs=1e-6)
    assert np.diff([float(t) for t in times]).min() == pytest.approx(0.04, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "codec"), [("clip.ts", "libx264"), ("clip.mp4", "libx264"), ("clip.mkv", "mjpeg")]
)
def test_damage_in_the_middle_costs_only_what_is_broken(tmp_path, name, codec):
    pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    own = {"codec": codec, "pix_fmt": pix_fmt, "options": {"g": "5"}}
    path = record(tmp_path / name, noise(60), fps=25, **own)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 4000] = bytes(4000)
    path.write_bytes(data)
    copied(path, tmp_path / "out.mp4")
    _, times, _ = watch(tmp_path / "out.mp4")
    assert 40 <= len(times) <= 60
    assert float(times[-1]) == pytest.approx(59 / 25, abs=0.05)  # nothing moves forward


def test_broken_frames_are_left_out_with_a_warning(tmp_path, caplog):
    path = record(tmp_path / "clip.mkv", pictures(9), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    starts = [i for i in range(len(data)) if data.startswith(b"\xff\xd8\xff", i)]
    for i in (3, 4):
        data[starts[i] : starts[i + 1] - 20] = bytes(starts[i + 1] - 20 - starts[i])
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        source = open_source(path)
        frames = list(source)
    assert [number(frame) for frame in frames] == [0, 1, 2, 5, 6, 7, 8]
    assert [float(source.timing(i).start) for i in (2, 3)] == pytest.approx([0.2, 0.5], abs=1e-3)
    assert "7 frames can be read and are kept (2 packets between them are broken)" in caplog.text


def test_a_title_may_be_in_any_encoding(tmp_path):
    path = record(tmp_path / "old.avi", pictures(3), codec="mpeg4", title="Caf\u00e9!")
    data = path.read_bytes()
    path.write_bytes(data.replace("Caf\u00e9!".encode(), b"Caf\xe9!!"))
    assert path.read_bytes() != data
    assert len(list(open_source(path))) == 3


def test_video_of_an_unknown_codec(tmp_path):
    path = record(tmp_path / "clip.mkv", pictures(2), codec="mjpeg", pix_fmt="yuvj420p")
    path.write_bytes(path.read_bytes().replace(b"V_MJPEG", b"V_XJPEG"))
    with pytest.raises(ValueError, match="clip.mkv: no decoder for its video"):
        open_source(path)


def test_a_cut_video_gives_all_frames_before_the_cut(tmp_path, caplog):
    path = record(tmp_path / "clip.mp4", noise(40), fps=25, flags="+faststart")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    whole = 0
    with av.open(str(path)) as container:
        container.streams.video[0].codec_context.thread_count = 1
        for packet in container.demux(container.streams.video[0]):
            with contextlib.suppress(av.error.InvalidDataError):
                whole += len(packet.decode())
    with caplog.at_level(logging.WARNING):
        source = open_source(path)
        assert [len(list(source)) for _ in range(2)] == [whole] * 2
    assert 20 < whole < 30
    told = f"the first {whole} of 40 frames can be read and are kept (the file ends early)"
    assert caplog.text.count(told) == 1


def test_a_cut_stream_gives_its_first_frames(tmp_path):
    path = record(tmp_path / "clip.ts", noise(30), fps=25)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert 5 < len(list(open_source(path))) < 25


@pytest.mark.parametrize("late", [0, 9])
def test_a_cut_matroska_file_is_reported(tmp_path, caplog, late):
    path = record(tmp_path / "clip.mkv", noise(30), fps=25, ticks=range(late, late + 30))
    with caplog.at_level(logging.WARNING):
        assert len(list(open_source(path))) == 30
    assert caplog.text == ""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 7 // 10])
    with caplog.at_level(logging.WARNING):
        copied(path, tmp_path / "out.mp4")
    count = len(watch(tmp_path / "out.mp4")[0])
    assert 5 < count < 25
    assert f"clip.mkv: damaged; the first {count} frames can be read" in caplog.text


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.ts", "libx264"),
        ("a.mkv", "libx264"),
        ("a.mp4", "libx264"),
        ("a.flv", "flv"),
        ("a.mpg", "mpeg2video"),
    ],
)
def test_errors_inside_a_video_are_reported(tmp_path, caplog, name, codec):
    # On a busy machine x264's usual settings make other files, and damage that cannot be seen.
    options = {"preset": "ultrafast"} if codec == "libx264" else {}
    path = record(tmp_path / name, noise(30), fps=25, codec=codec, options=options)
    with caplog.at_level(logging.WARNING):
        assert len(list(open_source(path))) == 30
    assert caplog.text == ""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300] = noise(1).tobytes()[:300]
    path.write_bytes(content)
    source = open_source(path)
    count = len(list(source))
    assert 10 < count <= 30
    found = rf"damaged; {count}( of 30)? frames can be read and are kept \((errors in|1 packets)"
    assert re.match(found, source.damage)


def test_videos_that_are_read_at_once_have_errors_of_their_own(tmp_path, monkeypatch):
    whole = record(tmp_path / "a.mp4", noise(30), fps=25, options={"preset": "ultrafast"})
    content = bytearray(whole.read_bytes())
    content[len(content) // 4 :: 2000] = bytes(len(content[len(content) // 4 :: 2000]))
    (tmp_path / "b.mp4").write_bytes(content)

    def damage(name):
        source = open_source(tmp_path / name)
        list(source)
        return source.damage

    alone = {name: damage(name) for name in ("a.mp4", "b.mp4")}
    assert (alone["a.mp4"], "errors in" in alone["b.mp4"]) == ("", True)
    listen_in = video_source._complaints

    @contextlib.contextmanager
    def slowly():
        with listen_in() as found:
            time.sleep(0.001)  # as a large frame takes, while other threads run
            yield found
            time.sleep(0.001)

    monkeypatch.setattr(video_source, "_complaints", slowly)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(damage, [*alone] * 3))
    assert found == [*alone.values()] * 3


def test_what_is_not_a_video_is_refused_by_name(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    video = record(tmp_path / "video.mp4", pictures(5), sound=clicks(1))
    data = video.read_bytes()
    (tmp_path / "no index.mp4").write_bytes(data[: data.index(b"moov") - 4])
    with av.open(str(tmp_path / "sound.m4a"), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=48000)
        stream.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(clicks(0.5), format="fltp", layout="mono")
        frame.sample_rate = 48000
        container.mux([*stream.encode(frame), *stream.encode()])
    for name in ("empty.mp4", "no index.mp4", "sound.m4a"):
        with pytest.raises(ValueError, match=f"{name}: not a video"):
            open_source(tmp_path / name)


def test_a_local_file_does_not_lead_to_the_network(tmp_path):
    (tmp_path / "call.sdp").write_text(
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n"
    )
    record(tmp_path / "clip.mp4", pictures(2))
    (tmp_path / "list.txt").write_text("ffconcat version 1.0\nfile clip.mp4\n")
    for name in ("call.sdp", "list.txt"):
        with pytest.raises(ValueError, match=f"{name}: not a video"):
            open_source(tmp_path / name)
