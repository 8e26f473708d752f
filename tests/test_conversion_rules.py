"""Layers, queries and classes of another number; what is left out and what stays initial."""

import re

from simplevtr.conversion import Target, convert
from simplevtr.conversion.transformer import pick_layers, refit_frames

import pytest
import torch

QUERIES = "network.query_embedding.weight"
TRAINED = {"MODEL.SIMPLEVTR.NUM_QUERIES": 4, "MODEL.SIMPLEVTR.CLASS_OFFSET": 1}


def target(weights, slots=2, frames=0, offset=0, classes=()):
    return Target(weights, slots, query_frames=frames, class_offset=offset, classes=classes)


def rows(*values, width=2):
    return torch.tensor(values, dtype=torch.float32)[:, None].expand(-1, width)


@pytest.mark.parametrize(
    ("have", "want", "picked"),
    [(6, 4, [0, 2, 3, 5]), (6, 6, [0, 1, 2, 3, 4, 5]), (6, 1, [5]), (2, 4, [0, 0, 1, 1]),
     (1, 3, [0, 0, 0]), (6, 2, [0, 5]), (3, 0, [])],
)  # fmt: skip
def test_layers_are_spread_evenly(have, want, picked):
    assert pick_layers(have, want) == picked


def test_layers_are_renumbered():
    name = "network.transformer.{}.{}.feed_forward.norm.bias"
    source = {
        name.format(stack, i): torch.full((2,), float(i))
        for stack, layers in (("encoder", 6), ("decoder", 2))
        for i in range(layers)
    }
    wanted = {
        name.format(stack, i): torch.zeros(2)
        for stack, layers in (("encoder", 4), ("decoder", 3))
        for i in range(layers)
    }
    result, report = convert(source, target(wanted))
    assert [int(result[name.format("encoder", i)][0]) for i in range(4)] == [0, 2, 3, 5]
    assert [int(result[name.format("decoder", i)][0]) for i in range(3)] == [0, 0, 1]
    assert {e.name for e in report.left_out} == {name.format("encoder", i) for i in (1, 4)}
    assert all("encoder layers 6 -> 4" in e.note for e in report.left_out)
    assert not report.taken
    # Tensors that were repeated must not share memory: training would change both.
    assert len({t.data_ptr() for t in result.values()}) == len(result)


def test_frames_of_queries():
    queries = torch.tensor([[0.0, 10.0], [2.0, 20.0], [4.0, 60.0]])[..., None]  # T 3, Q 2, C 1
    assert refit_frames(queries, 1).flatten().tolist() == [2, 30]
    assert refit_frames(queries[:1], 2).flatten().tolist() == [0, 10, 0, 10]
    grown = refit_frames(queries, 5)[..., 0]
    assert grown[:, 0].tolist() == [0, 1, 2, 3, 4]
    assert grown[:, 1].tolist() == [10, 15, 20, 40, 60]
    assert refit_frames(queries, 2)[..., 0].tolist() == [[0, 10], [4, 60]]
    assert refit_frames(queries, 3) is queries


@pytest.mark.parametrize(
    ("name", "count", "wanted", "options", "expected", "note"),
    [
        # VisTR has ten slots a frame: the mean of rows q and 10 + q.
        ("vistr.query_embed.weight", 20, {"slots": 3}, {}, [5, 6, 7],
         "frames 2 -> 1, their mean over the frames; slots 10 -> 3"),
        ("vistr.query_embed.weight", 20, {"slots": 5}, {"source_slots": 5},
         [7.5, 8.5, 9.5, 10.5, 11.5], ""),
        # DETR's have no frames.
        ("query_embed.weight", 20, {"slots": 3, "frames": 2}, {}, [0, 1, 2, 0, 1, 2], ""),
        # Ours can be read in two ways.
        (QUERIES, 4, {"slots": 2}, {"source_slots": 4}, [0, 1], ""),
        (QUERIES, 4, {"slots": 2}, {"source_slots": 2}, [1, 2], ""),
        (QUERIES, 4, {"slots": 6}, {"source_slots": 4}, [0, 1, 2, 3, -1, -1],
         "the first 4, the others initial"),
        (QUERIES, 3, {"slots": 2}, {}, [0, 1], "the others left out"),  # no frames of two slots
        (QUERIES, 4, {"slots": 2, "frames": 2}, {}, [0, 1, 2, 3], ""),
        (QUERIES, 4, {"slots": 2, "frames": 2}, {"trained": TRAINED}, [0, 1, 0, 1], ""),
    ],
)  # fmt: skip
def test_queries(name, count, wanted, options, expected, note):
    initial = {QUERIES: torch.full((len(expected), 2), -1.0)}
    result, report = convert({name: rows(*range(count))}, target(initial, **wanted), **options)
    assert result[QUERIES][:, 0].tolist() == expected
    assert note in " ".join(entry.note for entry in report.reinterpreted)


def test_slots_of_queries_that_cannot_be():
    source = {QUERIES: rows(*range(4))}
    wanted = target({QUERIES: torch.zeros(2, 2)}, slots=2)
    with pytest.raises(ValueError, match=r"4 slots without frames or 2 slots of 2 frames; .*slots"):
        convert(source, wanted)
    with pytest.raises(ValueError, match="4 queries, not a multiple of 3 slots"):
        convert(source, wanted, source_slots=3)
    with pytest.raises(ValueError, match="--source-slots: the model has no network.query_emb"):
        convert(source, target({"network.class_head.bias": torch.zeros(3)}), source_slots=4)


def class_head(count, prefix="network.class_head", value=0.0):
    return {
        f"{prefix}.weight": torch.arange(count * 2.0).view(count, 2) + value,
        f"{prefix}.bias": torch.arange(float(count)) + value,
    }


def test_unused_classes_are_those_of_the_config_inside():
    result, report = convert(class_head(4), target(class_head(4, value=9)), trained=TRAINED)
    assert "only" in report.reinterpreted[0].note  # two classes after an unused one are not three
    assert result["network.class_head.bias"].tolist() == [9, 10, 11, 3]


def test_vistrs_unused_class_row_goes_and_comes():
    source = class_head(42, "vistr.class_embed")
    result, report = convert(source, target(class_head(41, value=-99)))
    assert torch.equal(result["network.class_head.bias"], torch.arange(1.0, 42.0))
    assert torch.equal(result["network.class_head.weight"], source["vistr.class_embed.weight"][1:])
    assert "rows 42 -> 41" in report.reinterpreted[0].note

    back, _ = convert(result, target(class_head(42), offset=1))
    assert torch.equal(back["network.class_head.weight"][1:], result["network.class_head.weight"])
    x = torch.randn(3, 2)
    before, after = (
        (x @ w["network.class_head.weight"].T + w["network.class_head.bias"]).softmax(-1)
        for w in (result, back)
    )
    torch.testing.assert_close(after[:, 1:], before)
    assert (after[:, 0] < 1e-30).all()  # the row that came is never chosen

    same, report = convert(source, target(class_head(42), offset=1))
    assert torch.equal(same["network.class_head.bias"], source["vistr.class_embed.bias"])
    assert len(report.taken) == 2


def test_classes_go_by_name_where_the_names_differ():
    source = class_head(42, "vistr.class_embed")  # row i says i; 1 is YTVIS-2019's person
    wanted = target(class_head(4, value=-99), classes=("airplane", "Giant panda", "person"))
    result, report = convert(source, wanted)
    # airplane, giant panda and person are numbers 28, 2 and 1 of 2019; 41 is "no object".
    assert result["network.class_head.bias"].tolist() == [28, 2, 1, 41]
    assert "3 of 3 and" in report.text()
    unknown = target(class_head(3, value=-99), classes=("whale", "dog"))
    result, report = convert(source, unknown)
    assert result["network.class_head.bias"].tolist() == [-99, 8, 41]
    assert "1 of 2 and" in report.text()
    # Ours carry no names; with them they go by name too.
    ours = class_head(3)
    result, _ = convert(ours, unknown)
    assert torch.equal(result["network.class_head.bias"], ours["network.class_head.bias"])
    result, _ = convert(ours, unknown, source_classes=["dog", "whale"])
    assert result["network.class_head.bias"].tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="has 3 rows, but 1 classes, 0 unused leading ones and"):
        convert(ours, unknown, source_classes=["dog"])


def test_names_of_coco_mean_what_they_mean_there():
    wanted = target(class_head(4, value=-99), classes=("mouse", "motorbike", "cat"))
    result, report = convert(class_head(92, "class_embed"), wanted, layout="detr")
    # COCO's motorcycle and cat are numbers 4 and 17; its mouse, 74, is not the animal.
    assert result["network.class_head.bias"].tolist() == [-99, 4, 17, 91]
    assert "2 of 3 and" in report.text()


@pytest.mark.parametrize(
    ("have", "options", "wanted", "expected"),
    [
        (3, {"source_classes": ["dog", "cat", "fox"]}, ("fox", "whale", "dog"), [2, -98, 0]),
        (3, {"source_classes": ["dog", "cat", "fox"]}, ("dog", "cat", "fox"), [0, 1, 2]),
        (4, {"source_class_offset": 1}, (), [1, 2, 3]),
        (3, {"source_class_offset": 1}, (), [-99, -98, -97]),
        (3, {}, (), [0, 1, 2]),
    ],
)
def test_rows_of_cells_are_of_the_same_classes(have, options, wanted, expected):
    dense = "network.dense_head"
    model = target(class_head(3, dense, value=-99), classes=wanted)
    source = class_head(have, dense) | {"network.box_head.layers.0.bias": torch.ones(1)}
    result, _ = convert(source, model, **options)
    assert result[f"{dense}.bias"].tolist() == expected


def test_other_classes_stay_initial_but_for_no_object():
    wanted = class_head(26, value=-99)
    result, report = convert(class_head(92, "class_embed"), target(wanted))
    assert torch.equal(
        result["network.class_head.bias"][:-1], wanted["network.class_head.bias"][:-1]
    )
    assert result["network.class_head.bias"][-1] == 91
    assert result["network.class_head.weight"][-1].tolist() == [182, 183]
    assert 'only "no object"' in report.reinterpreted[0].note


def test_our_class_offset_can_be_named():
    source, wanted = class_head(42), target(class_head(41, value=-99))
    result, _ = convert(source, wanted)  # 41 classes are not 40
    assert result["network.class_head.bias"][0] == -99
    result, _ = convert(source, wanted, source_class_offset=1)
    assert result["network.class_head.bias"][0] == 1
    # As many rows, and yet not the same classes.
    wanted = target(class_head(42, value=-99))
    assert convert(source, wanted)[0]["network.class_head.bias"][0] == 0
    result, _ = convert(source, wanted, source_class_offset=1)
    assert result["network.class_head.bias"][0] == -99


def test_other_shapes_are_left_out_with_both_named():
    source = {
        "input_proj.weight": torch.ones(4, 2, 1, 1),
        "input_proj.bias": torch.ones(3),
        "class_embed.bias": torch.ones(2),
        "strange": torch.ones(1),
    }
    wanted = {
        "network.input_projection.weight": torch.zeros(3, 2, 1, 1),
        "network.input_projection.bias": torch.zeros(3),
        "network.class_head.bias": torch.zeros(2),
    }
    result, report = convert(source, target(wanted))
    assert set(result) == {"network.class_head.bias"}
    left = {entry.name: entry for entry in report.left_out}
    assert left["input_proj.weight"].shape == (4, 2, 1, 1)
    assert left["input_proj.weight"].wanted == (3, 2, 1, 1)
    assert left["strange"].note == "no place for it"
    # It would fit, but belongs to weights that do not.
    assert "has another shape" in left["input_proj.bias"].note
    assert {e.name for e in report.initial} == set(wanted) - set(result)
    text = report.text()
    assert "input_proj.weight (4, 2, 1, 1), wanted (3, 2, 1, 1)" in text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("class_head.bias", torch.tensor(1.0)),
        ("class_head.bias", torch.zeros(0)),
        (QUERIES.removeprefix("network."), torch.zeros(0, 2)),
        ("mask_head.deform.0.conv.offset.weight", torch.zeros(27)),
        ("backbone.stem.conv1.weight", torch.zeros(2, 1, 3, 3)),
    ],
)
def test_shapes_that_the_rules_cannot_mean_are_left_out(name, value):
    wanted = {
        "network.class_head.bias": torch.zeros(3),
        QUERIES: torch.zeros(2, 2),
        "network.mask_head.deform.0.conv.weight": torch.zeros(2, 2, 3, 3),
        "network.mask_head.deform.0.conv.offset.weight": torch.zeros(27, 2, 3, 3),
        "network.backbone.stem.conv1.weight": torch.zeros(2, 3, 3, 3),
    }
    source = wanted | {f"network.{name}": value}
    result, report = convert(source, target(wanted), colours="caffe")
    assert f"network.{name}" not in result
    assert [entry.name for entry in report.left_out] == [f"network.{name}"]


def test_the_report_counts_every_tensor_and_lists_them_when_asked():
    names = [f"network.box_head.layers.{i}.bias" for i in range(3)]
    source = {name: torch.ones(5) for name in names}
    wanted = source | {f"network.slot_attention.{k}.bias": torch.zeros(7) for k in ("key", "query")}
    _, report = convert(source, target(wanted))
    text = report.text()
    assert "taken as they are: 3 tensors, 15 values" in text
    assert re.search(r"initial.*: 2 tensors, 14 values\n  network.slot_attention: 2 tensors", text)
    assert names[1] not in text
    assert all(name in report.text(verbose=True) for name in wanted)


def test_nothing_that_fits_is_an_error():
    with pytest.raises(ValueError, match="no tensor of the source"):
        convert({"network.a": torch.ones(1)}, target({"network.b": torch.ones(1)}))
    norm = "network.norm.weight", "network.norm.num_batches_tracked"
    with pytest.raises(ValueError, match="no tensor of the source"):  # counters alone are nothing
        convert(dict.fromkeys(norm, torch.ones(())), target({norm[1]: torch.ones(())}))


def test_two_names_for_one_place_are_an_error():
    source = {"vistr.input_proj.bias": torch.ones(1), "input_proj.bias": torch.ones(1)}
    with pytest.raises(ValueError, match="are both network.input_projection.bias"):
        convert(source, target({"network.input_projection.bias": torch.ones(1)}))


def test_dtypes_are_kept():
    source = {"network.a.bias": torch.ones(2).half(), QUERIES: rows(1, 2, 3, 4).half()}
    wanted = target({"network.a.bias": torch.zeros(2), QUERIES: torch.zeros(2, 2)})
    result, _ = convert(source, wanted, source_slots=2)
    assert {t.dtype for t in result.values()} == {torch.float16}
