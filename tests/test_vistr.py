"""With VisTR's values of the config keys the network is VisTR's, number for number.

The expected outputs, assignments, losses and gradients are those of the official code, with weights
that ``vistr_weights`` makes from their names. Tolerances are five times the official code's own
distance between float32 and float64.
"""

from pathlib import Path

from simplevtr import setup_cfg
from simplevtr.conversion import Target, convert
from simplevtr.conversion.names import VISTR, translator
from simplevtr.structures import ClipBatch, ClipTargets

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from vistr_weights import DATA, clip, official_weights

CONFIG = str(Path(__file__).resolve().parent.parent / "configs/youtubevis_2019/vistr_R50.yaml")
FRAMES, SLOTS = 4, 10
TOLERANCE = {
    torch.float32: {"logits": 3e-3, "boxes": 4e-4, "masks": 3e-2},
    torch.float64: {"logits": 1e-4, "boxes": 1e-4, "masks": 1e-4},
}


@pytest.fixture(scope="module")
def vistr():
    """The model of the config, for clips of 4 frames, with the official weights; float32."""
    cfg = setup_cfg(
        CONFIG, ["MODEL.DEVICE", "cpu", "MODEL.SIMPLEVTR.QUERY_FRAMES", FRAMES, "MODEL.WEIGHTS", ""]
    )
    model = build_model(cfg).eval()
    target = Target(weights=model.state_dict(), slots=SLOTS, query_frames=FRAMES, class_offset=1)
    weights, report = convert(official_weights(), target)
    assert not report.left_out
    assert not report.initial
    model.load_state_dict(weights, strict=False)
    return model


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def model(request, vistr):
    """The model in one of two precisions, to which it is only converted where they change."""
    return vistr.to(request.param).eval()


def run(model, *, padded=False):
    frames, mask = clip(padded=padded)
    return model.predict_clip(frames.to(next(model.parameters()).dtype), mask)


def no_dropout(model):
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if isinstance(module, torch.nn.MultiheadAttention):
            module.dropout = 0.0


@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_outputs(model, padded, training):
    no_dropout(model)
    model.train(training)
    with torch.no_grad():
        found = run(model, padded=padded)
    dtype = found.logits.dtype
    expected = np.load(DATA / ("vistr_clip_padded.npz" if padded else "vistr_clip.npz"))
    ending = "_f64" if dtype == torch.float64 else ""
    for name, limit in TOLERANCE[dtype].items():
        # The official code lists slots frame after frame.
        ours = getattr(found, name).flatten(1, 2)
        distance = (ours - torch.from_numpy(expected[f"pred_{name}{ending}"])).abs().max()
        assert distance < limit, name
    for layer, (logits, boxes) in enumerate(found.auxiliary):
        for ours, name in ((logits, "logits"), (boxes, "boxes")):
            wanted = torch.from_numpy(expected[f"aux_pred_{name}"][layer])
            # Known in float32 only.
            assert (ours.flatten(1, 2) - wanted).abs().max() < TOLERANCE[torch.float32][name]


@pytest.fixture(params=["", "allvalid/"], ids=["absent frames", "all visible"])
def golden(request):
    content = np.load(DATA / "vistr_losses.npz")
    return {
        name.removeprefix("allvalid/"): content[name]
        for name in content.files
        if name.startswith("allvalid/") == bool(request.param) or name == "grad_norm_names"
    }


def targets_of(golden):
    """The golden's three tracks; the official code lists them track after track."""
    visible = torch.from_numpy(golden["target_valid"]).bool().view(3, FRAMES)
    masks = np.unpackbits(golden["target_masks"]).reshape(3, FRAMES, 96, 128)
    return ClipTargets(
        labels=torch.from_numpy(golden["target_labels"]).view(3, FRAMES).max(1).values,
        boxes=torch.from_numpy(golden["target_boxes"]).view(3, FRAMES, 4),
        masks=torch.from_numpy(masks).bool(),
        visible=visible,
    )


def losses_of(model, targets):
    """The loss dict and the matches of the golden's clip."""
    frames, _ = clip(padded=False)
    batch = ClipBatch(frames.to(next(model.parameters()).dtype))
    state = model.network.encode(batch)
    result = model.criterion(model.network, state, [targets], batch)
    return result, model.criterion.match(state.predictions, [targets])


def test_losses_and_assignments(model, golden):
    with torch.no_grad():
        losses, matches = losses_of(model, targets_of(golden))
    double = next(model.parameters()).dtype == torch.float64
    for layer, ((slots, instances),) in enumerate(matches):
        # Ours: the last layer, then the first five; the official code: in order.
        official = golden["indices_src"][layer - 1], golden["indices_tgt"][layer - 1]
        pairs = {(s % SLOTS, t // FRAMES) for s, t in zip(*official, strict=True)}
        assert set(zip(slots.tolist(), instances.tolist(), strict=True)) == pairs
    weights = {"loss_bbox": 5, "loss_giou": 2}
    prefix = "loss_f64/" if double else "loss/"
    for name, value in losses.items():
        weight = weights.get(name.rstrip("_01234"), 1)
        wanted = weight * float(golden[prefix + name])
        assert value.item() == pytest.approx(wanted, rel=1e-6 if double else 1e-3), name
    total = float(golden["total_weighted_f64" if double else "total_weighted"])
    assert sum(losses.values()).item() == pytest.approx(total, rel=1e-7 if double else 1e-4)


def test_gradients(vistr, golden):
    model = vistr.double().eval()
    losses, _ = losses_of(model, targets_of(golden))
    sum(losses.values()).backward()
    to_theirs = translator((ours, theirs) for theirs, ours in VISTR)
    found = {
        to_theirs(name): parameter.grad
        for name, parameter in model.named_parameters()
        if parameter.requires_grad
    }
    model.zero_grad()
    names = str(golden["grad_norm_names"]).split("\n")
    for name, norm in zip(names, golden["grad_norm_f64"], strict=True):
        assert found[name].norm().item() == pytest.approx(norm, rel=1e-6, abs=1e-12), name
    for name, wanted in golden.items():
        if name.startswith("grad_f64/"):
            ours = found[name.removeprefix("grad_f64/")].numpy()
            np.testing.assert_allclose(ours, wanted, rtol=0, atol=1e-6 * np.abs(wanted).max())
