"""The ways that tracks have gone in the last frames."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np

_Point = tuple[float, float]


class Trails:
    """Keeps where each track was in the last ``length`` frames, and forgets the rest."""

    def __init__(self, length: int):
        """``length`` is the number of past frames that are joined to the present one."""
        self.length = length
        self._frame = 0
        self._points: dict[int, list[tuple[int, _Point]]] = {}

    def clear(self) -> None:
        """Forget everything: the next frame is of another video."""
        self._frame = 0
        self._points.clear()

    def add(self, centroids: Mapping[int, _Point]) -> None:
        """Note the next frame: (x, y) in pixels by track id, of the tracks that are there."""
        self._frame += 1
        oldest = self._frame - self.length
        for track_id, point in centroids.items():
            self._points.setdefault(track_id, []).append((self._frame, point))
        for track_id, points in list(self._points.items()):
            recent = [item for item in points if item[0] >= oldest]
            if recent:
                self._points[track_id] = recent
            else:
                del self._points[track_id]

    def draw(
        self, canvas: np.ndarray, track_id: int, colour: tuple[float, float, float], width: int
    ) -> None:
        """Draw a track's trail on an (H, W, 3) uint8 canvas, with a dot where it is now."""
        points = self._points.get(track_id, [])
        if not points:
            return
        paint = tuple(round(part * 255) for part in colour)
        # Fixed point with four binary digits keeps a slow trail smooth.
        way = np.array([[point] for _, point in points]) * 16
        cv2.polylines(
            canvas, [np.round(way).astype(np.int32)], False, paint, width, cv2.LINE_AA, shift=4
        )
        x, y = (round(part) for part in points[-1][1])
        cv2.circle(canvas, (x, y), 2 * width, paint, -1, cv2.LINE_AA)
