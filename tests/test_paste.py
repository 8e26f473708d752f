"""Copy-paste of tracks: pixels, masks and boxes move together, and what is covered is hidden."""

from simplevtr.data.paste import paste_tracks

import numpy as np
import pytest
import torch
from conftest import make_clip


def painted(clip, colour):
    """The clip with each instance in a colour of its own and black elsewhere."""
    images = []
    for frame in clip["instances"]:
        image = torch.zeros(3, *frame.image_size, dtype=torch.uint8)
        for row, mask in enumerate(frame.gt_masks.tensor):
            image[:, mask] = colour + row
        images.append(image)
    return {**clip, "image": images}


@pytest.mark.parametrize("size", [(64, 96), (40, 60), (100, 150)])
def test_masks_lie_where_the_pixels_are(size):
    clip = painted(make_clip(frames=3, labels=(1,)), 50)
    donor = painted(make_clip(frames=3, labels=(4, 2), size=size, seed=5), 200)
    before = [frame.gt_masks.tensor.clone() for frame in clip["instances"]]
    pasted_somewhere = False
    for seed in range(8):
        result = paste_tracks(clip, donor, np.random.default_rng(seed))
        for t, frame in enumerate(result["instances"]):
            image = result["image"][t]
            for mask in frame.gt_masks.tensor:
                values = image[0][mask].unique().tolist()
                pasted_somewhere |= any(value >= 200 for value in values)
                assert len(values) <= 1, "a mask covers pixels of two objects"
            # Every coloured pixel belongs to exactly one mask.
            covered = frame.gt_masks.tensor.sum(0)
            assert torch.equal(covered, (image[0] > 0).long())
    assert pasted_somewhere
    assert all(
        torch.equal(a, f.gt_masks.tensor) for a, f in zip(before, clip["instances"], strict=True)
    )


def test_pasted_instances_have_ids_of_their_own():
    clip, donor = make_clip(frames=2), make_clip(frames=2, labels=(5,), seed=3)
    result = paste_tracks(clip, donor, np.random.default_rng(1))
    ids = torch.stack([frame.gt_ids for frame in result["instances"]]).amax(0).tolist()
    assert len(set(ids)) == len(ids) == len(result["instances"][0])
    assert 5 in result["instances"][0].gt_classes.tolist()


def test_a_donor_without_instances_changes_nothing():
    clip = make_clip(frames=2)
    assert paste_tracks(clip, make_clip(frames=2, labels=()), np.random.default_rng(0)) is clip
