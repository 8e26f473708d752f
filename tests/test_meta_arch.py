"""The model as a whole: its contract, batches, padding, any number of frames."""

import copy

from simplevtr.data.frame_sampling import sample_frames
from simplevtr.structures import ClipBatch

import numpy as np
import pytest
import torch
from conftest import build, make_clip


def frames_of(clips):
    return torch.stack([torch.stack(clip["image"]).float() / 64 - 2 for clip in clips])


def without_gradient(model):
    return [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]


def test_training_gives_every_loss_and_gradients(head_cfg):
    model = build(head_cfg).train()
    losses = model([make_clip(), make_clip(seed=1, labels=(5,))])
    if head_cfg.MODEL.SIMPLEVTR.HEAD == "paper":
        once, layers, kinds = {"mask", "dice", "dense"}, 1, ("ce", "bbox", "giou")
    else:
        once, layers, kinds = set(), 4, ("ce", "mask", "dice")
    suffixes = ("", *(f"_{layer}" for layer in range(layers)))
    names = once | {f"{kind}{suffix}" for kind in kinds for suffix in suffixes}
    assert set(losses) == {f"loss_{name}" for name in names}
    sum(losses.values()).backward()
    assert without_gradient(model) == []


def test_a_clip_without_instances_trains(head_cfg):
    model = build(head_cfg).train()
    losses = model([make_clip(labels=())])
    assert losses["loss_mask"].item() == losses["loss_dice"].item() == 0
    assert losses.get("loss_bbox", 0) == 0
    sum(losses.values()).backward()
    # Under DistributedDataParallel a parameter without a gradient would block the other workers.
    assert without_gradient(model) == []


def test_inference_contract(head_cfg):
    clip = make_clip(frames=4) | {"height": 70, "width": 101}
    model = build(head_cfg)
    result = model([clip])
    assert result["image_size"] == (70, 101)
    scores, labels, masks = (result[f"pred_{name}"] for name in ("scores", "labels", "masks"))
    assert 0 < len(scores) == len(labels) == len(masks) <= 4
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    assert all(0 <= label < 6 for label in labels)
    assert all(mask.shape == (4, 70, 101) and mask[0].dtype == torch.bool for mask in masks)
    with pytest.raises(ValueError, match="one video at a time, got 2"):
        model([clip, clip])


@pytest.mark.parametrize(
    "frames",
    [torch.zeros(3, 32, 48), [np.zeros((32, 48, 3), np.uint8)], [torch.zeros(3, 32, 48)],
     [torch.zeros(32, 48, 3, dtype=torch.uint8)], [torch.zeros(3, 48, dtype=torch.uint8)]],
)  # fmt: skip
def test_what_are_no_frames_of_a_clip_is_named(tiny_model, frames):
    """A picture, as detectron2's DefaultPredictor gives it, comes apart into planes."""
    with pytest.raises(ValueError, match=r"list of uint8 \(3, H, W\) tensors, not of "):
        tiny_model([{"image": frames, "height": 32, "width": 48}])


def test_a_video_in_training_mode_has_no_tracks(tiny_model):
    video = {"image": make_clip()["image"], "height": 64, "width": 96}
    with pytest.raises(ValueError, match=r"in training mode: call its eval\(\)"):
        copy.deepcopy(tiny_model).train()([video])


def test_the_same_in_training_and_evaluation_mode(tiny_cfg):
    # Frozen norms and no dropout: nothing may depend on the mode.
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    model = build(tiny_cfg)
    frames = frames_of([make_clip()])
    one, two = model.eval().predict_clip(frames), model.train().predict_clip(frames)
    torch.testing.assert_close(one.masks, two.masks)
    torch.testing.assert_close(one.logits, two.logits)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_any_number_of_frames(head_cfg, frames):
    predictions = build(head_cfg).predict_clip(frames_of([make_clip(frames=frames)]))
    assert predictions.logits.shape == (1, frames, 4, 7)
    if head_cfg.MODEL.SIMPLEVTR.HEAD == "paper":
        assert predictions.boxes.shape == (1, frames, 4, 4)
        assert predictions.masks.shape == (1, frames, 4, 16, 24)
    else:
        assert predictions.boxes is None
        assert predictions.masks.shape == (1, frames, 4, 32, 48)
    # Eq. 2: a decoupled slot predicts the same class in every frame; its masks differ.
    assert torch.equal(predictions.logits[0, 0], predictions.logits[0, -1])
    if frames > 1:
        assert not torch.allclose(predictions.masks[0, 0], predictions.masks[0, -1])


def test_a_batch_of_one_size_gives_what_each_clip_gives_alone(tiny_model):
    clips = [make_clip(seed=seed) for seed in range(3)]
    together = tiny_model.predict_clip(frames_of(clips))
    for b, clip in enumerate(clips):
        alone = tiny_model.predict_clip(frames_of([clip]))
        for field in ("logits", "boxes", "masks"):
            one, many = getattr(alone, field)[0], getattr(together, field)[b]
            torch.testing.assert_close(one, many, rtol=1e-4, atol=1e-4)


def test_batch_losses_of_one_size_are_those_of_the_clips(tiny_cfg):
    tiny_cfg.MODEL.RESNETS.NORM = "FrozenBN"
    model = build(tiny_cfg).train()
    clips = [make_clip(seed=seed) for seed in range(2)]
    together = model(copy.deepcopy(clips))
    alone = [model([copy.deepcopy(clip)]) for clip in clips]
    # Both clips have the same number of boxes, so the batch's normalised loss is their mean.
    for name in ("loss_bbox", "loss_giou", "loss_mask", "loss_dice"):
        mean = (alone[0][name] + alone[1][name]) / 2
        torch.testing.assert_close(together[name], mean, rtol=1e-4, atol=1e-5)


def test_padded_frames_change_nothing(tiny_model):
    """A clip padded in time gives what it gives alone: attention and positions skip padding."""
    clip = make_clip(frames=2)
    alone = tiny_model.predict_clip(frames_of([clip]))
    frames = torch.zeros(1, 5, 3, 32, 48)
    frames[:, :2] = frames_of([clip])
    padding = torch.zeros(1, 5, 32, 48, dtype=torch.bool)
    padding[:, 2:] = True
    padded = tiny_model.predict_clip(frames, padding)
    torch.testing.assert_close(padded.logits[:, :2], alone.logits, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(padded.masks[:, :2], alone.masks, rtol=1e-4, atol=1e-4)
    assert torch.isfinite(padded.masks).all()


def test_what_lies_on_padding_is_never_read(tiny_model):
    """The transformer ignores the content of padded cells (the mask head's edges see it)."""
    frames = torch.randn(1, 2, 3, 64, 96)
    padding = torch.zeros(1, 2, 64, 96, dtype=torch.bool)
    padding[..., 48:] = True
    state = tiny_model.network.encode(ClipBatch(frames, padding))
    attention = tiny_model.network.slot_attention(state.slots, state.memory, state.cell_padding)
    inside = ~state.cell_padding[:, :, None, None].expand_as(attention)
    assert (attention[~inside] == 0).all()
    sums = attention.sum((-3, -2, -1))
    torch.testing.assert_close(sums, torch.ones_like(sums))
    # Garbage in the features of padded cells must not reach the slots.
    original = tiny_model.network.input_projection

    class Garbage(torch.nn.Module):
        def forward(self, x):
            y = original(x).clone()
            y[..., state.cell_padding[0, 0]] = 50.0
            return y

    tiny_model.network.input_projection = Garbage()
    again = tiny_model.network.encode(ClipBatch(frames, padding))
    torch.testing.assert_close(
        again.predictions.logits, state.predictions.logits, rtol=1e-4, atol=1e-4
    )


def test_training_on_clips_of_different_sizes_and_lengths(head_cfg):
    model = build(head_cfg).train()
    clips = [make_clip(frames=2, size=(32, 48)), make_clip(frames=3, size=(40, 36), seed=1)]
    losses = model(clips)
    assert all(torch.isfinite(value) for value in losses.values())
    sum(losses.values()).backward()


def test_queries_with_a_frame_axis(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.QUERY_FRAMES = 3
    model = build(tiny_cfg)
    predictions = model.predict_clip(frames_of([make_clip(frames=3)]))
    assert predictions.logits.shape == (1, 3, 4, 7)
    assert not torch.equal(predictions.logits[0, 0], predictions.logits[0, 1])
    with pytest.raises(ValueError, match="the clip has 2 frames.*QUERY_FRAMES is 3"):
        model.predict_clip(frames_of([make_clip(frames=2)]))
    # Inference cuts and fills a video of another length.
    result = model([make_clip(frames=5)])
    assert result["pred_masks"][0].shape == (5, 32, 48)
    # A short one is filled as the clips of a training are.
    images, seen = make_clip(frames=2)["image"], []
    predict = model.window_predictor
    predict(model.network, lambda clips: seen.append(clips) or model.batcher(clips), images)
    assert [id(image) for image in seen[0][0]["image"]] == [
        id(images[t]) for t in sample_frames(2, 3, None, anchor=0)
    ]


def test_leading_classes_that_no_category_uses(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.CLASS_OFFSET = 1
    model = build(tiny_cfg)
    assert model.predict_clip(frames_of([make_clip()])).logits.shape[-1] == 1 + 6 + 1
    with torch.no_grad():  # sure of class index 0, which is no category, and next of 3
        model.network.class_head.bias.copy_(torch.tensor([50.0, 0, 0, 40, 0, 0, 0, 0]))
    result = model([make_clip()])
    assert result["pred_labels"] == [2] * 4
    model.train()
    right, wrong = (model([make_clip(labels=(label, label))])["loss_ce"].item() for label in (2, 3))
    assert right < wrong


def test_a_window_as_long_as_the_video_gives_the_whole_clips_result(tiny_cfg):
    clip = make_clip(frames=6)
    results = []
    for window in (0, 6, 100):
        tiny_cfg.TEST.WINDOW = window
        results.append(build(tiny_cfg)([clip]))
    for other in results[1:]:
        assert other["pred_scores"] == results[0]["pred_scores"]
        for a, b in zip(other["pred_masks"], results[0]["pred_masks"], strict=True):
            assert a.rles == b.rles


def test_a_long_video_is_joined_from_overlapping_windows(tiny_cfg):
    tiny_cfg.TEST.WINDOW, tiny_cfg.TEST.STRIDE = 4, 2
    tiny_cfg.TEST.LINK.BIRTH_SCORE = 0.0
    model = build(tiny_cfg)
    clip = make_clip(frames=9)
    result = model([clip])
    assert all(masks.shape == (9, 32, 48) for masks in result["pred_masks"])
    assert len(list(model.stream(iter(clip["image"]), (32, 48)))) == 9


def test_numbers_of_inference_are_checked_when_the_model_is_built(tiny_cfg):
    tiny_cfg.merge_from_list(["TEST.WINDOW", 4, "TEST.STRIDE", 5])
    with pytest.raises(ValueError, match="TEST.STRIDE is 5; it must be from 1 to the window's 4"):
        build(tiny_cfg)


@pytest.mark.parametrize("layer", ["network.class_head.bias", "network.mask_head.layer1.conv.bias"])
def test_what_is_not_a_number_is_an_error_and_not_an_empty_result(tiny_model, layer):
    torch.nn.init.constant_(tiny_model.get_parameter(layer), float("nan"))
    with pytest.raises(ValueError, match="the model predicts NaN: its weights"):
        tiny_model([make_clip()])


def test_score_threshold_only_drops_tracks(tiny_cfg):
    clip = make_clip(frames=3)
    everything = build(tiny_cfg)([clip])
    tiny_cfg.TEST.SCORE_THRESHOLD = (
        everything["pred_scores"][1] + everything["pred_scores"][2]
    ) / 2
    tiny_cfg.TEST.MASK_SCORING = False
    plain = build(tiny_cfg)([clip])
    assert all(s >= tiny_cfg.TEST.SCORE_THRESHOLD for s in plain["pred_scores"])
    assert 0 < len(plain["pred_scores"]) <= 4


@pytest.mark.parametrize("window", [0, 4])
def test_a_track_without_any_mask_is_not_in_the_result(tiny_cfg, window):
    tiny_cfg.TEST.WINDOW = window
    model = build(tiny_cfg)
    original = model.network.masks

    def masks(state, clip, slot):
        logits = original(state, clip, slot).abs()
        logits[slot > 1] *= -1
        return logits

    model.network.masks = masks
    result = model([make_clip(frames=4)])
    assert len(result["pred_scores"]) == len(result["pred_labels"]) == 2
    assert all(any(track.rles) for track in result["pred_masks"])


def test_slots_below_their_threshold_have_no_masks(tiny_cfg):
    everything = build(tiny_cfg)([make_clip()])
    tiny_cfg.TEST.SLOT_THRESHOLD = 1.0
    model = build(tiny_cfg)
    model.network.masks = None  # not asked for
    assert model([make_clip()])["pred_ids"] == []
    tiny_cfg.TEST.SLOT_THRESHOLD = 1e-6
    assert build(tiny_cfg)([make_clip()])["pred_scores"] == everything["pred_scores"]


def test_duplicate_tracks_can_be_dropped(tiny_cfg):
    everything = build(tiny_cfg)([make_clip()])
    tiny_cfg.TEST.DUPLICATE_IOU = 1e-9
    apart = build(tiny_cfg)([make_clip()])
    assert 0 < len(apart["pred_masks"]) <= len(everything["pred_masks"])
    for i, masks in enumerate(apart["pred_masks"]):
        assert not any((masks.dense() & m.dense()).any() for m in apart["pred_masks"][:i])


def test_norms_that_gather_statistics_are_not_recomputed(tiny_cfg):
    tiny_cfg.MODEL.SIMPLEVTR.RECOMPUTE = ["backbone"]
    with pytest.raises(ValueError, match="would give other statistics to the batch norms"):
        build(tiny_cfg)


def test_masks_of_chosen_slots_are_those_of_all(head_cfg):
    model = build(head_cfg)
    frames = frames_of([make_clip(seed=0), make_clip(seed=1)])
    everything = model.predict_clip(frames).masks
    clip, slot = torch.tensor([1, 0, 1]), torch.tensor([2, 3, 0])
    chosen = model.network.masks(model.network.encode(ClipBatch(frames)), clip, slot)
    for row, (b, q) in enumerate(zip(clip, slot, strict=True)):
        torch.testing.assert_close(chosen[row], everything[b, :, q], rtol=1e-4, atol=1e-4)


@pytest.mark.gpu
def test_gpu_equals_cpu(tiny_cfg):
    model = build(tiny_cfg)
    frames = frames_of([make_clip()])
    on_cpu = model.predict_clip(frames)
    on_gpu = model.cuda().predict_clip(frames.cuda())
    torch.testing.assert_close(on_gpu.logits.cpu(), on_cpu.logits, rtol=1e-2, atol=1e-2)
    torch.testing.assert_close(on_gpu.masks.cpu(), on_cpu.masks, rtol=5e-2, atol=5e-2)
