"""Copy-paste of tracks: objects of another clip, moved over a clip (Ghiasi et al. 2021)."""

from typing import Any

from simplevtr.data.annotations import masks_to_instances

import numpy as np
import torch

_MOST_PASTED = 2


def paste_tracks(
    clip: dict[str, Any], donor: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Put one or two tracks of another clip in front of a clip.

    They keep their motion and are moved as a whole by a random shift; what they cover of the clip's
    own instances is no longer visible. Both clips are as the dataset mapper makes them; the donor
    may have any size and length. Frames beyond its end show nothing of it.

    Returns:
        A clip with new ``image`` and ``instances``; pasted instances have ids above the clip's.
    """
    own, other = clip["instances"], donor["instances"]
    candidates = len(other[0]) if other else 0
    if not candidates:
        return clip
    chosen = rng.permutation(candidates)[: int(rng.integers(1, _MOST_PASTED + 1))]
    images = torch.stack(list(clip["image"]))
    frames, _, height, width = images.shape
    masks = np.zeros((frames, len(own[0]) + len(chosen), height, width), dtype=bool)
    for t, frame in enumerate(own):
        masks[t, : len(frame)] = frame.gt_masks.tensor.numpy()
    for row, index in enumerate(sorted(chosen.tolist()), start=len(own[0])):
        track = np.stack([frame.gt_masks.tensor[index].numpy() for frame in other])
        shift = _shift(track, (height, width), rng)
        for t in range(min(frames, len(track))):
            target, source = _overlap(shift, (height, width), track.shape[1:])
            part = track[t][source]
            if not part.any():
                continue
            masks[t, :row][(slice(None), *target)] &= ~part
            masks[t, row][target] = part
            region = images[t][(slice(None), *target)]
            pasted = donor["image"][t][(slice(None), *source)]
            images[t][(slice(None), *target)] = torch.where(torch.from_numpy(part), pasted, region)
    ids = torch.stack([frame.gt_ids for frame in own]).amax(0).numpy()
    first = int(ids.max(initial=0)) + 1
    labels = [own[0].gt_classes.numpy(), other[0].gt_classes.numpy()[np.sort(chosen)]]
    instances = masks_to_instances(
        masks, np.concatenate([ids, np.arange(first, first + len(chosen))]), np.concatenate(labels)
    )
    return {**clip, "image": list(images), "instances": instances}


def _shift(track: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> tuple[int, int]:
    """(dy, dx) that put the middle of the track's first mask anywhere in the frame."""
    first = track[int(track.any(axis=(1, 2)).argmax())]
    rows, columns = np.nonzero(first)
    place = [int(rng.integers(side)) for side in size]
    return place[0] - int(rows.mean()), place[1] - int(columns.mean())


def _overlap(
    shift: tuple[int, int], size: tuple[int, int], donor: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The part of a frame that a shifted donor's frame covers, and the part of that frame."""
    target, source = [], []
    for moved, side, other in zip(shift, size, donor, strict=True):
        low, high = max(0, moved), max(0, min(side, moved + other))
        target.append(slice(low, max(low, high)))
        source.append(slice(low - moved, max(low, high) - moved))
    return (target[0], target[1]), (source[0], source[1])
