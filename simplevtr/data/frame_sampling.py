"""Which clips an epoch visits and which frames a clip has (SimpleVTR §4.1, A.2). Pure functions."""

from collections.abc import Sequence

from simplevtr.structures import cyclic_frames

import numpy as np


def epoch_items(lengths: Sequence[int], frames: int, scheme: str) -> list[tuple[int, int | None]]:
    """The (video index, 0-based anchor frame or None) pairs of one epoch, in their order.

    Args:
        lengths: frames of each video, each at least 1.
        frames: T, frames of a clip, at least 1.
        scheme: "video", each video once and without an anchor (the paper's scheme one); "frame",
            every frame of every video as an anchor (scheme two); "compromise", a video ceil(length
            / T) times, with its anchors spread evenly (the paper names a compromise without
            defining it).
    """
    if scheme == "video":
        return [(index, None) for index in range(len(lengths))]
    visits = lengths if scheme == "frame" else [-(-length // frames) for length in lengths]
    # The middle of each of so many equal parts of the video; of as many as frames it is each frame.
    return [
        (index, (2 * k + 1) * length // (2 * count))
        for index, (length, count) in enumerate(zip(lengths, visits, strict=True))
        for k in range(count)
    ]


def sample_frames(
    length: int,
    count: int,
    rng: np.random.Generator,
    *,
    anchor: int | None = None,
    frame_range: int = 0,
    shuffle: bool = False,
    sampling: str = "random",
) -> list[int]:
    """Draw the frames of one clip: ``count`` of their numbers, from 0.

    A video, or a range of it, with fewer frames than the clip is repeated.

    Args:
        length: frames of the video, at least 1.
        count: T, frames to draw, at least 1.
        rng: the source of chance.
        anchor: 0-based frame that the clip must include, or None.
        frame_range: > 0 draws only frames at most this far from the anchor (from a random one if
            there is none); 0 draws from the whole video.
        shuffle: True gives a random order, False that of time, where a video that is gone through
            again has its first frame after its last.
        sampling: "random", distinct frames of the video or range; "consecutive", those that end at
            the anchor, where the video's last frame comes before its first (VisTR's public code).
    """
    assert count > 0
    assert anchor is None or 0 <= anchor < length
    centre = anchor or 0
    if anchor is None and (frame_range > 0 or sampling == "consecutive"):
        centre = int(rng.integers(length))
    if sampling == "consecutive":
        drawn: np.ndarray = np.array(cyclic_frames(length, count, centre - count + 1))
    else:
        first, last = 0, length - 1
        if frame_range > 0:
            first, last = max(0, centre - frame_range), min(length - 1, centre + frame_range)
        window = np.arange(first, last + 1)
        if len(window) <= count:
            drawn = window[cyclic_frames(len(window), count)]
        elif anchor is None:
            drawn = np.sort(rng.choice(window, size=count, replace=False))
        else:
            others = rng.choice(window[window != anchor], size=count - 1, replace=False)
            drawn = np.sort(np.append(others, anchor))
    if shuffle:
        drawn = rng.permutation(drawn)
    return [int(t) for t in drawn]
