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


def test_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    path = tmp_path / "home.yaml"
    path.write_text("OUTPUT_DIR: '~/runs/a'\nMODEL:\n  WEIGHTS: '~/w.pth'\n")
    for cfg in (
        setup_cfg(str(path)),
        setup_cfg("", ["OUTPUT_DIR", "~/runs/a", "MODEL.WEIGHTS", "~/w.pth"]),
    ):
        assert cfg.OUTPUT_DIR == "/home/me/runs/a"
        assert cfg.MODEL.WEIGHTS == "/home/me/w.pth"


def test_an_option_without_value():
    for words in (["SEED", "1", "--overlay"], ["SEED", "1", "--workers", "2"]):
        with pytest.raises(ValueError, match=f"{words[2]} must stand before the KEY VALUE pairs"):
            setup_cfg("", words)
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
    for name, message in (("gpu", "'gpu', which is not a device"), ("mps", "mps, which cannot be")):
        with pytest.raises(ValueError, match=f"MODEL.DEVICE is {message}"):
            check_device(setup_cfg("", ["MODEL.DEVICE", name]))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    with pytest.raises(ValueError, match="DEVICE is cuda:2, but this machine has 2 GPUs"):
        check_device(setup_cfg("", ["MODEL.DEVICE", "cuda:2"]))


EVIL = "OUTPUT_DIR: !!python/object/apply:os.system ['touch PWNED']\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (EVIL, r"line 1, column 13: the tag !!python/object/apply:os.system could run code"),
        ("SEED: !mine 3\n", r"line 1, column 7: the tag !mine could run code; allowed are plain"),
        ("MODEL:\n  DEVICE: cpu\n   WEIGHTS: x\n", r"line 3, column 11: not valid YAML: mapping"),
        ("MODEL:\n\tDEVICE: cpu\n", r"line 2, column 1: a tab; YAML is indented by blanks"),
        ("SEED: 1\nSEED: 2\n", r"line 2, column 1: .*'SEED' stands twice in one group"),
        ("SEED: 010\n", r"line 1, column 7: .*010 may be a number of another base"),
        ("SEED: 1:30\n", r"line 1, column 7: .*1:30 may be a number of another base"),
        ("SEED: !!bool maybe\n", r"line 1, column 7: .*not of the type !!bool"),
        ("OUTPUT_DIR: 2021-13-45\n", r"line 1, column 13: .*month must be in 1..12"),
        ("SEED: 5\n---\nSEED: 6\n", r"line 2, column 1: not valid YAML: .*another document"),
        ("[" * 1000, r"is nested too deep"),
        ("", r"holds nothing; groups of config keys are needed"),
        ("- a\n", r"holds a list; groups of config keys"),
        ("some words\n", r"holds text; groups of config keys"),
        (b"\x80\x02}q\x00.", r"is not text in UTF-8"),
        ("SEED: 1\n".encode("utf-16"), r"is not text in UTF-8"),  # as PowerShell writes
        ("SEED: \0\n", r"not valid YAML: unacceptable character"),
        (b"#" * 2**21, r"has more than 1048576 bytes"),
        ("MODEL: x\n", r"MODEL: 'x'; a group of keys is needed"),
        ("SEED: {a: 1}\n", r"SEED: {'a': 1}; a whole number is needed"),
        ("SEED: &a [*a]\n", r"SEED: \[.*; a whole number is needed"),
        ("MODEL:\n  WEIGHTS:\n", r"MODEL.WEIGHTS: None; text is needed"),
        ("SOLVER: {BASE_LR: .nan}\n", r"SOLVER.BASE_LR: nan; a finite number"),
        ("SEED: 99999999999999999999\n", r"SEED: 9+; a whole number below 2\*\*63"),
        ("DATASETS: {TEST: [1]}\n", r"DATASETS.TEST\[0\]: 1; text is needed"),
        ("DATASETS: {TEST: a}\n", r"DATASETS.TEST: 'a'; a list is needed"),
        ("DATASETS: {CUSTOM: [[a, 5, c]]}\n", r"DATASETS.CUSTOM\[0\]\[1\]: 5; text is needed"),
        ("INPUT: {MIN_SIZE_TRAIN: [a]}\n", r"INPUT.MIN_SIZE_TRAIN\[0\]: 'a'; a whole number"),
        ("INPUT: {CROP_RANGE: [1]}\n", r"INPUT.CROP_RANGE: \[1\] has 1 entries; 2 are needed"),
        ("TEST: {EXPECTED_RESULTS: [[segm, AP, 5]]}\n", r"RESULTS\[0\]: .* has 3 entries; 4"),
        ("1: 2\n", r"the config key 1 does not exist"),
        ("SOLVER.MAX_ITER: 2\n", r"as one name with dots: write SOLVER: {MAX_ITER: \.\.\.}"),
        ("MODEL: {SIMPLEVTR.LOSS: {}}\n", r"write MODEL: {SIMPLEVTR: {LOSS: \.\.\.}}"),
    ],
)
def test_a_file_that_is_not_a_config_is_named_in_one_line(tmp_path, monkeypatch, content, message):
    monkeypatch.chdir(tmp_path)
    wrong, above = tmp_path / "wrong.yaml", tmp_path / "above.yaml"
    wrong.write_bytes(content if isinstance(content, bytes) else content.encode())
    above.write_text("_BASE_: [wrong.yaml]\nSEED: 1\n")
    for path in (wrong, above):  # through _BASE_ the file with the mistake is named, too
        with pytest.raises(ValueError, match=message) as error:
            setup_cfg(str(path))
        assert str(error.value).startswith(str(wrong))
        assert "\n" not in str(error.value)
    assert not (tmp_path / "PWNED").exists()


def test_files_that_a_config_cannot_build_on(tmp_path):
    path, other = tmp_path / "a.yaml", tmp_path / "b.yaml"
    other.write_text("_BASE_: a.yaml\n")
    for base, message in (
        ("b.yaml", r"b.yaml: _BASE_: .*a.yaml builds on itself"),
        ("none.yaml", r"config file \(_BASE_ of .*a.yaml\) .*none.yaml does not exist"),
        (".", r"config file \(_BASE_ of .*a.yaml\) .* is a folder"),
        ("7", r"a.yaml: _BASE_: 7; the path of a file"),
        ("https://example.org/c.yaml", r"a.yaml: _BASE_: 'https.*; the path of a file"),
    ):
        path.write_text(f"_BASE_: {base}\n")
        with pytest.raises((ValueError, FileNotFoundError), match=message):
            setup_cfg(str(path))


def test_values_of_a_command_line_are_data_of_the_keys_type(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = setup_cfg("", ["OUTPUT_DIR", "2021", "SOLVER.BASE_LR", "1", "INPUT.CROP_RANGE", "(1, 2)"])
    assert (cfg.OUTPUT_DIR, cfg.SOLVER.BASE_LR, cfg.INPUT.CROP_RANGE) == ("2021", 1.0, [1, 2])
    for key, value, message in (
        ("SEED", "__import__('os').system('touch PWNED')", "SEED: .*; a whole number is needed"),
        ("SEED", "!!python/object/apply:os.system ['touch PWNED']", "a whole number is needed"),
        (
            "MODEL.SIMPLEVTR.NUM_QUERIES",
            "ten",
            "MODEL.SIMPLEVTR.NUM_QUERIES: 'ten'; a whole number",
        ),
        ("SEED", "{[]: 1}", "command line: SEED: .*; a whole number"),
        ("MODEL", "cpu", "command line: MODEL: 'cpu'; a group of keys"),
        ("MODEL.DEVICE.c", "1", "the config key MODEL.DEVICE.c does not exist"),
        ("MODEL.MASK_ON", "1", "MODEL.MASK_ON: 1; True or False is needed"),
    ):
        with pytest.raises(ValueError, match=message):
            setup_cfg("", [key, value])
    assert not (tmp_path / "PWNED").exists()
