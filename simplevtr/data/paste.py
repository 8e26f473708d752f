"""Copy-paste of tracks: objects of another clip, moved over a clip (Ghiasi et al. 2021)."""

from typing import Any

from simplevtr.data.annotations import masks_to_instances

import numpy as np
import torch
import torch.nn.functional as F

_MOST_PASTED = 2


def paste_tracks(
    clip: dict[str, Any], donor: dict[str, Any], rng: np.random.Generator
) -> dict[str, Any]:
    """Put one or two tracks of another clip in front of a clip.

    They keep their motion and are moved as a whole by a random shift; what they cover of the clip's
    own instances is no longer visible. Both clips are as the dataset mapper makes them; the donor
    may have any size and length. Frames beyond its end show nothing of it. What is returned has new
    ``image`` and ``instances``; pasted instances have ids above the clip's.
    """
    own, other = clip["instances"], donor["instances"]
    if not other or not len(other[0]):
        return clip
    chosen = rng.permutation(len(other[0]))[: int(rng.integers(1, _MOST_PASTED + 1))]
    images = torch.stack(list(clip["image"]))
    frames, _, height, width = images.shape
    masks = np.zeros((frames, len(own[0]) + len(chosen), height, width), dtype=bool)
    for t, frame in enumerate(own):
        masks[t, : len(frame)] = frame.gt_masks.tensor.numpy()
    for row, index in enumerate(sorted(chosen.tolist()), start=len(own[0])):
        track = torch.stack([frame.gt_masks.tensor[index] for frame in other])
        moved = _padding(track.numpy(), (height, width), rng)
        for t, part in enumerate(F.pad(track[:frames], moved)):
            if part.any():
                masks[t, :row] &= ~part.numpy()
                masks[t, row] = part
                images[t] = torch.where(part, F.pad(donor["image"][t], moved), images[t])
    ids = torch.stack([frame.gt_ids for frame in own]).amax(0).numpy()
    first = int(ids.max(initial=0)) + 1
    labels = [own[0].gt_classes.numpy(), other[0].gt_classes.numpy()[np.sort(chosen)]]
    instances = masks_to_instances(
        masks, np.concatenate([ids, np.arange(first, first + len(chosen))]), np.concatenate(labels)
    )
    return {**clip, "image": list(images), "instances": instances}


def _padding(track: np.ndarray, size: tuple[int, int], rng: np.random.Generator) -> list[int]:
    """What ``F.pad`` adds or, where negative, cuts off: left, right, above, below.

    A frame of the donor's then has the ``size``, and the middle of the track's first mask is
    anywhere in it.
    """
    rows, columns = np.nonzero(track[int(track.any(axis=(1, 2)).argmax())])
    place = [int(rng.integers(side)) for side in size]
    top, left = place[0] - int(rows.mean()), place[1] - int(columns.mean())
    height, width = track.shape[1:]
    return [left, size[1] - width - left, top, size[0] - height - top]
