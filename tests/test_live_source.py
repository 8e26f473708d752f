"""Cameras and addresses; every server here runs on this machine."""

import contextlib
import io
import logging
import re
import socket
import threading
import time

from simplevtr.video_io import open_source
from simplevtr.video_io.reader import redacted
from simplevtr.video_io.video_source import open_live

import numpy as np
import pytest
from footage import noise, number, pictures, record, serving, write
from PIL import Image


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def served(tmp_path):
    """The address of a web server that serves ``tmp_path``."""
    with serving(tmp_path) as address:
        yield address


@pytest.fixture
def stalling():
    """The address of a server that takes connections, sends ``parts``, and then nothing."""
    sockets = []

    def start(*parts, pause=0.0):
        listener = socket.create_server(("127.0.0.1", 0))
        sockets.append(listener)

        def answer():
            with contextlib.suppress(OSError):  # closed
                while True:
                    sockets.append(listener.accept()[0])
                    threading.Thread(target=send, args=sockets[-1:], daemon=True).start()

        def send(connection):
            with contextlib.suppress(OSError):
                for part in parts:
                    connection.sendall(part)
                    time.sleep(pause)

        threading.Thread(target=answer, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for each in sockets:
        each.close()


@pytest.mark.parametrize("name", ["clip.mp4", "clip.ts"])
def test_an_address_is_read_once(tmp_path, served, name):
    record(tmp_path / name, pictures(8), fps=25)
    source = open_source(f"{served}/{name}")
    assert (source.live, source.files, source.names, source.sound_file) == (True, [], None, None)
    assert (source.size, source.fps) == ((48, 64), 25)
    assert source.path == f"{served}/{name}"
    assert [number(frame) for frame in source] == list(range(8))
    assert [float(source.timing(i).start) for i in (0, 7)] == [0, 7 / 25]
    with pytest.raises(ValueError, match="a live source can be read only once"):
        iter(source)


@pytest.mark.parametrize(
    "begin", [lambda source: next(iter(source)), lambda source: source.close()]
)
def test_a_pass_that_was_begun_counts_and_so_does_a_closed_source(tmp_path, served, begin):
    record(tmp_path / "clip.ts", pictures(3))
    source = open_source(f"{served}/clip.ts")
    begin(source)
    with pytest.raises(ValueError, match="only once"):
        iter(source)


def test_files_are_not_live(tmp_path):
    path = record(tmp_path / "clip.mp4", pictures(2))
    write(tmp_path / "frames", pictures(1))
    for source in (open_source(path), open_source(tmp_path / "frames")):
        assert not source.live
        assert len(list(source)) == len(list(source))
        source.close()


def test_playlists_are_followed_on_the_network_but_not_into_files(tmp_path, served):
    clip = record(tmp_path / "clip.ts", pictures(8), fps=25)
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.32,\n"
    (tmp_path / "good.m3u8").write_text(f"{head}clip.ts\n#EXT-X-ENDLIST\n")
    (tmp_path / "bad.m3u8").write_text(f"{head}file://{clip}\n#EXT-X-ENDLIST\n")
    assert len(list(open_source(f"{served}/good.m3u8"))) == 8
    with pytest.raises(ValueError, match="bad.m3u8: cannot be opened"):
        open_source(f"{served}/bad.m3u8", timeout=2)


def test_passwords_are_not_shown(served, caplog):
    secret = served.replace("http://", "http://me:hush@") + "/no.mp4?token=hush"
    with pytest.raises(ValueError, match=r"http://\*\*\*@127.*/no.mp4\?\*\*\*: cannot") as caught:
        open_source(secret)
    assert "404" in str(caught.value) or "Not Found" in str(caught.value)
    seen = repr(caught.value)
    assert caught.value.__suppress_context__
    assert "hush" not in seen + caplog.text
    with pytest.raises(ValueError, match=r"^x-\w+://\*\*\*@host/a: unknown scheme; allowed: http"):
        open_source("x-files://me:hush@host/a")


def test_addresses_are_redacted():
    assert redacted("rtsp://u:p@h:554/a/b") == "rtsp://***@h:554/a/b"
    assert redacted("rtsp://u:p@ss@h/a") == "rtsp://***@h/a"
    assert redacted("http://h/a@b.mp4") == "http://h/a@b.mp4"
    assert redacted("https://h?u=1#x") == "https://h?***"
    assert redacted("udp://@239.0.0.1:5000") == "udp://***@239.0.0.1:5000"


@pytest.mark.parametrize("scheme", ["http", "rtsp", "rtmp"])
def test_an_address_that_does_not_answer(stalling, scheme):
    start = time.monotonic()
    with pytest.raises(ValueError, match=rf"{scheme}://127.*: cannot be opened as a video \("):
        open_source(f"{scheme}://{stalling()}/cam", timeout=0.5)
    assert time.monotonic() - start < 5


def test_nobody_listens_there():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(ValueError, match=f"rtsp://127.0.0.1:{port}/cam: cannot be opened"):
        open_source(f"rtsp://127.0.0.1:{port}/cam", timeout=2)


def test_what_is_not_a_video_is_refused(tmp_path, served):
    (tmp_path / "page.html").write_text("<html>a page</html>")
    with pytest.raises(ValueError, match="page.html: cannot be opened as a video"):
        open_source(f"{served}/page.html")


def test_a_connection_that_breaks_off_keeps_the_frames_before(tmp_path, stalling, caplog):
    data = record(tmp_path / "clip.ts", noise(60), fps=25).read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
    address = stalling(head + data[: len(data) * 9 // 10])
    source = open_source(f"http://{address}/clip.ts", timeout=1)
    with caplog.at_level(logging.WARNING):
        count = len(list(source))
    assert 30 < count < 60
    assert f"clip.ts: broke off; the first {count} frames can be read" in caplog.text


def test_what_a_decoder_holds_when_a_connection_breaks_off_is_kept(tmp_path, stalling):
    data = record(tmp_path / "clip.ts", pictures(20), fps=25).read_bytes()
    head = b"HTTP/1.0 200 OK\r\nContent-Type: video/mp2t\r\n\r\n"
    source = open_source(f"http://{stalling(head, data)}/clip.ts", timeout=1)
    assert [number(frame) for frame in source] == list(range(20))
    assert "broke off" in source.damage


def test_pictures_that_a_camera_pushes_have_the_times_of_their_arrival(stalling):
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=next\r\n\r\n"
    parts = []
    for picture in np.random.default_rng(0).integers(0, 255, (6, 96, 128, 3), dtype=np.uint8):
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG")
        size = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(file.getvalue())
        parts.append(b"--next\r\n" + size + file.getvalue() + b"\r\n")
    source = open_source(f"http://{stalling(head, *parts, pause=0.3)}/cam.mjpg", timeout=1)
    count = len(list(source))
    assert count == 6
    assert 1.2 < source.timing(5).start < 3  # five pauses; at 25 frames a second it would be 0.2


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda data: data[: len(data) * 6 // 10], r"the first \d\d of 60 .*the stream ends early"),
        (lambda data: data[:-3000] + bytes(1500) + data[-1500:], r"5\d of 60 .*are broken"),
    ],
)
def test_what_a_damaged_video_at_an_address_lacks_is_told(tmp_path, served, caplog, spoil, told):
    data = record(tmp_path / "clip.mp4", noise(60), fps=25, flags="+faststart").read_bytes()
    (tmp_path / "clip.mp4").write_bytes(spoil(data))
    with caplog.at_level(logging.WARNING):
        assert 30 < len(list(open_source(f"{served}/clip.mp4"))) <= 60
    assert re.search(f"clip.mp4: damaged; {told}", caplog.text)


def test_a_device_is_read_as_it_delivers():
    # FFmpeg's test picture stands for a camera: a device with a format of its own.
    source = open_live("testsrc=size=64x48:rate=10", "/dev/video7", format="lavfi")
    frames = iter(source)
    first, second = next(frames), next(frames)
    assert first.shape == (48, 64, 3)
    assert (first != second).any()
    assert (source.live, source.length, source.fps) == (True, None, 10)
    assert float(source.timing(1).start) == 0.1
    frames.close()


def test_a_camera_that_is_not_there():
    for text in ("97", "/dev/video97"):
        with pytest.raises(FileNotFoundError, match=r"no camera /dev/video97 \(cameras here: "):
            open_source(text)


def test_a_file_named_like_a_camera_is_a_file(tmp_path, monkeypatch):
    write(tmp_path / "97", pictures(1))
    monkeypatch.chdir(tmp_path)
    assert open_source("97").length == 1
