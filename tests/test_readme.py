"""The commands of the README exist with the options that it gives them."""

import re
import runpy
import shlex

from simplevtr.video_io import open_sink

import numpy as np
import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.replace("\\\n", " ").strip()
    for line in re.findall(r"^    (python (?:[^\n]*\\\n)*[^\n]*)", README, re.M)
]
FOLDERS = ("tools", "demo", "datasets", "benchmarks")


def test_there_are_commands():
    scripts = {shlex.split(command)[1] for command in COMMANDS}
    assert scripts >= {"train_net.py", "demo/demo.py", "tools/evaluate.py"}


def script_of(command):
    """The script, or the module behind -m."""
    words = shlex.split(command)
    return words[2] if words[1] == "-m" else words[1]


@pytest.mark.parametrize("script", sorted({script_of(c) for c in COMMANDS}))
def test_options_exist(script, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", [script, "--help"])
    is_file = script.endswith(".py")
    run, name = (runpy.run_path, str(ROOT / script)) if is_file else (runpy.run_module, script)
    with pytest.raises(SystemExit, match="0"):
        run(name, run_name="__main__")
    help_text = capsys.readouterr().out
    for command in COMMANDS:
        words = shlex.split(command)
        if script_of(command) == script:
            for option in (w for w in words if w.startswith("--")):
                assert option in help_text, f"{script} has no {option}"


def test_scripts_find_the_package_from_anywhere():
    """Without installation: the repository's root is on the path before anything of it is used."""
    scripts = {p: p.read_text() for d in FOLDERS for p in (ROOT / d).glob("*.py")}
    scripts = {p: text for p, text in scripts.items() if "\nif __name__ ==" in text}
    assert len(scripts) > 20
    for path, text in scripts.items():
        of_ours = re.search(r"^(from|import) (simplevtr|benchmarks|train_net)\b", text, re.M)
        added = text.find("\nsys.path.insert(0, str(Path(__file__).resolve().parents[1]))")
        assert of_ours is None or 0 < added < of_ours.start(), path


@pytest.mark.parametrize("path", re.findall(r"\]\(([\w/.]+)\)", README))
def test_links_lead_somewhere(path):
    assert (ROOT / path).exists()


def test_configs_in_commands_exist():
    for path in set(re.findall(r"configs/[\w/]+\.yaml", README)):
        assert (ROOT / path).is_file(), path


def test_python_example_runs(tmp_path, capsys, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    with open_sink(tmp_path / "video.mp4", 10, (64, 96)) as sink:
        for i in range(3):
            sink.write(np.full((64, 96, 3), 50 * i, dtype=np.uint8))
    monkeypatch.chdir(ROOT)
    exec(code.replace("video.mp4", str(tmp_path / "video.mp4")), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0", "1", "2"]
