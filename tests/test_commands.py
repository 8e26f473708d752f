"""``simplevtr COMMAND``: the same functions as the scripts of a clone, found by name."""

import json
import subprocess
import sys

from simplevtr import config_file, setup_cfg
from simplevtr.commands import COMMANDS, main, train_net

import pytest
from conftest import CLIPS_CONFIG, ROOT

SLOW = ("torch", "detectron2", "matplotlib")  # seconds each, and more on a busy machine
SHOW_HELP = f"""
import contextlib, io, json, sys
from simplevtr.commands import COMMANDS, main
texts = {{}}
for words in ([], *([name] for name in COMMANDS)):
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
        main([*words, "--help"])
    texts[" ".join(["simplevtr", *words])] = out.getvalue()
print(json.dumps([texts, [name for name in {SLOW} if name in sys.modules]]))
"""


def test_every_help_is_there_without_what_is_slow_to_import():
    done = subprocess.run([sys.executable, "-c", SHOW_HELP], cwd=ROOT, stdout=subprocess.PIPE)
    texts, slow = json.loads(done.stdout)
    assert slow == []
    assert all(f"\n  {name} " in texts["simplevtr"] for name in COMMANDS)
    for command, text in texts.items():
        assert text.startswith(f"usage: {command} ")


def test_an_unknown_command_is_refused(capsys):
    assert main([]) == 2
    assert "usage: simplevtr COMMAND" in capsys.readouterr().out
    assert main(["--help"]) == 0
    capsys.readouterr()
    assert main(["frobnicate"]) == 2
    assert "'frobnicate' is not a command; commands are train, eval" in capsys.readouterr().err


def test_eval_is_train_with_eval_only(tiny_opts, capsys):
    assert main(["eval", "--config-file", CLIPS_CONFIG, *tiny_opts]) == 2
    assert capsys.readouterr().err.startswith("simplevtr eval: error: --eval-only needs weights")


@pytest.mark.parametrize("name", ["demo", "segment", "evaluate", "visualize", "export-tracks"])
def test_a_threshold_that_no_score_reaches_is_refused(name, capsys):
    with pytest.raises(SystemExit, match="2"):
        main([name, "--score-threshold", "50"])
    assert "50 was given; it must be at least 0 and at most 1" in capsys.readouterr().err


def test_training_has_the_options_of_detectron2():
    from detectron2.engine import default_argument_parser

    known = {tuple(action.option_strings) for action in train_net.main.parser()._actions}
    assert known >= {tuple(action.option_strings) for action in default_argument_parser()._actions}


@pytest.mark.parametrize("place", ["site/simplevtr/configs", "clone/configs"])
def test_our_configs_are_found_from_anywhere(tmp_path, monkeypatch, place):
    package = tmp_path / place.split("/")[0] / "simplevtr"
    package.mkdir(parents=True)
    (tmp_path / place).mkdir(exist_ok=True)
    config = tmp_path / place / "one.yaml"
    config.write_text("SEED: 7\n")
    monkeypatch.setattr(config_file, "__file__", str(package / "config_file.py"))
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    assert setup_cfg("configs/one.yaml").SEED == 7
    with pytest.raises(FileNotFoundError, match="configs/two.yaml does not exist"):
        setup_cfg("configs/two.yaml")
    (tmp_path / "empty/configs").mkdir()
    (tmp_path / "empty/configs/one.yaml").write_text("SEED: 8\n")  # the user's own goes first
    assert setup_cfg("configs/one.yaml").SEED == 8


def test_the_doctor_still_has_its_first_name(tmp_path):
    words = [sys.executable, "-m", "simplevtr.data.doctor", str(tmp_path / "no.json")]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no.json does not exist" in done.stderr
