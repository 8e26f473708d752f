"""The command: its report, its exit status, and that it writes nothing after an error."""

from simplevtr import conversion
from simplevtr.checkpoint import ClipCheckpointer
from simplevtr.commands import convert_checkpoint
from simplevtr.commands.convert_checkpoint import main
from simplevtr.conversion import target_of_config
from simplevtr.data.categories import YTVIS_2021_CATEGORIES
from simplevtr.run_config import setup_cfg
from simplevtr.weights_file import write_weights

import pytest
import torch
from conftest import CLIPS_CONFIG, TINY, build, words_of
from foreign_weights import AS_VISTR, as_vistr, equal, model_weights, read_weights


def config(*options):
    return ["--config-file", CLIPS_CONFIG, *(word for own in options for word in words_of(own))]


@pytest.fixture
def vistr_file(tiny_cfg, tmp_path):
    """A small VisTR of ours."""
    path = tmp_path / "ours.pth"
    write_weights(model_weights(as_vistr(tiny_cfg)), path, overwrite=False)
    return path


def run(*arguments):
    return main([str(argument) for argument in arguments])


def test_official_and_back_by_the_command(vistr_file, tmp_path, capsys):
    official, back = tmp_path / "official.pth", tmp_path / "back.pth"
    assert run(vistr_file, official, "--to", "vistr", "--source-slots", 4) == 0
    assert "vistr.class_embed.weight" in read_weights(official)
    assert run(official, back, "--source-slots", 4, *config(TINY, AS_VISTR)) == 0
    out = capsys.readouterr().out
    assert "layout of the source: vistr" in out
    assert "reinterpreted: none" in out
    assert f"wrote {back}" in out
    assert equal(read_weights(back), read_weights(vistr_file))


def test_the_slots_of_the_config_inside_are_taken(tiny_cfg, tmp_path):
    source, target = tmp_path / "ours.safetensors", tmp_path / "official.pth"
    cfg = as_vistr(tiny_cfg)
    write_weights(model_weights(cfg), source, config=cfg.dump())
    assert run(source, target, "--to", "vistr") == 0
    assert read_weights(target)["vistr.query_embed.weight"].shape == (8, 24)


def test_another_config_of_ours_loads(vistr_file, tmp_path, capsys):
    """VisTR -> decoupled queries, other classes, other depth: it starts a model of that config."""
    target = tmp_path / "decoupled.pth"
    other = TINY | {"MODEL.SIMPLEVTR.ENC_LAYERS": 1, "MODEL.SIMPLEVTR.NUM_CLASSES": 7}
    status = run(
        vistr_file, target, *config(other), "--source-slots", 4, "--source-class-offset", 1
    )
    assert status == 0
    out = capsys.readouterr().out
    for rule in ("encoder layers 2 -> 1", "their mean over the frames", 'only "no object"'):
        assert rule in out
    cfg = setup_cfg(CLIPS_CONFIG, words_of(other))
    model = build(cfg)
    ClipCheckpointer(model).load(str(target))
    source = read_weights(vistr_file)["network.query_embedding.weight"]
    queries = model.network.query_embedding.weight
    torch.testing.assert_close(queries.detach(), source.view(2, 4, -1).mean(0))


def test_verbose_names_every_tensor(vistr_file, tmp_path, capsys):
    arguments = (*config(TINY), "--source-slots", "4")
    assert run(vistr_file, tmp_path / "a.pth", *arguments) == 0
    short = capsys.readouterr().out
    assert run(vistr_file, tmp_path / "b.pth", *arguments, "--verbose") == 0
    long = capsys.readouterr().out
    wanted = target_of_config(setup_cfg(CLIPS_CONFIG, words_of(TINY))).weights
    assert all(name in long for name in wanted)
    assert len(short.splitlines()) < len(long.splitlines()) / 3


def test_partial_export_by_config(tiny_cfg, tmp_path, capsys):
    """What the config's model has no place for is an error too, unless it is asked for."""
    source, target = tmp_path / "ours.pth", tmp_path / "official.pth"
    write_weights(model_weights(tiny_cfg), source, overwrite=False)
    arguments = [source, target, "--to", "vistr", *config(TINY, AS_VISTR)]
    assert run(*arguments) == 2
    assert "have no place in the model of the config (--partial" in capsys.readouterr().err
    assert not target.exists()
    assert run(*arguments, "--partial") == 0
    assert read_weights(target)["vistr.query_embed.weight"].shape == (8, 24)


def test_nothing_is_replaced_unless_asked(vistr_file, tmp_path, capsys):
    target = tmp_path / "target.pth"
    target.write_bytes(b"mine")
    arguments = (vistr_file, target, "--to", "vistr", "--source-slots", 4)
    assert run(*arguments) == 2
    assert "exists" in capsys.readouterr().err
    assert target.read_bytes() == b"mine"
    assert run(*arguments, "--overwrite") == 0
    assert target.read_bytes() != b"mine"


def test_user_errors(vistr_file, tmp_path, capsys):
    target = tmp_path / "target.pth"
    torch.save({"stranger.bias": torch.ones(3)}, tmp_path / "strange.pth")
    cases = [
        ((tmp_path / "none.pth", target, *config(TINY)), r"none.pth does not exist"),
        ((tmp_path / "strange.pth", target, *config(TINY)), "known are vistr, detr, torchvision"),
        ((vistr_file, tmp_path / "t.pkl", *config(TINY)), "must end in .pth"),
        ((vistr_file, target, *config(TINY)), "--source-slots"),
        ((vistr_file, target, "--config-file", "none.yaml"), "none.yaml does not exist"),
        ((vistr_file, target, *config(TINY), "MODEL.SIMPLEVTR.QUERIES", "3"), "NUM_QUERIES"),
        ((vistr_file, vistr_file, *config(TINY), "--overwrite"), "is an input of this command"),
        ((vistr_file, target, "--to", "vistr"), "8 queries have no frame axis"),
    ]
    for arguments, message in cases:
        assert run(*arguments) == 2, message
        assert message in capsys.readouterr().err
        assert not target.exists()


def test_the_command_offers_what_the_package_knows():
    assert tuple(conversion.LAYOUTS) == convert_checkpoint.LAYOUTS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--to", "vistr", "SEED", "3"], "options need a --config-file: SEED 3"),
        (["--layout", "detr", "--source-colours", "rgb"], "--layout, --source-colours: only a"),
        (["--source-slots", "3"], "--source-slots: only a"),
        (["--partial"], "it needs --to vistr"),
        (["--layout", "mmcv"], "invalid choice: 'mmcv'"),
        (["--source-slots", "0"], "0 was given; it must be at least 1"),
    ],
)
def test_bad_options(arguments, message, capsys):
    try:
        status = run("a.pth", "b.pth", *arguments)
    except SystemExit as stop:  # argparse's
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err


def test_the_same_seed_fills_the_same(vistr_file, tmp_path):
    """Tensors that a source covers in part are filled with initial values of the config's seed."""
    other = {"MODEL.SIMPLEVTR.NUM_CLASSES": 5, "SEED": -1}
    for number, name in enumerate("ab"):
        torch.manual_seed(number)
        expected = torch.random.get_rng_state()
        arguments = (*config(TINY, other), "--source-slots", 4)
        assert run(vistr_file, tmp_path / f"{name}.pth", *arguments) == 0
        assert torch.equal(torch.random.get_rng_state(), expected)  # the caller's is left alone
    assert equal(read_weights(tmp_path / "a.pth"), read_weights(tmp_path / "b.pth"))


@pytest.fixture
def checkpoint(tmp_path):
    """Of a training."""
    path = tmp_path / "model_final.pth"
    model = torch.nn.BatchNorm1d(3)
    optimizer = torch.optim.Adam(model.parameters())
    ClipCheckpointer(model, str(tmp_path), optimizer=optimizer).save("model_final")
    return path


def test_weights_alone_in_half_precision(checkpoint, tmp_path, capsys, caplog):
    target = tmp_path / "small.pth"
    assert run(checkpoint, target, "--half") == 0
    content = torch.load(target, weights_only=True)
    assert set(content) == {"model"}
    assert content["model"]["weight"].dtype == torch.float16
    assert content["model"]["num_batches_tracked"].dtype == torch.int64
    model = torch.nn.BatchNorm1d(3)
    ClipCheckpointer(model, complete=True).load(str(target))
    assert model.weight.dtype == torch.float32
    torch.save({"model": {"x": torch.tensor([1e6])}}, tmp_path / "large.pth")
    assert run(tmp_path / "large.pth", tmp_path / "a.pth", "--half") == 2
    assert "x has values that do not fit" in capsys.readouterr().err
    torch.save({"model": {"x": torch.tensor([0, 1e-9, 1.0])}}, tmp_path / "little.pth")
    assert run(tmp_path / "little.pth", tmp_path / "a.pth", "--half") == 0
    assert "little.pth: 1 weights below 6e-8 are 0" in caplog.text


def test_the_classes_that_a_checkpoint_names_go_by_name(tmp_path, tiny_cfg, capsys):
    """Also behind leading indices that no category uses."""
    names = ["zebra", "cat", "apple"]
    head = {"weight": torch.arange(5.0)[:, None].expand(5, 24).clone(), "bias": torch.arange(5.0)}
    torch.save(
        {
            "model": {f"network.class_head.{name}": value for name, value in head.items()},
            "classes": {"names": names, "ids": [1, 2, 3]},
        },
        tmp_path / "run.pth",
    )
    more = {"DATASETS.TRAIN": ("ytvis_2021_train",), "MODEL.SIMPLEVTR.NUM_CLASSES": 40}
    assert run(tmp_path / "run.pth", tmp_path / "start.pth", *config(TINY, more)) == 0
    assert '2 of 40 and "no object" by their names' in capsys.readouterr().out
    bias = read_weights(tmp_path / "start.pth")["network.class_head.bias"]
    labels = [name for _, name in YTVIS_2021_CATEGORIES]
    rows = [bias[labels.index("zebra")], bias[labels.index("cat")], bias[-1]]
    assert [row.item() for row in rows] == [1, 2, 4]


def test_the_average_and_the_classes_are_kept(tmp_path, capsys):
    average = {"module.a": torch.ones(2), "n_averaged": torch.tensor(3)}
    classes = {"names": ["cat", "dog"], "ids": [3, 7]}
    content = {"model": {"a": torch.zeros(2)}, "trainer": {"hooks": {"WeightAverage": average}}}
    torch.save({**content, "classes": classes}, tmp_path / "run.pth")
    assert run(tmp_path / "run.pth", tmp_path / "small.pth") == 0
    assert "run.pth: the average of the weights (SOLVER.EMA_DECAY)" in capsys.readouterr().out
    small = torch.load(tmp_path / "small.pth", weights_only=True)
    assert small["classes"] == classes
    assert small["model"].keys() == {"a"}
    assert (small["model"]["a"] == 1).all()
