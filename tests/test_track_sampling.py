"""A sample of the tracks stands for all of them."""

from itertools import combinations

from simplevtr.modeling.criterion import LossSettings, PaperCriterion, sample_tracks
from simplevtr.modeling.matcher import PaperMatcher
from simplevtr.structures import ClipBatch, ClipTargets

import pytest
import torch
from conftest import build, make_clip

MATCHES = [
    (torch.tensor([7, 2, 5, 0]), torch.tensor([0, 1, 2, 3])),
    (torch.tensor([3]), torch.tensor([0])),
]


def test_the_limit_holds_in_every_clip_and_pairs_stay_together():
    tracks = sample_tracks(MATCHES, 2)
    assert [len(slots) for slots, _ in tracks] == [2, 1]
    pairs = {(7, 0), (2, 1), (5, 2), (0, 3)}
    assert {(s.item(), i.item()) for s, i in zip(*tracks[0], strict=True)} < pairs
    assert torch.equal(tracks[0][1], tracks[0][1].sort().values)


@pytest.mark.parametrize("limit", [0, 4, 9])
def test_without_need_nothing_is_drawn(limit):
    state = torch.get_rng_state()
    tracks = sample_tracks(MATCHES, limit)
    assert torch.equal(torch.get_rng_state(), state)
    for found, wanted in zip(tracks, MATCHES, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


def test_every_subset_is_drawn_about_equally_often():
    torch.manual_seed(0)
    drawn = [tuple(sample_tracks(MATCHES, 2)[0][1].tolist()) for _ in range(3000)]
    counts = [drawn.count(subset) for subset in combinations(range(4), 2)]
    assert sum(counts) == 3000
    assert all(400 < count < 600 for count in counts)  # 500 expected, standard deviation 20


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_the_mean_over_all_subsets_is_the_full_loss(monkeypatch, limit):
    generator = torch.Generator().manual_seed(1)
    targets = [
        ClipTargets(
            labels=torch.zeros(count, dtype=torch.int64),
            boxes=torch.rand(count, 3, 4, generator=generator),
            masks=torch.rand(count, 3, 6, 8, generator=generator) > 0.5,
            visible=torch.rand(count, 3, generator=generator) > 0.3,
        )
        for count in (4, 1)
    ]
    batch = ClipBatch(torch.zeros(2, 3, 3, 6, 8))
    logits = torch.randn(2, 10, 3, 4, 4, generator=generator, dtype=torch.float64)

    def losses(tracks):
        """Of the masks that a head would predict for the chosen slots."""
        chosen = torch.cat([logits[b, slots] for b, (slots, _) in enumerate(tracks)])
        return criterion.mask_losses(chosen, targets, tracks, batch)

    matcher = PaperMatcher(cost_class=1.0, cost_l1=5.0, cost_iou=2.0)
    criterion = PaperCriterion(matcher=matcher, settings=LossSettings())
    results = []
    for subset in combinations(range(4), limit):
        order = torch.tensor(subset)
        monkeypatch.setattr(torch, "randperm", lambda *_, order=order, **__: order)
        results.append(losses(sample_tracks(MATCHES, limit)))
    full = losses(sample_tracks(MATCHES, 0))
    assert (torch.stack(results).std(0) > 0).all()
    torch.testing.assert_close(torch.stack(results).mean(0), full, rtol=1e-12, atol=0)


def test_the_mask_head_sees_the_chosen_tracks_only(monkeypatch, tiny_cfg):
    clips = [make_clip(labels=(1, 2, 3)), make_clip(seed=1, labels=(5,))]
    tiny_cfg.MODEL.SIMPLEVTR.LOSS.MAX_MASK_TRACKS = 2
    model = build(tiny_cfg).train()
    seen, predict = [], model.network.masks

    def masks(state, clip, slot):
        seen.append(clip.tolist())
        return predict(state, clip, slot)

    monkeypatch.setattr(model.network, "masks", masks)
    losses = model(clips)
    assert seen == [[0, 0, 1]]
    assert all(torch.isfinite(value) for value in losses.values())
