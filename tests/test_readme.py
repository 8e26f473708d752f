"""README and docs: commands have the options that they are given, links lead somewhere."""

import re
import runpy
import shlex

from simplevtr.video_io import open_sink

import numpy as np
import pytest
from conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {
    path: path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "datasets/README.md"]
}
TEXT = "\n".join(PAGES.values())
COMMANDS = [
    line.replace("\\\n", " ").strip()
    for line in re.findall(r"^    ((?:python|simplevtr) (?:[^\n]*\\\n)*[^\n]*)", TEXT, re.M)
]


def test_there_are_commands():
    scripts = {shlex.split(command)[1] for command in COMMANDS}
    assert scripts >= {"train_net.py", "demo", "demo/demo.py", "tools/evaluate.py", "segment"}


def script_of(command):
    """The script, or "simplevtr" and one of its commands."""
    words = shlex.split(command)
    return words[1] if words[0] == "python" else " ".join(words[:2])


@pytest.mark.parametrize("script", sorted({script_of(c) for c in COMMANDS}))
def test_options_exist(script, monkeypatch, capsys):
    name, *rest = script.split()
    monkeypatch.setattr("sys.argv", [name, *rest, "--help"])
    run, name = (runpy.run_module, name) if rest else (runpy.run_path, str(ROOT / name))
    with pytest.raises(SystemExit, match="0"):
        run(name, run_name="__main__")
    help_text = capsys.readouterr().out
    for command in COMMANDS:
        words = shlex.split(command)
        if script_of(command) == script:
            for option in (w for w in words if w.startswith("--")):
                assert option in help_text, f"{script} has no {option}"


def test_links_lead_somewhere():
    """Files, and headings as they are named in addresses."""
    for page, text in PAGES.items():
        for path, heading in re.findall(r"\]\(([\w/.]*)(?:#([\w-]+))?\)", text):
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), f"{page.name}: {path}"
            if heading:
                titles = re.findall(r"^#+ (.+)$", PAGES[target], re.M)
                names = {
                    re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles
                }
                assert heading in names, f"{page.name}: {path}#{heading}"


def test_configs_in_commands_exist():
    for path in set(re.findall(r"configs/[\w/]+\.yaml", TEXT)):
        assert (ROOT / path).is_file(), path


def test_python_example_runs(tmp_path, capsys, monkeypatch):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.S)
    with open_sink(tmp_path / "video.mp4", 10, (64, 96)) as sink:
        for i in range(3):
            sink.write(np.full((64, 96, 3), 50 * i, dtype=np.uint8))
    monkeypatch.chdir(ROOT)
    exec(code.replace("video.mp4", str(tmp_path / "video.mp4")), {})
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["0", "1", "2"]


def test_files_that_the_architecture_names_exist():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    names = {*re.findall(r"[`\s]((?:\w+/)*\w+\.py)\b", text)}
    files = [f"/{p.relative_to(ROOT)}" for d in ("*", "[!.]*/**/*") for p in ROOT.glob(f"{d}.py")]
    assert len(names) > 40
    assert [name for name in names if not any(f.endswith(f"/{name}") for f in files)] == []
