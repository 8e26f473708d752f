"""The longest clips that fit, from the memory of three short ones.

While one part of the model works, memory grows evenly with the frames and with the instances; only
which part needs the most changes with them. So lines are drawn part by part, and the largest
counts. For fewer frames than the shortest measured clip has, where parts are not worked through in
chunks of full size, lengths are tried one by one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Frames of the clips that are measured. From nine on, the mask head works on one slot at a time
# (MAPS_AT_A_TIME, 16) where it does not keep its activations. Both make three chunks of the
# backbone (IMAGES_AT_A_TIME, 4), which is quick; longer clips take longer and say the same.
SHORTER, LONGER = 9, 12
# From two slots on, the mask head adds up their gradients; one alone is measured by itself.
FEW = 2
MORE = 2
# Of a frame; less does not keep a clip from fitting.
ROUNDING = 1e-3


@dataclass(frozen=True)
class PartMemory:
    """Bytes that are allocated at the worst moment while one part of the model works.

    Attributes:
        fixed: whatever the clip.
        frame: more with each frame.
        instance: more with each frame for each of its instances.
    """

    fixed: float
    frame: float
    instance: float

    def a_frame(self, instances: int) -> float:
        """Bytes more with each frame."""
        return self.frame + self.instance * instances


class MemoryPlan:
    """What clips of one size of frame need, whatever their length."""

    def __init__(self, peaks: Callable[[int, int], Mapping[str, int]]) -> None:
        """Keep what measures; it is called later, as little as possible.

        Args:
            peaks: (frames, instances) -> the peak bytes while each part works; as
                ``MemoryModel.training`` and ``MemoryModel.inference``.
        """
        self._peaks = peaks
        self._parts: dict[int, dict[str, PartMemory]] = {}

    def parts(self, instances: int) -> dict[str, PartMemory]:
        """What each part needs, for clips of at least ``SHORTER`` frames."""
        few = min(instances, FEW)
        if few not in self._parts:
            shorter, longer = self._peaks(SHORTER, few), self._peaks(LONGER, few)
            more = self._peaks(SHORTER, few + MORE)
            self._parts[few] = {
                part: _line(few, shorter[part], longer[part], more[part]) for part in shorter
            }
        return self._parts[few]

    def needed(self, frames: int, instances: int) -> float:
        """Bytes for a clip of at least ``SHORTER`` frames."""
        parts = self.parts(instances).values()
        return max(part.fixed + frames * part.a_frame(instances) for part in parts)

    def most_frames(self, budget: float, instances: int, *, at_most: int) -> int:
        """The largest T in [0, ``at_most``] that needs no more than ``budget`` bytes."""
        parts = self.parts(instances).values()
        frames = min((budget - part.fixed) / part.a_frame(instances) for part in parts)
        frames = int(frames + ROUNDING)
        if frames < SHORTER:
            frames = bisect_right(
                range(1, SHORTER), budget, key=lambda t: max(self._peaks(t, instances).values())
            )
        return min(frames, at_most)


def _line(few: int, shorter: int, longer: int, more: int) -> PartMemory:
    a_frame = (longer - shorter) / (LONGER - SHORTER)
    instance = (more - shorter) / (SHORTER * MORE)
    return PartMemory(
        fixed=shorter - SHORTER * a_frame, frame=a_frame - few * instance, instance=instance
    )
