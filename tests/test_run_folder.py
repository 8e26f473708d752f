"""One run at a time writes into a folder, and nothing of an earlier one is overwritten."""

import errno
import multiprocessing
import os
import signal
import time

from simplevtr import setup_cfg
from simplevtr.engine.run_folder import (
    claim_results,
    disown_results,
    only_run_in,
    refuse_other_config,
    refuse_used_folder,
)

import pytest


def hold(folder, worker_id, ready):
    """A run with a data loader's worker."""
    with only_run_in(folder):
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
        worker_id.value = worker.pid
        ready.set()
        time.sleep(60)


def test_a_second_run_is_refused_until_the_first_has_ended(tmp_path):
    folder = str(tmp_path / "new/run")
    with only_run_in(folder):
        with (
            pytest.raises(FileExistsError, match=f"new/run is in use by process {os.getpid()} on"),
            only_run_in(folder),
        ):
            pass
        with only_run_in(str(tmp_path / "other")):
            pass
    with pytest.raises(KeyError), only_run_in(folder):
        raise KeyError
    with only_run_in(folder):
        pass


def test_a_file_in_the_place_of_the_folder_is_named(tmp_path):
    (tmp_path / "taken").write_text("mine")
    for folder in ("taken", "taken/run"):
        with (
            pytest.raises(NotADirectoryError, match=f"{tmp_path}/taken is not a folder"),
            only_run_in(str(tmp_path / folder)),
        ):
            pass


def test_a_full_disk_names_a_file(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("socket.gethostname", full)  # a part of what is written
    with (
        pytest.raises(OSError, match=f"No space left on device: '{tmp_path}/.lock'"),
        only_run_in(str(tmp_path)),
    ):
        pass


def test_a_killed_run_leaves_no_lock_and_no_half_checkpoint(tmp_path):
    fork = multiprocessing.get_context("fork")
    worker_id, ready = fork.Value("i"), fork.Event()
    run = fork.Process(target=hold, args=(str(tmp_path), worker_id, ready))
    run.start()
    try:
        assert ready.wait(30)
        with (
            pytest.raises(FileExistsError, match=f"in use by process {run.pid} on"),
            only_run_in(str(tmp_path)),
        ):
            pass
        (tmp_path / ".model_0000001.pth.123.partial").write_bytes(b"half")
        run.kill()
        run.join()
        with only_run_in(str(tmp_path)):  # though the worker is still there
            os.kill(worker_id.value, 0)
            assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    finally:
        os.kill(worker_id.value, signal.SIGKILL)


@pytest.mark.parametrize("name", ["last_checkpoint", "metrics.json", "model_0000099.pth"])
def test_an_earlier_training_is_not_mixed_with_a_new_one(tmp_path, name):
    refuse_other_config(str(tmp_path))
    for text in ("", "CUDNN", "CUDNN_BENCHMARK: false\nDATASETS:\n"):  # whole or torn by a kill
        (tmp_path / "config.yaml").write_text(text)
        refuse_other_config(str(tmp_path))
    (tmp_path / "config.yaml").write_text("# mine\n_BASE_: other.yaml\n")
    with pytest.raises(FileExistsError, match=r"config\.yaml would be replaced by the complete"):
        refuse_other_config(str(tmp_path))
    (tmp_path / "config.yaml").unlink()
    refuse_used_folder(str(tmp_path / "missing"))
    refuse_used_folder(str(tmp_path))
    (tmp_path / name).touch()  # as a run leaves metrics.json that fails before its first step
    refuse_used_folder(str(tmp_path))
    (tmp_path / name).write_text("{}")
    with pytest.raises(FileExistsError, match=rf"holds an earlier run \({name}\).*--resume"):
        refuse_used_folder(str(tmp_path))


def test_results_of_an_evaluation_are_not_replaced_by_a_training(tmp_path):
    cfg = setup_cfg()
    cfg.OUTPUT_DIR = str(tmp_path)
    cfg.DATASETS.TEST = ("one", "two")
    results = tmp_path / "inference/two/results.json"

    def claim(resume=False, overwrite=False):
        claim_results(cfg, resume=resume, overwrite=overwrite)

    def assert_refused(**options):
        with pytest.raises(FileExistsError, match=r"two/results.json .*OUTPUT_DIR.*--overwrite"):
            claim(**options)

    results.parent.mkdir(parents=True)
    results.touch()
    for resume in (False, True):
        assert_refused(resume=resume)
    results.unlink()
    claim()
    results.touch()  # the training's own
    claim(resume=True)
    assert_refused()  # not those of a new training
    disown_results(cfg)  # now --eval-only --overwrite has written them
    assert_refused(resume=True)
    claim(resume=True, overwrite=True)
    claim(resume=True)
