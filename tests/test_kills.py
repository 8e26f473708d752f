"""The script that stops runs again and again: it tells what is lost and what is left behind."""

import json
import shlex

import kills
import pytest

# Locks its folder, works for a while and writes its result, as a whole or in two parts.
WORK = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
folder.mkdir(exist_ok=True)
(folder / ".lock").write_text("process %d " % os.getpid())
if sys.argv[2] == "torn":
    (folder / "result").write_text("torn")
time.sleep(0.2)
(folder / "part").write_text("whole")
os.replace(folder / "part", folder / "result")
"""


def results(folder):
    return {path.name: path.read_text() for path in folder.glob("result")}


@pytest.mark.parametrize(("kind", "status"), [("whole", 0), ("torn", 1)])
def test_what_a_stopped_run_leaves_torn_is_an_error(monkeypatch, tmp_path, call, kind, status):
    words = f"-c {shlex.quote(WORK)} {{output}} {kind}"
    monkeypatch.setattr(kills, "works", lambda place: [kills.Work("write", words, results)])
    monkeypatch.setattr(kills, "WAYS", ("SIGKILL", "SIGTERM"))
    output, figures = tmp_path / "kills", tmp_path / "figures.json"
    done, out, err = call(kills, "--kills", 4, "--output", output, "--json", figures)
    assert done == status, err
    rows = json.loads(figures.read_text())
    assert [row["times"] for row in rows] == [2, 2]
    assert [row["left behind"] for row in rows] == [0, 0]
    assert all(set(row["lost"]) <= {"result"} for row in rows)
    assert any(row["lost"] for row in rows) == any("error" in row for row in rows) == bool(status)
    assert "SIGTERM" in out
