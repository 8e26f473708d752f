"""Files of weights: formats, safety, and that nothing is replaced or left half written."""

import argparse
import io
import pickle
import stat
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

from simplevtr.weights_file import check_writable, read_checkpoint, weights_of, write_weights

import numpy as np
import pytest
import torch
from foreign_weights import equal, read_weights
from safetensors.torch import save_file

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.count": torch.tensor(3)}


class Evil:
    """Unpickled, it would create a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return (open, (self.path, "w"))


def official_checkpoint(scheduler):
    """What the training scripts of DETR and VisTR store."""
    layer = torch.nn.Linear(2, 2)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=1e-4)
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    steps = {"step": (3,), "multi": ([3, 5],)}[scheduler]
    kinds = {"step": "StepLR", "multi": "MultiStepLR"}
    schedule = getattr(torch.optim.lr_scheduler, kinds[scheduler])(optimizer, *steps)
    return {
        "model": layer.state_dict(),
        "optimizer": optimizer.state_dict(),
        "lr_scheduler": schedule.state_dict(),
        "epoch": 17,
        "args": argparse.Namespace(lr=1e-4, masks=True, output_dir="r50", frozen=None, sizes=[1]),
    }


@pytest.mark.parametrize("wrap", [lambda w: w, lambda w: {"model": w}, lambda w: {"state_dict": w}])
@pytest.mark.parametrize("suffix", [".pth", ".pt"])
def test_pytorch_files(tmp_path, wrap, suffix):
    path = tmp_path / f"weights{suffix}"
    torch.save(wrap(WEIGHTS), path)
    assert equal(read_weights(path), WEIGHTS)


@pytest.mark.parametrize(
    ("content", "which"),
    [
        ({"state_dict": {"a": torch.zeros(1)}, "state_dict_ema": WEIGHTS}, "state_dict_ema"),
        (
            {
                "model": {"a": torch.zeros(1)},
                "model_ema": {f"module.{k}": v for k, v in WEIGHTS.items()} | {"n_averaged": 3},
            },
            "model_ema",
        ),
        ({"model": {f"module.{k}": v for k, v in WEIGHTS.items()}, "model_ema": None}, "as they"),
    ],
)
def test_averages_that_others_keep_are_taken(tmp_path, content, which):
    torch.save(content, path := tmp_path / "w.pth")
    weights, text = weights_of(read_checkpoint(path), path)
    assert equal(weights, WEIGHTS)
    assert which in text


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("scheduler", ["step", "multi"])
def test_training_states_and_command_lines_do_not_matter(tmp_path, scheduler, zipped):
    content = official_checkpoint(scheduler)
    torch.save(content, tmp_path / "r50.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(pickle.UnpicklingError):  # the obstacle
        torch.load(tmp_path / "r50.pth", weights_only=True)
    assert equal(read_weights(tmp_path / "r50.pth"), dict(content["model"]))


def test_threads_read_at_once(tmp_path, monkeypatch):
    """What torch may load is the process's: one thread took it from another."""
    path = tmp_path / "weights.pth"
    torch.save({"model": {"a": torch.zeros(3)}, "step": np.float64(3.0)}, path)
    before = [*warnings.filters]
    monkeypatch.setattr(
        torch, "load", lambda *_, _load=torch.load, **k: time.sleep(0.01) or _load(*_, **k)
    )
    with ThreadPoolExecutor(4) as pool:
        found = [*pool.map(read_checkpoint, [path] * 12)]
    assert all(own["step"] == 3 for own in found)
    assert warnings.filters == before


def test_safetensors(tmp_path):
    save_file(WEIGHTS, tmp_path / "weights.safetensors")
    assert equal(read_weights(tmp_path / "weights.safetensors"), WEIGHTS)


def test_the_zoos_pickles(tmp_path):
    arrays = {name: value.numpy() for name, value in WEIGHTS.items()}
    for content in ({"model": arrays, "__author__": "x"}, {"blobs": arrays}, arrays):
        content = {**content, **({"a_momentum": arrays["a.count"]} if content is arrays else {})}
        (tmp_path / "w.pkl").write_bytes(pickle.dumps(content))
        assert equal(read_weights(tmp_path / "w.pkl"), WEIGHTS)


@pytest.mark.parametrize("name", ["evil.pth", "evil.pt", "evil.pkl", "old.pth", "raw.pth", "E.PKL"])
@pytest.mark.parametrize("place", ["model", "args"])
def test_a_file_that_would_run_code_is_refused(tmp_path, name, place):
    written, path = tmp_path / "written", tmp_path / name
    content = {"model": dict(WEIGHTS), "args": argparse.Namespace(lr=1)}
    if place == "model":
        content["model"]["evil"] = Evil(written)
    else:
        content["args"].evil = Evil(written)
    if name in ("evil.pkl", "raw.pth", "E.PKL"):
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=name != "old.pth")
    # A pickle that is not torch's is refused at its first tensor already.
    culprit = r"(\w*\.?open|torch\.\S+)"
    message = rf"{name} is not a checkpoint .* safely: it refers to {culprit}, which could run code"
    with pytest.raises(ValueError, match=message):
        read_weights(path)
    assert not written.exists()


def truncated_archive(content, end):
    buffer = io.BytesIO()
    torch.save({"model": content}, buffer)
    return buffer.getvalue()[:end]


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".pkl", ".safetensors"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it is empty"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><html>Not found</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer.*pull"),
        (b"Not Found\n", "it is text that begins with 'Not Found"),
        (truncated_archive(WEIGHTS, -200), "it is an archive that is damaged or incomplete"),
        (truncated_archive(torch.ones(9999), 5000), "it is an archive that is damaged or incompl"),
        (b"PK\x03\x04 no zip", "it is an archive that is damaged or incomplete"),
        (b"\x80\x02}q", "it is damaged"),
        (b"\x80\x04junk", "it is damaged"),
        (bytes(range(256)), "it is damaged"),
    ],
)
def test_what_a_file_is_instead(tmp_path, suffix, content, reason):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"bad{suffix} is not a checkpoint .*{reason}") as error:
        read_weights(path)
    message = str(error.value)
    assert not any(advice in message for advice in ("weights_only", "trust", "add_safe_globals"))
    assert "\n" not in message


@pytest.mark.parametrize(
    ("suffix", "protocol"), [(".pth", 2), (".pkl", 2), (".pkl", 4), (".pkl", 5)]
)
def test_numpys_scalars_arrays_and_dtypes_are_data(tmp_path, suffix, protocol):
    path, extra = tmp_path / f"numpy{suffix}", {
        "best_acc1": np.float64(76.1),
        "epoch": np.int64(3),
        "done": np.bool_(True),
        "name": np.str_("r18"),
        "big": np.array([1, 2], ">i4"),
        "table": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        "kind": np.dtype("float32"),
        "type": np.float32,
    }  # fmt: skip
    weights = {"a": torch.ones(2)} if suffix == ".pth" else {"a": np.ones(2, np.float32)}
    content = {"model": weights, **extra}
    if suffix == ".pkl":
        path.write_bytes(pickle.dumps(content, protocol=protocol))
    else:
        torch.save(content, path)
    read = read_checkpoint(path)
    for key, value in extra.items():
        assert np.array_equal(read[key], value), key
        assert isinstance(read[key], type(value))
    assert read_weights(path)["a"].dtype == torch.float32


class Reduced:
    """Pickled as a call of a function with these arguments and this state."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


@pytest.mark.parametrize("suffix", [".pth", ".pkl"])
def test_arrays_of_objects_are_not_data(tmp_path, suffix):
    """Their bytes would be taken for addresses in memory."""
    objects = np.dtype("O")
    reconstruct, scalar = (np._core.multiarray.__dict__[n] for n in ("_reconstruct", "scalar"))
    for number, evil in enumerate((
        np.array([{}, 1], dtype=object),
        Reduced(reconstruct, (np.ndarray, (1,), b"b"), (1, (1,), objects, False, b"\1" * 8)),
        Reduced(scalar, (objects, b"\1" * 8)),
        Reduced(np.ndarray, ((1,), objects, b"\1" * 8)),
        np.zeros(1, dtype=[("a", "O")]),
    )):  # fmt: skip
        path = tmp_path / f"{number}{suffix}"
        content = {"model": {"a": torch.ones(1) if suffix == ".pth" else np.ones(1)}, "x": evil}
        torch.save(content, path) if suffix == ".pth" else path.write_bytes(pickle.dumps(content))
        with pytest.raises(ValueError, match="is not a checkpoint that can be read safely"):
            read_weights(path)


def test_files_without_weights_are_named(tmp_path):
    torch.save({"model": {}}, tmp_path / "empty.pth")
    torch.save([torch.ones(1)], tmp_path / "list.pth")
    for name in ("empty", "list"):
        with pytest.raises(ValueError, match=rf"{name}.pth holds no weights"):
            read_weights(tmp_path / f"{name}.pth")
    torch.save({"model": {"a": 3}}, tmp_path / "number.pth")
    with pytest.raises(ValueError, match="'a' is of type int, where a tensor"):
        read_weights(tmp_path / "number.pth")
    for odd in (torch.eye(2).to_sparse(), torch.empty(2, device="meta")):
        torch.save({"model": {"a": odd}}, tmp_path / "odd.pth")
        with pytest.raises(ValueError, match="odd.pth: 'a' is sparse, quantised or without values"):
            read_weights(tmp_path / "odd.pth")
    (tmp_path / "w.pkl").write_bytes(pickle.dumps({"a": np.array(["x"])}))
    with pytest.raises(ValueError, match="'a' is of type ndarray"):
        read_weights(tmp_path / "w.pkl")


def test_missing_files_and_other_suffixes_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.pth does not exist"):
        read_weights(tmp_path / "none.pth")
    with pytest.raises(ValueError, match=r"w\.onnx must end in one of \.pth, \.pt, \.pkl, \.safe"):
        read_weights(tmp_path / "w.onnx")


def test_writing(tmp_path):
    path = tmp_path / "w.pth"
    assert write_weights(WEIGHTS, path, overwrite=False) == path.stat().st_size
    assert equal(torch.load(path, weights_only=True)["model"], WEIGHTS)
    (tmp_path / "plain").touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    with pytest.raises(FileExistsError, match=r"w\.pth exists.*--overwrite"):
        write_weights({}, path, overwrite=False)
    assert equal(read_weights(path), WEIGHTS)
    write_weights({"b": torch.ones(1)}, path, overwrite=True)
    assert set(read_weights(path)) == {"b"}


def test_a_write_that_fails_leaves_nothing_and_keeps_the_old_file(tmp_path):
    path = tmp_path / "w.pth"
    write_weights(WEIGHTS, path, overwrite=False)
    with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
        write_weights({"a": lambda: None}, path, overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["w.pth"]
    assert equal(read_weights(path), WEIGHTS)


def test_bad_targets(tmp_path):
    with pytest.raises(ValueError, match=r"w\.pkl must end in \.pth"):
        check_writable(tmp_path / "w.pkl", overwrite=False)
