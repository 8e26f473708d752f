"""A published VisTR's 503 tensors at full size: into our VisTR, and into SimpleVTR."""

from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.conversion import convert, target_of_config, to_vistr
from simplevtr.run_config import setup_cfg
from simplevtr.weights_file import write_weights

import pytest
import torch
from conftest import ROOT
from detectron2.modeling import build_model
from foreign_weights import equal
from vistr_weights import filled, official_weights

FOLDER = ROOT / "configs/youtubevis_2019"


@pytest.fixture(scope="module")
def official():
    return official_weights()


@pytest.fixture(scope="module")
def vistr_cfg():
    opts = ["MODEL.DEVICE", "cpu", "MODEL.SIMPLEVTR.QUERY_FRAMES", "4"]
    return setup_cfg(str(FOLDER / "vistr_R50.yaml"), opts)


@pytest.fixture(scope="module")
def simplevtr_cfg():
    return setup_cfg(str(FOLDER / "simplevtr_R50.yaml"), ["MODEL.DEVICE", "cpu"])


def test_everything_is_taken_and_comes_back_bit_by_bit(official, vistr_cfg, tmp_path):
    ours, report = convert(official, target_of_config(vistr_cfg))
    assert (len(report.taken), report.layout) == (503, "vistr")
    assert not report.reinterpreted + report.left_out + report.initial
    back, _ = to_vistr(ours)
    assert equal(back, official)

    path, model = tmp_path / "weights.pth", build_model(vistr_cfg)
    write_weights(ours, path, overwrite=False)
    ClipCheckpointer(model, complete=True).load(str(path))
    path.unlink()  # 200 MB
    loaded = model.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in ours.items())
    assert loaded.keys() == ours.keys()
    name = "transformer.decoder.{}5.{}.in_proj_weight"
    assert torch.equal(
        loaded["network." + name.format("", "cross_attention.attention")],
        official["vistr." + name.format("layers.", "multihead_attn")],
    )


def test_simplevtr_starts_from_vistr(official, simplevtr_cfg):
    ours, report = convert(official, target_of_config(simplevtr_cfg))
    assert {e.name.rsplit(".", 1)[0] for e in report.initial} == {
        "network.mask_head.deform.1",
        "network.mask_head.deform.1.offset",
    }
    left = {e.name.split(".layers")[0].split(".")[0] for e in report.left_out}
    assert left == {"insmask_head", "vistr"}
    queries = official["vistr.query_embed.weight"].view(4, 10, 384).mean(0)
    torch.testing.assert_close(ours["network.query_embedding.weight"], queries)
    assert torch.equal(
        ours["network.mask_head.deform.0.conv.weight"], 2 * official["mask_head.dcn.weight"]
    )
    assert torch.equal(ours["network.class_head.bias"], official["vistr.class_embed.bias"][1:])


def test_detr_of_256_channels_gives_its_backbone(official, simplevtr_cfg):
    shapes = {"query_embed.weight": (100, 256), "class_embed.weight": (92, 256),
              "class_embed.bias": (92,), "input_proj.weight": (256, 2048, 1, 1),
              "transformer.decoder.norm.bias": (256,)}  # fmt: skip
    detr = {name: filled(name, shape) for name, shape in shapes.items()}
    detr |= {
        name.removeprefix("vistr."): value for name, value in official.items() if "backbone" in name
    }
    ours, report = convert(detr, target_of_config(simplevtr_cfg))
    assert report.layout == "detr"
    assert len(report.taken) == len(ours) == 265
    assert all(name.startswith("network.backbone.") for name in ours)
    left = {e.name: (e.shape, e.wanted) for e in report.left_out}
    assert left["query_embed.weight"] == ((100, 256), (10, 384))
    assert left["transformer.decoder.norm.bias"] == ((256,), (384,))


def test_vistrs_own_initialisation(official, vistr_cfg):
    """A DETR of VisTR's widths on COCO: everything but classes, queries and the mask head's end."""
    gone = ("insmask_head.", "mask_head.dcn", "mask_head.conv_offset", "vistr.query", "vistr.class")
    detr = {k: v for k, v in official.items() if not k.startswith(gone)}
    shapes = {"vistr.class_embed.weight": (92, 384), "vistr.class_embed.bias": (92,),
              "vistr.query_embed.weight": (100, 384), "mask_head.lay5.weight": (24, 48, 3, 3),
              "mask_head.lay5.bias": (24,), "mask_head.out_lay.weight": (1, 24, 3, 3),
              "mask_head.out_lay.bias": (1,)}  # fmt: skip
    detr |= {name: filled(name, shape) for name, shape in shapes.items()}
    ours, report = convert(detr, target_of_config(vistr_cfg))
    assert report.layout == "detr"
    assert torch.equal(
        ours["network.mask_head.deform.0.conv.weight"], detr["mask_head.lay5.weight"]
    )
    assert ours["network.class_head.bias"][-1] == detr["vistr.class_embed.bias"][-1]
    queries = ours["network.query_embedding.weight"].view(4, 10, 384)
    assert all(torch.equal(frame, detr["vistr.query_embed.weight"][:10]) for frame in queries)
    assert {e.name for e in report.left_out} == {
        "mask_head.lay5.bias",
        "mask_head.out_lay.weight",
        "mask_head.out_lay.bias",
    }
    offsets = {f"network.mask_head.deform.0.conv.offset.{k}" for k in ("weight", "bias")}
    temporal = {e.name for e in report.initial if ".temporal." in e.name}
    assert {e.name for e in report.initial} == offsets | temporal
