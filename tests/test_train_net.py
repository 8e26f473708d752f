"""Training and evaluation end to end, through the command a user types."""

import json
import re
import shutil
from functools import partial

from simplevtr.commands import train_net
from simplevtr.engine import runs
from simplevtr.engine.processes import run_processes

import numpy as np
import pytest
import torch
from conftest import CLIPS_CONFIG, ROOT, metrics, run_train_net
from detectron2.utils import comm
from json_files import all_crowds, change, edit_json

STEPPED = ["SOLVER.LR_SCHEDULER_NAME", "WarmupMultiStepLR"]


def run(arguments):
    return run_train_net(*arguments)


def losses(folder):
    return [row["total_loss"] for row in metrics(folder) if "total_loss" in row]


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    return tmp_path_factory.mktemp("trained") / "run"


@pytest.fixture
def trained(tiny_opts, tmp_path, trained_once):
    """A run's folder: the first test that needs one trains, the others get copies."""
    if trained_once.exists():
        shutil.copytree(trained_once, tmp_path / "run")
    else:
        assert train_net.main(["--config-file", CLIPS_CONFIG, *tiny_opts, "VIS_PERIOD", "2"]) == 0
        shutil.copytree(tmp_path / "run", trained_once)
    return tmp_path / "run"


def test_a_training_is_evaluated_and_shown_in_tensorboard(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # slow

    assert "AP50" in (trained / "log.txt").read_text()
    assert (trained / "model_final.pth").is_file()
    assert (trained / "inference/tiny_val/submission.zip").is_file()
    results = json.loads((trained / "inference/tiny_val/results.json").read_text())
    assert {entry["video_id"] for entry in results} <= {1, 2}
    # TensorBoard holds losses, AP and a picture of predicted and true tracks.
    events = EventAccumulator(str(trained))
    events.Reload()
    assert {"total_loss", "loss_dice", "segm/AP"} <= set(events.Tags()["scalars"])
    assert len(events.Tags()["images"]) == 1


def test_a_folder_in_use_is_refused_or_resumed(trained, tiny_opts, capsys):
    assert train_net.main(["--config-file", CLIPS_CONFIG, *tiny_opts]) == 2
    again = capsys.readouterr()
    assert again.err.startswith("train_net.py: error: OUTPUT_DIR")
    assert "--resume" in again.err
    assert again.err.count("\n") == 1
    assert again.out == ""
    run(["--resume", *tiny_opts, "SOLVER.MAX_ITER", "4", "DATASETS.TEST", "()"])
    assert "Starting training from iteration 2" in capsys.readouterr().out


def test_an_average_that_a_complete_run_lacks_is_its_weights(trained, tiny_opts):
    results = trained / "inference/tiny_val/results.json"
    before = json.loads(results.read_text())
    run(["--resume", *tiny_opts, "SOLVER.EMA_DECAY", "0.9"])
    assert json.loads(results.read_text()) == before


def train_and_go_on(arguments, folder):
    """In each of two processes: a training, and the same from its first checkpoint on."""
    run_train_net(*arguments, "DATASETS.TEST", "()")
    if comm.is_main_process():
        (folder / "model_final.pth").rename(folder.with_name("uninterrupted.pth"))
        (folder / "last_checkpoint").write_text("model_0000000.pth")
    comm.synchronize()
    run_train_net("--resume", *arguments)


def test_two_processes_train_evaluate_and_go_on(tiny_opts, tmp_path, capfd):
    # Less than a clip a process is asked for; the port is free whatever else runs.
    words = [*tiny_opts, "SOLVER.IMS_PER_BATCH", "1", "SOLVER.CHECKPOINT_PERIOD", "1"]
    words += ["MODEL.SIMPLEVTR.DROPOUT", "0.3"]
    folder = tmp_path / "run"
    run_processes(train_and_go_on, (words, folder), processes=2)
    assert "SOLVER.IMS_PER_BATCH 1 -> 2" in capfd.readouterr().err
    assert np.isfinite(losses(folder)[-1])
    # Each of the two videos was segmented by another process; the file holds both.
    results = json.loads((folder / "inference/tiny_val/results.json").read_text())
    assert {entry["video_id"] for entry in results} == {1, 2}
    whole, resumed = (
        torch.load(path, weights_only=True)
        for path in (tmp_path / "uninterrupted.pth", folder / "model_final.pth")
    )
    assert whole["iteration"] == resumed["iteration"] == 1
    for key, value in whole["model"].items():
        torch.testing.assert_close(resumed["model"][key], value)
    # What the two processes scored is what the checkpoint scores.
    run(["--eval-only", "--resume", "--overwrite", *words])
    again = json.loads((folder / "inference/tiny_val/results.json").read_text())
    assert [entry["video_id"] for entry in again] == [entry["video_id"] for entry in results]
    scores = ([entry["score"] for entry in entries] for entries in (again, results))
    np.testing.assert_allclose(*scores, rtol=1e-3)  # products in another order round differently


def test_evaluation_alone_gives_what_training_ended_with(trained, tiny_opts):
    at_the_end = [row for row in metrics(trained) if "segm/AP" in row][-1]
    opts = [*tiny_opts, "MODEL.WEIGHTS", str(trained / "model_final.pth")]
    with pytest.raises(FileExistsError, match=r"results\.json"):
        run(["--eval-only", *opts])
    config = (trained / "config.yaml").read_bytes()
    assert b"OVERWRITE: false" in config
    results = run(["--eval-only", "--overwrite", *opts])
    assert results["segm"]["AP"] == pytest.approx(at_the_end["segm/AP"])
    assert set(results["segm"]) >= {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10"}
    assert (trained / "config.yaml").read_bytes() == config  # the training's own is kept


def test_several_test_sets_are_each_evaluated(trained, tiny_opts, tmp_path):
    """A known trap: always evaluating the first test set."""
    opts = [*tiny_opts, "DATASETS.TEST", "('tiny_val', 'tiny_train')"]
    opts += ["MODEL.WEIGHTS", str(trained / "model_final.pth"), "OUTPUT_DIR", str(tmp_path / "e")]
    results = run(["--eval-only", *opts])
    assert set(results) == {"tiny_val", "tiny_train"}
    for name, videos in (("tiny_val", 2), ("tiny_train", 4)):
        entries = json.loads((tmp_path / f"e/inference/{name}/results.json").read_text())
        assert {entry["video_id"] for entry in entries} == set(range(1, videos + 1))


def test_evaluation_without_ground_truth_writes_the_files(trained, tiny_opts, embedded, tmp_path):
    edit_json(embedded / "val.json", change(["annotations"], None), tmp_path / "test.json")
    entries = [
        ["tiny_train", str(embedded / "train.json"), str(embedded / "train/JPEGImages")],
        ["tiny_test", str(tmp_path / "test.json"), str(embedded / "val/JPEGImages")],
    ]
    opts = [*tiny_opts, "DATASETS.CUSTOM", str(entries), "DATASETS.TEST", "('tiny_test',)"]
    opts += ["MODEL.WEIGHTS", str(trained / "model_final.pth"), "OUTPUT_DIR", str(tmp_path / "e")]
    assert not run(["--eval-only", *opts])
    files = {path.name for path in (tmp_path / "e/inference/tiny_test").iterdir()}
    assert files == {"results.json", "submission.zip"}
    log = (tmp_path / "e/inference/log.txt").read_text()
    assert "no ground truth" in log.lower() or "without ground truth" in log.lower()


def test_resume_without_a_checkpoint_starts_anew_as_the_same_seed_does(
    trained, tiny_opts, tmp_path, capsys
):
    run(["--resume", *tiny_opts, "OUTPUT_DIR", str(tmp_path / "anew"), "DATASETS.TEST", "()"])
    said = capsys.readouterr().out
    assert "holds no checkpoint: THE TRAINING STARTS ANEW, from random weights" in said
    assert losses(tmp_path / "anew") == losses(trained) != []


def test_a_loss_that_is_not_finite_stops_and_names_the_clips(tiny_opts, tmp_path, capsys):
    infinite = ["MODEL.PIXEL_STD", "[1e-42,1e-42,1e-42]"]
    with pytest.raises(FloatingPointError, match=r"infinite or NaN on the clips.*video_0000\d"):
        run([*tiny_opts, *infinite, "SOLVER.MAX_ITER", "1"])
    assert "Traceback" not in capsys.readouterr().out
    assert not list(tmp_path.glob("run/inference/*/results.json"))  # nothing is evaluated then


def test_a_schedule_in_epochs(tiny_opts, tmp_path):
    opts = [*tiny_opts, "INPUT.SAMPLING_SCHEME", "video", "DATASETS.TEST", "()"]
    opts += ["SOLVER.MAX_ITER", "0", "SOLVER.MAX_EPOCHS", "1", "SOLVER.STEP_EPOCHS", "(0.5, 1)"]
    run([*opts, *STEPPED, "SOLVER.WARMUP_ITERS", "0", "SOLVER.BASE_LR", "1e-4"])
    saved = torch.load(tmp_path / "run/model_final.pth", weights_only=True)
    assert saved["iteration"] == 1  # four videos, two a batch: two iterations, numbered from 0
    rates = [row["lr"] for row in metrics(tmp_path / "run") if "lr" in row]
    assert rates[-1] == pytest.approx(1e-5)  # a tenth after half an epoch


def test_a_warm_up_as_long_as_the_training_is_told_of(tiny_opts, caplog):
    args = ["--config-file", CLIPS_CONFIG, *tiny_opts]
    args += ["SOLVER.MAX_ITER", "9", "SOLVER.WARMUP_ITERS"]
    for iterations, told in (("9", True), ("8", False)):
        caplog.clear()
        runs.read_config(train_net.main.parser().parse_args([*args, iterations]))
        assert ("WARMUP_ITERS is 9 of 9 iterations: the rate never" in caplog.text) == told


def test_periods_scaled_to_many_processes_stay(tiny_opts, monkeypatch):
    """Rounded to 0, checkpoints would end in a division by 0, and evaluations stay away."""
    monkeypatch.setattr(comm, "get_world_size", lambda: 8)
    args = ["--config-file", CLIPS_CONFIG, *tiny_opts]
    words = ["SOLVER.REFERENCE_WORLD_SIZE", "1", "SOLVER.CHECKPOINT_PERIOD", "2"]
    words += ["TEST.EVAL_PERIOD", "3", "SOLVER.MAX_ITER", "4", "SOLVER.WARMUP_ITERS", "0"]
    cfg = runs.read_config(train_net.main.parser().parse_args([*args, *words]))
    solver = cfg.SOLVER
    assert (solver.IMS_PER_BATCH, solver.CHECKPOINT_PERIOD, solver.MAX_ITER) == (16, 1, 1)
    assert cfg.TEST.EVAL_PERIOD == 1
    words[words.index("TEST.EVAL_PERIOD") + 1] = "0"
    cfg = runs.read_config(train_net.main.parser().parse_args([*args, *words]))
    assert cfg.TEST.EVAL_PERIOD == 0


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("MAX_ITER: 2, STEP_EPOCHS: [1]", "EPOCHS .* has no effect with .* set SOLVER.STEPS"),
        ("MAX_ITER: 0, STEP_EPOCHS: [], STEPS: [1]", "without .* set SOLVER.STEP_EPOCHS"),
    ],
)
def test_steps_in_the_other_unit(tiny_opts, tmp_path, caplog, keys, message):
    """In a file, where what builds on it may give the other."""
    text = f"SOLVER: {{LR_SCHEDULER_NAME: WarmupMultiStepLR, {keys}}}"
    (tmp_path / "steps.yaml").write_text(f"_BASE_: {CLIPS_CONFIG}\n{text}\n")
    at = tiny_opts.index("SOLVER.MAX_ITER")
    words = [*tiny_opts[:at], *tiny_opts[at + 2 :]]
    args = ["--config-file", str(tmp_path / "steps.yaml"), *words]
    runs.read_config(train_net.main.parser().parse_args(args))
    assert re.search(message, caplog.text)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["DATASETS.TRAIN", "('ytvis_2030_train',)"], "ytvis_2030_train"),
        (["MODEL.SIMPLEVTR.NUM_CLASSES", "5"], "has 6 categories, but .*NUM_CLASSES is 5"),
        (["SOLVER.AMP.ENABLED", "True"], "AMP.ENABLED needs a GPU"),
        (["TEST.EXPECTED_RESULTS", "[['bbox', 'AP', 1.0, 1.0]]"], "'segm', METRIC, VALUE, TOL"),
        (
            ["TEST.EXPECTED_RESULTS", "[['segm', 'mAP', 1.0, 1.0]]"],
            "METRIC, .*and tiny_val has AP, AP50",
        ),
        (["TEST.EXPECTED_RESULTS", "[['segm', 'AP-cat', 1, 1]]"], r"and tiny_val has AP, .*AP-\w+"),
        (["MODEL.META_ARCHITECTURE", "GeneralizedRCNN"], "GeneralizedRCNN, which takes images"),
        (["MODEL.META_ARCHITECTURE", "VIS"], "'VIS', which is not registered"),
        (["MODEL.WEIGHTS", str(ROOT)], "checkpoint .* is a folder"),
        (["MODEL.SIMPLEVTR.QUERY_FRAMES", "3"], "FRAME_NUM is 2, but queries .*QUERY_FRAMES, 3"),
        (["MODEL.WEIGHTS", "no://such"], "checkpoint no://such does not exist"),
        (["SOLVER.BASE_LR_END", "1.0"], "WarmupCosineLR, .*BASE_LR_END 1.0"),
        ([*STEPPED, "SOLVER.STEPS", "(1, 0)"], r"MAX_ITER 2, STEPS \(1, 0\)"),
        (["SOLVER.REFERENCE_WORLD_SIZE", "3"], "2; a multiple of .*_WORLD_SIZE, 3, is needed"),
        (["MODEL.MASK_ON", "False"], r"MASK_ON is False.* DATASETS.TEST is \(\)"),
        (["INPUT.SAMPLING_SCHEME", "random"], "random.*video.*frame.*compromise"),
        (["MODEL.WEIGHTS", "nowhere.pth"], "nowhere.pth"),
        (["SOLVER.MAX_ITER", "0", "SOLVER.MAX_EPOCHS", "0"], "MAX_ITER or SOLVER.MAX_EPOCHS"),
    ],
)
def test_mistakes_in_the_config_are_named(tiny_opts, options, message):
    with pytest.raises((ValueError, KeyError, FileNotFoundError), match=message):
        run([*tiny_opts, *options])


def test_evaluation_needs_weights(tiny_opts):
    with pytest.raises(ValueError, match=r"--eval-only needs weights: add MODEL\.WEIGHTS"):
        run(["--eval-only", *tiny_opts])
    with pytest.raises(FileNotFoundError, match=r"OUTPUT_DIR .* holds no checkpoint"):
        run(["--eval-only", "--resume", *tiny_opts])
    with pytest.raises(ValueError, match="MODEL.MASK_ON is False: a model without masks finds no"):
        run(["--eval-only", *tiny_opts, "MODEL.MASK_ON", "False"])


def test_evaluation_of_the_last_checkpoint(trained, tiny_opts, tmp_path, caplog):
    """As detectron2 has it: --resume with --eval-only is about OUTPUT_DIR, not MODEL.WEIGHTS."""
    at_the_end = [row for row in metrics(trained) if "segm/AP" in row][-1]
    other = tmp_path / "other.pth"
    saved = torch.load(trained / "model_final.pth", weights_only=True)["model"]
    torch.save({"model": {key: torch.zeros_like(value) for key, value in saved.items()}}, other)
    evaluated = ["--eval-only", "--resume", "--overwrite", *tiny_opts, "MODEL.WEIGHTS", str(other)]
    assert run(evaluated)["segm"]["AP"] == pytest.approx(at_the_end["segm/AP"], nan_ok=True)
    assert f"evaluates the last checkpoint of OUTPUT_DIR {trained}, not {other}" in caplog.text
    # These results are no longer the training's own.
    before = (trained / "inference/tiny_val/results.json").read_bytes()
    with pytest.raises(FileExistsError, match=r"results\.json .*--overwrite"):
        run(["--resume", *tiny_opts, "SOLVER.MAX_ITER", "3"])
    assert (trained / "inference/tiny_val/results.json").read_bytes() == before


def test_a_refused_resume_leaves_the_run_as_it_was(trained, tiny_opts):
    files = [p for p in trained.rglob("*") if p.is_file() and p.name != "log.txt"]
    before = [path.read_bytes() for path in files]
    with pytest.raises(ValueError, match="SOLVER.OPTIMIZER 'ADAMW' -> 'ADABELIEF'"):
        run(["--resume", *tiny_opts, "SOLVER.OPTIMIZER", "ADABELIEF"])
    assert [path.read_bytes() for path in files] == before
    # A complete run may be resumed as it was, which evaluates it: its AP is of the same iteration.
    scored = {row["iteration"] for row in metrics(trained) if "segm/AP" in row}
    assert "segm" in run(["--resume", *tiny_opts, "TEST.EXPECTED_RESULTS", "[['segm','AP',50,50]]"])
    assert {row["iteration"] for row in metrics(trained) if "segm/AP" in row} == scored


def break_frames(root, content):
    (root / content["videos"][1]["file_names"][1]).unlink()


def break_areas(root, content):
    content["annotations"][0]["areas"][0] = -1


def break_masks(root, content):
    track = content["annotations"][-1]
    t = next(t for t, mask in enumerate(track["segmentations"]) if mask)
    track["segmentations"][t]["counts"] = "nonsense"


def make_all_crowds(root, content):
    all_crowds(content)


@pytest.mark.parametrize("damage", [break_frames, break_areas, break_masks, make_all_crowds])
def test_what_ends_an_evaluation_is_refused_before_training(tiny_opts, embedded, tmp_path, damage):
    root = tmp_path / "val"
    shutil.copytree(embedded / "val/JPEGImages", root)
    edit_json(embedded / "val.json", partial(damage, root), tmp_path / "val.json")
    sets = [
        ["tiny_train", str(embedded / "train.json"), str(embedded / "train/JPEGImages")],
        ["broken_" + damage.__name__, str(tmp_path / "val.json"), str(root)],
    ]
    opts = ["DATASETS.CUSTOM", str(sets), "DATASETS.TEST", f"('{sets[1][0]}',)"]
    with pytest.raises((ValueError, FileNotFoundError), match=r"val[./]") as caught:
        run([*tiny_opts, *opts])
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run/log.txt").exists()


@pytest.mark.gpu
@pytest.mark.parametrize("amp", ["False", "True"])
def test_training_on_a_gpu(tiny_opts, tmp_path, amp):
    run([*tiny_opts, "MODEL.DEVICE", "cuda", "SOLVER.AMP.ENABLED", amp])
    assert np.isfinite(losses(tmp_path / "run")[-1])


def test_dropout_in_inference_moves_scores_with_the_seed(tiny_opts, trained):
    weights = ["MODEL.WEIGHTS", str(trained / "model_final.pth")]

    def written():
        results = json.loads((trained / "inference/tiny_val/results.json").read_text())
        return [entry["score"] for entry in results]

    def scores(*words):
        run(["--eval-only", "--overwrite", *tiny_opts, *weights, *map(str, words)])
        return written()

    of_training = written()
    kept = ("MODEL.SIMPLEVTR.DROPOUT", 0.1, "TEST.DROPOUT", True, "SEED")
    first, again, other = (scores(*kept, seed) for seed in (1, 1, 2))
    assert first == again != other
    assert scores("MODEL.SIMPLEVTR.DROPOUT", 0.1, "SEED", 1) == of_training != first
    with pytest.raises(ValueError, match="TEST.DROPOUT is True: MODEL.SIMPLEVTR.DROPOUT must be"):
        scores("MODEL.SIMPLEVTR.DROPOUT", 0.0, "TEST.DROPOUT", True)
