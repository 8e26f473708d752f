"""A training that was stopped goes on as if it had not been, or says why it cannot."""

import hashlib
import shutil
from pathlib import Path

from simplevtr.commands import train_net
from simplevtr.engine import runs
from simplevtr.engine.resume import check_fit, check_schedule, last_checkpoint, surroundings
from simplevtr.engine.trainer import ClipTrainer
from simplevtr.formats.metrics import read_metrics

import pytest
import torch
from conftest import CLIPS_CONFIG
from detectron2.engine import HookBase
from detectron2.utils import comm


def config(tiny_opts, *words):
    words = ["--config-file", CLIPS_CONFIG, *tiny_opts, "DATASETS.TEST", "()", *words]
    cfg = runs.read_config(train_net.main.parser().parse_args(words))
    cfg.freeze()
    return cfg


class Power(HookBase):
    """Records the losses and ends the process' training after an iteration, as a crash does."""

    def __init__(self, trainer, off_after):
        self.losses = {}
        self.off_after = off_after
        trainer.model.register_forward_hook(self.keep)

    def keep(self, model, clips, losses):
        self.losses[self.trainer.iter] = {
            key: float(value.detach()) for key, value in losses.items()
        }

    def after_step(self):
        if self.trainer.iter == self.off_after:
            raise KeyboardInterrupt


def losses_of(cfg, *, resume=False, off_after=None):
    Path(cfg.OUTPUT_DIR).mkdir(exist_ok=True)
    trainer = ClipTrainer(cfg)
    trainer.resume_or_load(resume=resume)
    power = Power(trainer, off_after)
    trainer.register_hooks([power])
    if off_after is None:
        trainer.train()
    else:
        with pytest.raises(KeyboardInterrupt):
            trainer.train()
    return power.losses


@pytest.mark.parametrize(
    "words",
    [
        # Batches of like size, dropout, points and tracks drawn for the losses, a weight average.
        [
            *("SOLVER.EMA_DECAY", "0.9", "MODEL.SIMPLEVTR.DROPOUT", "0.5"),
            *("MODEL.SIMPLEVTR.LOSS.MASK_POINTS", "20", "SOLVER.OPTIMIZER", "ADABELIEF"),
            *("MODEL.SIMPLEVTR.LOSS.MAX_MASK_TRACKS", "1", "INPUT.SAMPLING_SCHEME", "compromise"),
        ],
        # A worker, and a seed that nobody gave.
        ["SEED", "-1", "DATALOADER.NUM_WORKERS", "1", "SOLVER.IMS_PER_BATCH", "1"],
    ],
)
def test_a_resumed_training_is_the_uninterrupted_one(tiny_opts, tmp_path, words):
    words += ["INPUT.AUGMENTATIONS", "['flip', 'photometric']", "SOLVER.MAX_ITER", "6"]
    words += ["SOLVER.CHECKPOINT_PERIOD", "3", "SOLVER.WARMUP_ITERS", "5"]
    cfg = config(tiny_opts, *words)
    # Off in the middle of the fifth iteration: the last checkpoint is from the third.
    before = losses_of(cfg, off_after=4)
    with (Path(cfg.OUTPUT_DIR) / "metrics.json").open("a") as file:
        file.write('{"iteration": 4, "total')  # as a kill leaves it
    shutil.copytree(cfg.OUTPUT_DIR, tmp_path / "copy")
    after = losses_of(cfg, resume=True)
    assert sorted(before) == [0, 1, 2, 3, 4]
    assert sorted(after) == [3, 4, 5]
    assert max(step for step, _ in read_metrics(cfg.OUTPUT_DIR)["total_loss"]) == 5
    for iteration in (3, 4):
        assert after[iteration] == pytest.approx(before[iteration], rel=1e-5)
    assert len({losses["loss_ce"] for losses in (before | after).values()}) == 6
    # Chance of the process has no part in it.
    torch.manual_seed(12345)
    cfg = config(tiny_opts, *words, "OUTPUT_DIR", str(tmp_path / "copy"))
    again = losses_of(cfg, resume=True)
    assert again[5] == pytest.approx(after[5], rel=1e-5)


@pytest.fixture(scope="module")
def stopped_once(tmp_path_factory):
    return tmp_path_factory.mktemp("stopped") / "run"


@pytest.fixture
def stopped(tiny_opts, tmp_path, stopped_once):
    """A run with a checkpoint after each of two iterations; a copy but for the first test."""
    if stopped_once.exists():
        shutil.copytree(stopped_once, tmp_path / "run")
    else:
        losses_of(config(tiny_opts, "SOLVER.CHECKPOINT_PERIOD", "1"))
        shutil.copytree(tmp_path / "run", stopped_once)
    return tmp_path / "run"


def changed(tiny_opts, *words):
    """What --resume says to other settings."""
    cfg = config(tiny_opts, *words)
    check_schedule(last_checkpoint(cfg.OUTPUT_DIR), cfg)
    return check_fit(last_checkpoint(cfg.OUTPUT_DIR), cfg, surroundings(cfg))


def test_resume_with_other_settings(stopped, tiny_opts):
    assert changed(tiny_opts, "SOLVER.CHECKPOINT_PERIOD", "1") == []  # complete: evaluated again
    more = ["SOLVER.MAX_ITER", "5", "SOLVER.BASE_LR", "0.5"]
    period = "SOLVER.CHECKPOINT_PERIOD 1 -> 200"
    rate = "SOLVER.BASE_LR 0.0008 -> 0.5"
    assert changed(tiny_opts, *more) == [rate, period, "SOLVER.MAX_ITER 2 -> 5"]
    for words, message in (
        (["SOLVER.OPTIMIZER", "ADABELIEF"], r"SOLVER.OPTIMIZER 'ADAMW' -> 'ADABELIEF'"),
        (["MODEL.SIMPLEVTR.DEC_LAYERS", "3"], r"MODEL.SIMPLEVTR.DEC_LAYERS 2 -> 3: 1\d parameters"),
        (["MODEL.SIMPLEVTR.ENC_LAYERS", "1"], r"MODEL.SIMPLEVTR.ENC_LAYERS 2 -> 1: 1\d parameters"),
        (["MODEL.SIMPLEVTR.NUM_QUERIES", "5"], r"NUM_QUERIES 4 -> 5: 1 parameters.* \(4, 24\) -> "),
        (["MODEL.BACKBONE.FREEZE_AT", "3"], r"FREEZE_AT 0 -> 3.*: its optimizer groups"),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            changed(tiny_opts, *more, *words)
        assert "\n" not in str(caught.value)
        assert "MODEL.WEIGHTS" in str(caught.value)
    with pytest.raises(
        ValueError, match=r"2 iterations, but SOLVER.MAX_ITER is now 1 \(it was 2\)"
    ):
        changed(tiny_opts, "SOLVER.MAX_ITER", "1")
    scaled = ["SOLVER.REFERENCE_WORLD_SIZE", "2", "SOLVER.MAX_ITER", "1"]  # two for one process
    assert "SOLVER.IMS_PER_BATCH 2 -> 1" in changed(tiny_opts, *scaled)
    # As in detectron2, a trainer itself takes up a complete run; only the command refuses it.
    trainer = ClipTrainer(config(tiny_opts, "SOLVER.MAX_ITER", "1"))
    trainer.resume_or_load(resume=True)
    assert trainer.start_iter == 2


def test_resume_with_other_data_or_processes(stopped, tiny_opts, embedded, monkeypatch):
    words = ["SOLVER.CHECKPOINT_PERIOD", "1"]
    file = embedded / "train.json"
    before = file.read_bytes()
    file.write_bytes(before + b"\n")  # as after a correction of a mask
    try:
        name, old, arrow, new = changed(tiny_opts, *words)[0].rsplit(" ", 3)
    finally:
        file.write_bytes(before)
    assert (name, arrow) == ("SHA-256 of the annotations of tiny_train", "->")
    assert [old, new] == [hashlib.sha256(data).hexdigest() for data in (before, before + b"\n")]
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    assert changed(tiny_opts, *words) == ["processes 1 -> 2"]


def test_a_trainer_replaces_its_own_evaluations_alone(tiny_opts):
    words = ["TEST.EVAL_PERIOD", "1", "SOLVER.MAX_ITER", "2", "DATASETS.TEST", "('tiny_val',)"]
    cfg = config(tiny_opts, *words)
    Path(cfg.OUTPUT_DIR).mkdir()
    trainer = ClipTrainer(cfg)
    trainer.train()
    assert (Path(cfg.OUTPUT_DIR) / "inference/tiny_val/results.json").exists()
    assert trainer.iter == 2
    with pytest.raises(FileExistsError, match=r"results\.json exists already"):
        ClipTrainer(cfg).train()


def test_new_rates_count_after_resume(stopped, tiny_opts):
    words = ["SOLVER.MAX_ITER", "8", "SOLVER.BASE_LR", "0.5", "SOLVER.WEIGHT_DECAY", "0.25"]
    words += ["SOLVER.WEIGHT_DECAY_NORM", "0.25"]
    cfg = config(tiny_opts, *words, "SOLVER.LR_SCHEDULER_NAME", "WarmupMultiStepLR")
    trainer = ClipTrainer(cfg)
    trainer.resume_or_load(resume=True)
    groups = trainer._trainer.optimizer.param_groups
    assert {group["weight_decay"] for group in groups} == {0.25}
    assert groups[0]["lr"] == pytest.approx(0.5 * (0.001 + 0.999 * 2 / 8))  # warming up


def test_a_second_stage_tells_what_no_tensor_of_its_weights_shows(stopped, tiny_opts, caplog):
    """What is of its matching or its losses is its own choice."""
    words = ["MODEL.WEIGHTS", str(stopped / "model_final.pth"), "SOLVER.BASE_LR", "0.5"]
    trainer = ClipTrainer(config(tiny_opts, *words, "MODEL.SIMPLEVTR.MATCHER.COST_CLASS", "3.0"))
    trainer.resume_or_load(resume=False)
    assert "which is" not in caplog.text
    trainer = ClipTrainer(config(tiny_opts, *words, "MODEL.PIXEL_MEAN", "[1.0, 2.0, 3.0]"))
    trainer.resume_or_load(resume=False)
    assert f"{words[1]} was trained with MODEL.PIXEL_MEAN" in caplog.text
    assert ", which is [1.0, 2.0, 3.0] here" in caplog.text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), ""),
        (
            ("MODEL.BACKBONE.FREEZE_AT", "1"),
            "2 parts such as network.backbone.stem.conv1.norm are",
        ),  # the stem
        (("MODEL.RESNETS.NORM", "FrozenBN"), "parts such as network.backbone.stem.conv1.norm are"),
    ],
)
def test_random_weights_that_stay_as_they_are_are_told(tiny_opts, caplog, words, told):
    ClipTrainer(config(tiny_opts, *words)).resume_or_load(resume=False)
    assert ("are frozen as they begin" in caplog.text) == bool(told)
    assert told in caplog.text


def test_a_torn_checkpoint_names_the_whole_one_beside_it(stopped):
    last = stopped / "model_final.pth"
    assert last_checkpoint(stopped) == str(last)
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    with pytest.raises(ValueError, match="model_final.pth, which is not a whole") as caught:
        last_checkpoint(stopped)
    tag = stopped / "last_checkpoint"
    assert f"echo model_0000001.pth > {tag}" in str(caught.value)
    tag.write_text("model_0000001.pth\n")  # as the message says
    assert last_checkpoint(stopped) == str(stopped / "model_0000001.pth")
    tag.write_text("")
    with pytest.raises(ValueError, match=r"is empty.*model_0000001\.pth \(iteration 1\)"):
        last_checkpoint(stopped)
    tag.unlink()
    with pytest.raises(FileNotFoundError, match=r"last_checkpoint does not exist.*model_0000001"):
        last_checkpoint(stopped)
    for path in stopped.glob("model_*.pth"):
        path.unlink()
    assert last_checkpoint(stopped) is None


def test_weights_alone_cannot_be_resumed(stopped, tiny_opts):
    saved = torch.load(stopped / "model_final.pth", weights_only=True)
    for trainer in ({}, {"trainer": []}, {"trainer": {"_trainer": {"optimizer": {}}}}):
        torch.save({"model": saved["model"], **trainer}, stopped / "model_final.pth")
        with pytest.raises(ValueError, match="holds weights alone"):
            changed(tiny_opts)
    saved["trainer"]["config"] = "- 1"
    torch.save(saved, stopped / "model_final.pth")
    with pytest.raises(ValueError, match="the config inside the checkpoint: groups of config keys"):
        changed(tiny_opts)


@pytest.mark.parametrize("error", [OSError("disk"), RuntimeError("disk full"), KeyboardInterrupt()])
def test_a_checkpoint_is_saved_whole_or_not_at_all(tiny_opts, tmp_path, monkeypatch, error):
    cfg = config(tiny_opts)
    (tmp_path / "run").mkdir()
    trainer = ClipTrainer(cfg)
    trainer.checkpointer.save("model_a")

    def half(content, path):
        Path(path).write_bytes(b"half")
        raise error

    monkeypatch.setattr(torch, "save", half)
    whole = (tmp_path / "run/model_a.pth").read_bytes()
    for name in ("model_a", "model_b"):
        kind = OSError if isinstance(error, RuntimeError) else type(error)
        with pytest.raises(kind):
            trainer.checkpointer.save(name)
    assert (tmp_path / "run/model_a.pth").read_bytes() == whole
    assert (tmp_path / "run/last_checkpoint").read_text() == "model_a.pth"
    assert not list((tmp_path / "run").glob("*model_b*"))
