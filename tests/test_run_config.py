from simplevtr import setup_cfg
from simplevtr.run_config import check_device

import pytest
from conftest import CLIPS_CONFIG


def test_base_files_and_options_are_merged():
    cfg = setup_cfg(CLIPS_CONFIG, ["SOLVER.MAX_ITER", "7"])
    assert cfg.SOLVER.MAX_ITER == 7
    assert cfg.MODEL.SIMPLEVTR.NUM_CLASSES == 6
    assert cfg.SEED == 666  # from the base of the base


def test_a_key_that_does_not_exist_names_the_nearest(tmp_path):
    with pytest.raises(ValueError, match=r"NUM_QUERYS does not exist; did you mean .*NUM_QUERIES"):
        setup_cfg("", ["MODEL.SIMPLEVTR.NUM_QUERYS", "5"])
    path = tmp_path / "wrong.yaml"
    path.write_text("MODEL:\n  SIMPLEVTR:\n    QUERIES: 5\n")
    with pytest.raises(ValueError, match="wrong.yaml: the config key MODEL.SIMPLEVTR.QUERIES does"):
        setup_cfg(str(path))


def test_a_value_of_the_wrong_type():
    with pytest.raises(ValueError, match="MODEL.SIMPLEVTR.NUM_QUERIES"):
        setup_cfg("", ["MODEL.SIMPLEVTR.NUM_QUERIES", "ten"])


def test_an_option_without_value():
    with pytest.raises(ValueError, match="KEY VALUE pairs, got 1 words"):
        setup_cfg("", ["SEED"])


def test_a_file_that_does_not_exist():
    with pytest.raises(FileNotFoundError, match=r"nowhere\.yaml"):
        setup_cfg("nowhere.yaml")


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match="DEVICE is cuda, but PyTorch finds no GPU.*DEVICE cpu"):
        check_device(setup_cfg())
    check_device(setup_cfg("", ["MODEL.DEVICE", "cpu"]))
