from simplevtr.modeling import postprocess
from simplevtr.modeling.postprocess import (
    binary_masks,
    mask_confidence,
    score_tracks,
    without_duplicates,
)

import torch
import torch.nn.functional as F


def test_score_is_the_mean_of_the_best_and_the_class_the_most_frequent():
    # Slot 0: class 1 twice and class 0 once. Slot 1: class 2 with little confidence.
    probability = torch.tensor(
        [
            [[0.1, 0.8, 0.0], [0.0, 0.0, 0.2]],
            [[0.1, 0.6, 0.0], [0.0, 0.0, 0.1]],
            [[0.9, 0.0, 0.0], [0.0, 0.0, 0.3]],
        ]
    )
    slots, labels, scores = score_tracks(probability)
    assert slots.tolist() == [0, 1]
    assert labels.tolist() == [1, 2]
    torch.testing.assert_close(scores, torch.tensor([(0.8 + 0.6 + 0.9) / 3, 0.2]))


def test_best_pairs_may_name_a_slot_twice():
    probability = torch.tensor([[[0.5, 0.4], [0.1, 0.3]]])
    slots, labels, scores = score_tracks(probability, tracks=3)
    assert list(zip(slots.tolist(), labels.tolist(), strict=True)) == [(0, 0), (0, 1), (1, 1)]
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert len(score_tracks(probability, tracks=100)[0]) == 4


def test_masks_are_the_same_however_many_frames_are_resized_at_once(monkeypatch):
    logits = torch.randn(7, 5, 6)
    expected = F.interpolate(logits[:, None], size=(21, 30), mode="bilinear")[:, 0] > 0
    for chunk in (1, 3 * 4 * 21 * 30, 10**9):
        monkeypatch.setattr(postprocess, "CHUNK_BYTES", chunk)
        assert torch.equal(binary_masks(logits, (21, 30)), expected)


def test_mask_confidence_counts_the_inside_only():
    logits = torch.tensor([[[[0.0, 100.0, -100.0, 100.0]]], [[[-1.0, -1.0, -1.0, -1.0]]]])
    inside, cells = mask_confidence(logits)
    assert inside.tolist() == [2.0, 0.0]
    assert cells.tolist() == [2.0, 0.0]


def test_duplicates_of_a_better_track_are_dropped():
    def track(*cells):
        mask = torch.zeros(2, 1, 4, dtype=torch.bool)
        mask.view(-1)[list(cells)] = True
        return mask

    # IoU with the first: 3 / 4, 1 / 5, nothing; an empty track; a duplicate of the third.
    tracks = [track(0, 1, 2, 4), track(0, 1, 2), track(4, 5), track(6), track(), track(6)]
    assert without_duplicates(tracks, 0.75) == [0, 2, 3, 4]
    assert without_duplicates(tracks, 0.76) == [0, 1, 2, 3, 4]
    assert without_duplicates(tracks, 0.2) == [0, 3, 4]
    assert without_duplicates([], 0.5) == []
