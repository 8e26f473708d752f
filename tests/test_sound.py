"""The input's sound in the mp4 that is made of its frames."""

import logging
import resource
from fractions import Fraction

from simplevtr.video_io import open_sink, open_source
from simplevtr.video_io.sound import add_sound

import av
import numpy as np
import pytest
from footage import RATE, clicks, copied, listen, pictures, record, watch

SECONDS = 2.0


def film(path, **options):
    """Two seconds of frames at 25 a second, with clicks at 0.25, 0.75, 1.25 and 1.75 seconds."""
    options = {"fps": 25, "sound": clicks(SECONDS), **options}
    return record(path, np.repeat(pictures(10, 16, 16), 5, axis=0), **options)


def sounding(path, target, count=None):
    copied(path, target, count=count, sound=True)
    return target


def packets(path):
    with av.open(str(path)) as container:
        (stream,) = container.streams.audio
        return [bytes(packet) for packet in container.demux(stream) if packet.size]


@pytest.mark.parametrize(
    ("name", "codec", "fits"),
    [
        ("in.mp4", "aac", True), ("in.ts", "aac", True), ("in.mkv", "aac", True),
        ("in.mkv", "libmp3lame", True), ("in.ts", "ac3", True), ("in.mkv", "libopus", True),
        ("in.mkv", "flac", True),
        ("in.mkv", "pcm_s16le", False), ("in.avi", "pcm_s16le", False), ("in.ts", "mp2", False),
    ],
)  # fmt: skip
def test_sound_is_copied_or_becomes_aac_and_stays_in_time(tmp_path, name, codec, fits):
    path = film(tmp_path / name, sound_codec=codec)
    out = sounding(path, tmp_path / "out.mp4")
    found, before, _ = listen(path)
    name, after, end = listen(out)
    assert name == (found if fits else "aac")
    assert len(before) == 4
    np.testing.assert_allclose(after, before, atol=0.004)
    assert end == pytest.approx(SECONDS, abs=0.06)
    if fits and path.suffix != ".ts":  # a ts wraps each packet, which mp4 does not
        assert set(packets(out)) <= set(packets(path))
    assert len(watch(out)[0]) == 50


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_ends_with_the_frames_that_were_wanted(tmp_path, codec):
    path = film(tmp_path / "in.mkv", sound_codec=codec)
    out = sounding(path, tmp_path / "out.mp4", count=25)
    _, begin, end = listen(out)
    np.testing.assert_allclose(begin, [0.25, 0.75], atol=0.004)
    assert end == pytest.approx(1, abs=0.05)
    with av.open(str(out)) as container:
        assert container.duration / 1e6 == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_pictures_are_the_same_with_sound(tmp_path, codec):
    """The same times, rate, shape and pictures, whether sound lies beside them."""
    fps = Fraction(30000, 1001)
    path = film(tmp_path / "in.mkv", fps=fps, sound_codec=codec)
    source, found = open_source(path), []
    for name, sound in (("silent.mp4", None), ("sound.mp4", path)):
        options = {"sample_aspect_ratio": Fraction(16, 15), "audio_from": sound}
        with open_sink(tmp_path / name, fps, source.size, **options) as sink:
            for i, frame in enumerate(source):
                sink.write(frame, source.timing(i))
        with av.open(str(tmp_path / name)) as container:
            stream = container.streams.video[0]
            assert (stream.average_rate, stream.sample_aspect_ratio) == (fps, Fraction(16, 15))
            assert (stream.codec_context.colorspace, len(container.streams)) == (1, 1 + bool(sound))
            found.append([(f.time, f.to_ndarray(format="rgb24")) for f in container.decode(stream)])
    silent, sounding = found
    assert [time for time, _ in silent] == [time for time, _ in sounding]
    # The encoder's threads may choose differently on a busy machine.
    assert all(np.abs(a[1].astype(int) - b[1]).mean() < 2 for a, b in zip(*found, strict=True))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "silent.mp4", "sound.mp4"]


@pytest.mark.parametrize("codec", ["aac", "mp2"])
def test_joined_recordings_keep_the_sound_of_each(tmp_path, codec):
    part = film(tmp_path / "part.ts", sound_codec=codec).read_bytes()
    (tmp_path / "in.ts").write_bytes(part + part)  # whose clock starts anew
    out = sounding(tmp_path / "in.ts", tmp_path / "out.mp4")
    assert len(watch(out)[0]) == 100
    np.testing.assert_allclose(listen(out)[1], np.arange(0.25, 4, 0.5), atol=0.04)


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
def test_sound_that_begins_after_the_last_frame_is_left_out(tmp_path, codec, caplog):
    out = sounding(
        film(tmp_path / "in.mkv", sound_codec=codec, sound_from=1), tmp_path / "o.mp4", 10
    )
    assert listen(out)[0] is None
    assert len(watch(out)[0]) == 10
    assert "in.mkv: its sound cannot be read" in caplog.text


@pytest.mark.parametrize("codec", ["aac", "pcm_s16le"])
@pytest.mark.parametrize("late", ["picture", "sound"])
def test_streams_that_begin_apart_stay_apart(tmp_path, codec, late):
    options = {"sound_from": 0.5} if late == "sound" else {"ticks": range(15, 65)}
    path = film(tmp_path / "in.mkv", sound_codec=codec, **options)
    out = sounding(path, tmp_path / "out.mp4")
    before, after = listen(path)[1], listen(out)[1]
    heard = [t for t in before if 0 <= t < SECONDS]
    np.testing.assert_allclose(after, heard, atol=0.004)
    expected = [0.75, 1.25, 1.75] if late == "sound" else [0.15, 0.65, 1.15]
    np.testing.assert_allclose(after, expected, atol=0.03)


def test_sound_lies_beside_its_frames_in_the_file(tmp_path):
    out = sounding(film(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    data = out.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(out)) as container:
        order = [
            (packet.pos, packet.stream.type, float(packet.dts * packet.time_base))
            for packet in container.demux()
            if packet.size
        ]
    times = {"video": 0.0, "audio": 0.0}
    for _, kind, time in sorted(order):
        times[kind] = time
        assert abs(times["video"] - times["audio"]) < 1.1  # mp4 chunks hold up to a second


def test_other_outputs_have_no_sound(tmp_path):
    path = film(tmp_path / "in.mp4")
    for name in ("out.gif", "out"):
        sounding(path, tmp_path / name)
    with av.open(str(tmp_path / "out.gif")) as container:
        assert not container.streams.audio


def test_a_silent_input_gives_a_silent_result(tmp_path, caplog):
    path = film(tmp_path / "in.mp4", sound=None)
    assert open_source(path).sound_file is None
    with (
        caplog.at_level(logging.WARNING),
        open_sink(tmp_path / "out.mp4", 25, (16, 16), audio_from=path) as sink,
    ):
        sink.write(pictures(1, 16, 16)[0])
    assert "in.mp4: it has no sound" in caplog.text
    assert listen(tmp_path / "out.mp4")[0] is None


def test_sound_that_cannot_be_read_is_left_out_with_a_warning(tmp_path, caplog):
    path = film(tmp_path / "in.mkv", sound_codec="pcm_s16le")
    data = path.read_bytes().replace(b"A_PCM/INT/LIT", b"A_XYZ/INT/LIT")
    path.write_bytes(data)
    with caplog.at_level(logging.WARNING):
        out = sounding(path, tmp_path / "out.mp4")
    assert "in.mkv: its sound cannot be read" in caplog.text
    assert listen(out)[0] is None
    assert len(watch(out)[0]) == 50


def test_a_full_disk_is_not_blamed_on_the_sound(tmp_path):
    path, silent = film(tmp_path / "in.mkv", sound_codec="aac"), tmp_path / "out.mp4"
    with open_sink(silent, Fraction(25), (64, 96)) as sink:
        for _ in range(50):
            sink.write(np.zeros((64, 96, 3), np.uint8))
    before, limits = silent.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before), limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            add_sound(silent, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert silent.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mkv", "out.mp4"]


@pytest.mark.parametrize("codec", ["aac", "mp2", "flac"])
def test_damaged_sound_does_not_stop_the_frames(tmp_path, codec):
    path = film(tmp_path / "in.mkv", sound_codec=codec)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) * 3 // 4] = bytes(len(data) * 3 // 4 - len(data) // 2)
    path.write_bytes(data)
    out = sounding(path, tmp_path / "out.mp4")
    assert len(watch(out)[0]) > 10
    assert listen(out)[1][0] == pytest.approx(0.25, abs=0.03)


def test_a_run_that_breaks_off_keeps_sound_too(tmp_path):
    path = film(tmp_path / "in.mp4")
    source = open_source(path)

    def broken_run():
        with open_sink(tmp_path / "out.mp4", 25, (16, 16), audio_from=path) as sink:
            for i, frame in enumerate(source):
                if i == 25:
                    raise KeyboardInterrupt
                sink.write(frame, source.timing(i))

    with pytest.raises(KeyboardInterrupt):
        broken_run()
    assert len(listen(tmp_path / "out.partial.mp4")[1]) == 2


def test_several_channels_are_mixed_into_two_where_sound_is_encoded(tmp_path):
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width = video.height = 16
        audio = container.add_stream("pcm_s16le", rate=RATE)
        audio.codec_context.layout = "5.1"
        for picture in pictures(10, 16, 16):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(video.encode())
        samples = np.repeat((clicks(0.4) * 20000).astype(np.int16), 6, axis=0)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T.reshape(1, -1)), format="s16", layout="5.1"
        )
        frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
        container.mux([*audio.encode(frame), *audio.encode()])
    out = sounding(path, tmp_path / "out.mp4")
    with av.open(str(out)) as container:
        assert container.streams.audio[0].channels == 2
    np.testing.assert_allclose(listen(out)[1], [0.25], atol=0.004)
