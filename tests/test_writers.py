"""Scalars of a training in the runs of other services, which a resumed training goes on with."""

from pathlib import Path

from simplevtr.engine import runs, writers
from simplevtr.engine.trainer import ClipTrainer

import pytest
from conftest import run_train_net


def train(tiny_opts, *words, iterations=2):
    words = [*tiny_opts, "DATASETS.TEST", "()", *words, "SOLVER.MAX_ITER", str(iterations)]
    return run_train_net("--resume", *words)


class Kept(writers.RunWriter):
    """Keeps what it gets in the class."""

    name = "kept"
    log: list

    def _open(self, known):
        self.log.append(("open", known))
        return known or "run 1"

    def _send(self, scalars, iteration):
        self.log.append((iteration, sorted(scalars)))

    def _end(self, *, failed):
        self.log.append(("end", failed))


@pytest.fixture
def kept(monkeypatch):
    """A writer of which nothing needs to be installed."""
    Kept.log = []
    monkeypatch.setitem(writers.WRITERS, "kept", Kept)
    monkeypatch.setattr(runs, "check_writers", lambda names: None)
    return Kept.log


def test_a_resumed_training_goes_on_with_its_run(tiny_opts, tmp_path, kept):
    train(tiny_opts, "WRITERS", "['kept']")
    assert [row[0] for row in kept] == ["open", 1, "end"]
    assert kept[0] == ("open", None)
    assert {"total_loss", "lr"} <= {*kept[1][1]}
    assert kept[-1] == ("end", False)
    assert (tmp_path / "run/kept_run.txt").read_text() == "run 1"
    kept.clear()
    train(tiny_opts, "WRITERS", "['kept']", iterations=4)
    assert (kept[0], kept[1][0], kept[-1]) == (("open", "run 1"), 3, ("end", False))
    (tmp_path / "run/last_checkpoint").unlink()
    for path in (tmp_path / "run").glob("model_*.pth"):
        path.unlink()
    kept.clear()
    train(tiny_opts, "WRITERS", "['kept']")
    assert kept[0] == ("open", None)  # it starts anew


def test_an_error_ends_a_run_as_failed(tiny_opts, kept, monkeypatch):
    def fail(self):
        raise FloatingPointError

    monkeypatch.setattr(ClipTrainer, "run_step", fail)
    with pytest.raises(FloatingPointError):
        train(tiny_opts, "WRITERS", "['kept']")
    assert kept[-1] == ("end", True)


def test_what_cannot_be_written_to_is_refused(tiny_opts, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="WRITERS has 'comet'; allowed are wandb, mlflow"):
        train(tiny_opts, "WRITERS", "['comet']")
    (tmp_path / "wandb").mkdir()  # as runs leave one behind
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(ValueError, match=r"not installed: pip install 'simplevtr\[wandb\]'"):
        writers.check_writers(["wandb"])
    assert not (tmp_path / "run").exists() or not list((tmp_path / "run").glob("*.pth"))


def test_mlflow(tiny_opts, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow", reason="pip install 'simplevtr[mlflow]'")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    train(tiny_opts, "WRITERS", "['mlflow']")
    train(tiny_opts, "WRITERS", "['mlflow']", iterations=4)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("simplevtr")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("run", "FINISHED")
    steps = [metric.step for metric in client.get_metric_history(run.info.run_id, "total_loss")]
    assert steps == [1, 3]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["config.yaml"]
    (tmp_path / "run/mlflow_run.txt").write_text("0" * 32)
    with pytest.raises(ValueError, match="WRITERS 'mlflow': no run can be started: .*Run"):
        train(tiny_opts, "WRITERS", "['mlflow']", iterations=6)


def test_wandb(tiny_opts, tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="pip install 'simplevtr[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    train(tiny_opts, "WRITERS", "['wandb']")
    name = (tmp_path / "run/wandb_run.txt").read_text()
    train(tiny_opts, "WRITERS", "['wandb']", iterations=4)
    assert (tmp_path / "run/wandb_run.txt").read_text() == name
    found = sorted(Path(tmp_path / "run/wandb").glob(f"offline-run-*/run-{name}.wandb"))
    assert len(found) == 2
    assert all(b"total_loss" in path.read_bytes() for path in found)
