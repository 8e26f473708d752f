"""The wheel alone: configs, the shipped model and the command, in another folder than the clone."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from conftest import ROOT
from PIL import Image


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    folders = {"egg_info": "egg-base", "build": "build-base", "bdist_wheel": "dist-dir"}
    words = [word for name, key in folders.items() for word in (name, f"--{key}", str(folder))]
    subprocess.run([sys.executable, "setup.py", "--quiet", *words], check=True, cwd=ROOT)
    (wheel,) = folder.glob("simplevtr-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_the_demo_runs_from_the_wheel_alone(site, tmp_path):
    frames = tmp_path / "frames"
    frames.mkdir()
    for index in range(3):
        picture = np.zeros((64, 96, 3), np.uint8)
        picture[20:50, 20 + index : 50 + index] = 200, 40, 40
        Image.fromarray(picture).save(frames / f"{index}.png")
    path = os.pathsep.join([str(site), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    options = "--config-file configs/embedded/pretrained.yaml --input frames --output drawn"
    code = "import simplevtr, simplevtr.commands as c; print(simplevtr.__file__); exit(c.main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "demo", *options.split(), "--results", "tracks.json"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(site))
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 3
    assert (tmp_path / "tracks.json").is_file()
