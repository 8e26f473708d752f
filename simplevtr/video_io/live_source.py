"""Cameras and network addresses as frames: what can be read only once."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from simplevtr.video_io.video_source import StreamSource

import av
import numpy as np

logger = logging.getLogger(__name__)

SCHEMES = ("http", "https", "rtmp", "rtmps", "rtp", "rtsp", "rtsps", "srt", "tcp", "udp")
# A server may send a playlist; it must not lead to files of this machine.
_PROTOCOLS = "http,https,httpproxy,tls,crypto,data,tcp,udp,rtp,srtp,rtmp,rtmps,rtmpt,srt"


class LiveSource(StreamSource):
    """A stream that is opened once, stays open, and can be iterated once."""

    live = True

    def __init__(
        self, address: str, shown: str, *, format: str | None = None, timeout: float = 20.0
    ):
        """Connect and decode the first frame; ValueError if that fails.

        Args:
            address: a device, or an address with a scheme.
            shown: what stands for it in messages.
            format: FFmpeg's name of the input format; None: found out.
            timeout: seconds to wait for an answer, and later for the next data.
        """
        self.path, self.files = shown, []
        options = {"protocol_whitelist": _PROTOCOLS, "rtsp_flags": "prefer_tcp"}
        try:
            self._container = av.open(
                address, format=format, container_options={} if format else options, timeout=timeout
            )
        except (av.FFmpegError, OSError) as error:
            # The error's own text and the chain would show the address with its password.
            late = isinstance(error, av.error.ExitError)
            reason = f"no answer within {timeout:g} s" if late else error.strerror
            raise ValueError(f"{shown}: cannot be opened as a video ({reason})") from None
        try:
            self._frames: Iterator[np.ndarray] | None = self._begin(self._container)
        except ValueError:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[np.ndarray]:
        if self._frames is None:
            raise ValueError(f"{self.path}: a live source can be read only once")
        frames, self._frames = self._frames, None
        return self._pass(frames)

    def _pass(self, frames: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
        try:
            yield from frames
            if (error := self._reader.error) is not None:
                count = self._reader.count
                logger.warning("%s: broke off after %d frames (%s)", self.path, count, error)
        finally:
            self._container.close()

    def close(self) -> None:
        """Release the camera or connection."""
        self._frames = None
        self._container.close()


def open_live(text: str, *, timeout: float) -> LiveSource | None:
    """Open a camera or a network address; None where a text stands for neither.

    A camera is "/dev/video0", or "0" where no file has that name (Linux, video4linux); an address
    has the form "scheme://...".

    Raises:
        FileNotFoundError: there is no such camera; the message lists the ones that exist.
        ValueError: it cannot be opened, or its scheme is unknown. Neither names a password.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        if text.split("://", 1)[0].lower() not in SCHEMES:
            raise ValueError(f"{hidden(text)}: unknown scheme; allowed: {', '.join(SCHEMES)}")
        return LiveSource(text, hidden(text), timeout=timeout)
    camera = re.fullmatch(r"(/dev/video)?([0-9]{1,3})", text)
    if camera is None or (camera[1] is None and Path(text).exists()):
        return None
    device = text if camera[1] else f"/dev/video{int(text)}"
    if not Path(device).exists():
        there = ", ".join(sorted(map(str, Path("/dev").glob("video[0-9]*")))) or "none"
        raise FileNotFoundError(
            f"{text}: no such file, and no camera {device} (cameras here: {there})"
        )
    return LiveSource(device, device, format="v4l2")


def hidden(address: str) -> str:
    """An address without the user's name, password and query, in which secrets are handed over."""
    scheme, _, rest = address.partition("://")
    place, mark, _ = rest.partition("?")
    host, slash, path = place.partition("/")
    user, at, host = host.rpartition("@")
    return f"{scheme}://{'***@' if at else ''}{host}{slash}{path}{'?***' if mark else ''}"
