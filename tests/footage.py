"""Small videos as cameras, phones and editors leave them, and what a player makes of a video."""

import contextlib
import functools
import http.server
import threading
from fractions import Fraction
from itertools import islice

from simplevtr.video_io import open_sink, open_source

import av
import numpy as np

RATE = 48000


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@contextlib.contextmanager
def serving(folder):
    """The address of a web server on this machine that serves a folder."""
    handler = functools.partial(_Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def pictures(count, height=48, width=64):
    """Frames of a grey that grows by 8 a frame, with a bright upper left quarter."""
    frames = np.zeros((count, height, width, 3), dtype=np.uint8)
    for i, frame in enumerate(frames):
        frame[:] = 20 + 8 * (i % 20)
        frame[: height // 2, : width // 2] = (230, 60, 60)
    return frames


def noise(count):
    """Frames that no encoder makes small."""
    return np.random.default_rng(0).integers(0, 255, (count, 48, 64, 3), dtype=np.uint8)


def write(path, frames, fps=10, **options):
    """Write frames as ``open_sink`` does; returns the path."""
    with open_sink(path, fps, frames[0].shape[:2], **options) as sink:
        for frame in frames:
            sink.write(frame)
    return path


def copied(path, target, *, count=None, sound=False):
    """Send the first ``count`` frames of a video through a source and a sink, as they come."""
    source = open_source(path)
    ratio, audio = source.sample_aspect_ratio, source.sound_file if sound else None
    options = {"sample_aspect_ratio": ratio, "audio_from": audio}
    with open_sink(target, source.fps or 10, source.size, **options) as sink:
        for i, frame in enumerate(islice(source, count)):
            sink.write(frame, source.timing(i))
    return source


def number(frame):
    """Which of ``pictures`` a decoded frame is (below 20)."""
    height, width = frame.shape[:2]
    return round((int(frame[height * 3 // 4, width * 3 // 4, 1]) - 20) / 8)


def clicks(seconds, every=0.5, first=0.25):
    """(1, N) float32: short bursts of a tone at ``first``, ``first + every``, ..."""
    time = np.arange(round(seconds * RATE)) / RATE
    phase = (time - first) % every
    burst = (phase < 0.02) & (time >= first - 0.001)
    return (0.8 * np.sin(2 * np.pi * 2000 * time) * burst).astype(np.float32)[None]


def record(
    path, frames, *, ticks=None, fps=Fraction(10), tick=None, codec="libx264", pix_fmt="yuv420p",
    options=None, shape=None, turn=None, sound=None, sound_codec="aac", sound_from=0.0,
    sound_options=None, title="", flags="",
):  # fmt: skip
    """Write a video.

    ``ticks`` are the frames' times in units of ``tick`` seconds (default: 1/fps, from 0 on),
    ``shape`` the sample aspect ratio, ``turn`` the arguments of ``set_display_rotation``, and
    ``sound`` (1, N) samples that start at ``sound_from`` seconds.
    """
    tick = tick or 1 / Fraction(fps)
    with av.open(str(path), "w", options={"movflags": flags} if flags else {}) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=Fraction(fps), options=options or {})
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = pix_fmt
        stream.codec_context.time_base = tick
        if shape is not None:
            stream.codec_context.sample_aspect_ratio = shape
        if turn is not None:
            stream.set_display_rotation(*turn)
        audio = None
        if sound is not None:
            audio = container.add_stream(sound_codec, rate=RATE, options=sound_options or {})
            audio.codec_context.layout = "mono"
        for i, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts, picture.time_base = (i if ticks is None else ticks[i]), tick
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
        if audio is not None:
            _write_sound(container, audio, sound, sound_from)
    return path


def _write_sound(container, audio, sound, start):
    step = 1024
    for i in range(0, sound.shape[1], step):
        piece = np.ascontiguousarray(sound[:, i : i + step])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
        frame.sample_rate, frame.time_base = RATE, Fraction(1, RATE)
        frame.pts = round(start * RATE) + i
        container.mux(audio.encode(frame))
    container.mux(audio.encode())


def watch(path):
    """What a player shows: the frames, and the start of each and the end of the last in seconds."""
    frames, times = [], []
    with av.open(str(path)) as container:
        for frame in container.decode(container.streams.video[0]):
            frames.append(frame.to_ndarray(format="rgb24"))
            times.append(frame.pts * frame.time_base)
            end = (frame.pts + frame.duration) * frame.time_base
    return frames, times, end


def listen(path):
    """The name of the sound's codec and when its clicks begin, in seconds after the first frame."""
    with av.open(str(path)) as container:
        start = next(container.decode(container.streams.video[0])).time
    with av.open(str(path)) as container:
        stream = container.streams.best("audio")
        if stream is None:
            return None, [], None
        pieces, times = [], []
        for frame in _decoded(container, stream):
            samples = frame.to_ndarray().astype(np.float64)
            samples = samples.mean(0) if frame.format.is_planar else samples.ravel()
            scale = {"s16": 2**15, "s32": 2**31}.get(frame.format.name.rstrip("p"), 1)
            pieces.append(samples / scale)
            times.append(frame.time - start + np.arange(len(samples)) / frame.sample_rate)
    samples, times = np.concatenate(pieces), np.concatenate(times)
    loud = times[np.abs(samples) > 0.3]
    begin = [t for t, before in zip(loud, [-9, *loud[:-1]], strict=True) if t - before > 0.1]
    return stream.codec_context.name, begin, times[-1]


def _decoded(container, stream):
    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except av.error.InvalidDataError:
            continue
