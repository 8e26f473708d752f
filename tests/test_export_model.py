"""``simplevtr export``: the file computes what the model does, and says how to use it."""

import copy
import json
import subprocess
import sys
import wave
from argparse import Namespace
from dataclasses import replace

from simplevtr.commands import main
from simplevtr.config_file import merge_words
from simplevtr.inference.exported_model import PACKAGES, ExportedModel
from simplevtr.structures import Classes
from simplevtr.video_io import open_sink, open_source
from simplevtr.weights_file import write_weights

import numpy as np
import pytest
import torch
from conftest import ROOT, build

TIMM = ["MODEL.BACKBONE.NAME", "build_timm_backbone", "MODEL.TIMM.NAME"]
MOBILE = [*TIMM, "tf_mobilenetv3_small_minimal_100"]
SWIN = [*TIMM, "swin_tiny_patch4_window7_224", "MODEL.TIMM.OPTIONS.depths", "[2, 1, 1, 1]"]
SWIN += ["MODEL.TIMM.OPTIONS.strict_img_size", "False"]
MIXER = [*TIMM, "mixer_s16_224"]
VIT = [*TIMM, "vit_tiny_patch16_224", "MODEL.TIMM.OPTIONS.depth", "3"]
VIT += ["MODEL.TIMM.OPTIONS.dynamic_img_size", "True"]
TWINS = [*TIMM, "twins_svt_small", "MODEL.TIMM.OPTIONS.depths", "[1, 1, 1, 1]"]
MAXVIT = [*TIMM, "maxvit_rmlp_pico_rw_256", "MODEL.TIMM.OPTIONS.depths", "[1, 1, 1, 1]"]
MAXVIT += ["MODEL.TIMM.OPTIONS.embed_dim", "[32, 32, 32, 32]"]
RESIZED = ["MODEL.TIMM.SIZE", "[64, 96]"]
KINDS = {  # of the paper's section 3.3: words, and the only frame size if there is one
    "vit": (VIT, None),
    "swin": (SWIN, (64, 96)),
    "resized mixer": ([*MIXER, *RESIZED], None),
    "twins": (TWINS, (64, 96)),
    "resized maxvit": ([*MAXVIT, *RESIZED], None),
}
NAMES = ("disk", "square", "star", "triangle", "cross", "ring")
SIZES = [(1, 2, 2), (2, 3, 2), (7, 2, 5)]  # frames, and rows and columns of size_divisor pixels
_EXPORTED = {}  # by head: an export takes seconds


@pytest.fixture(params=["paper", "pixel"])
def exported(request, tiny_cfg, pixel_cfg, tmp_path_factory):
    """The paper's head on a ResNet, the pixel head on a model of timm."""
    head, folder = request.param, tmp_path_factory.mktemp("model")
    if head not in _EXPORTED:
        cfg, words = {"paper": (tiny_cfg, []), "pixel": (pixel_cfg, MOBILE)}[head]
        _EXPORTED[head] = ExportedModel.of_config(saved(cfg, folder, words))
    return _EXPORTED[head]


@pytest.fixture
def onnx_file(exported, tmp_path):
    return written(exported, tmp_path)


def written(exported, folder):
    """The file of ``write_onnx``."""
    for name in PACKAGES:
        pytest.importorskip(name, reason="an extra: pip install -e '.[export]'")
    exported.write_onnx(folder / "model.onnx")
    return folder / "model.onnx"


def check_outputs(run, exported):
    """``run`` maps frames to the model's outputs by name, at several lengths and sizes."""
    for count, *cells in SIZES:
        cells = [2, 3] if exported.metadata["fixed_size"] else cells
        frames = frames_of((count, *cells), exported.metadata["size_divisor"])
        with torch.no_grad():
            found, wanted = run(frames), exported.module(frames)
        assert [*found] == [*wanted]
        for name, tensor in wanted.items():
            torch.testing.assert_close(torch.as_tensor(found[name]), tensor, atol=1e-4, rtol=0)


def check_onnx(path, exported):
    """The file computes what the model does, and has its metadata."""
    import onnxruntime

    session, names = onnxruntime.InferenceSession(path), [*exported.metadata["outputs"]]
    texts = session.get_modelmeta().custom_metadata_map
    assert {key: json.loads(text) for key, text in texts.items()} == exported.metadata

    def run(frames):
        return dict(zip(names, session.run(names, {"frames": frames.numpy()}), strict=True))

    check_outputs(run, exported)


def saved(cfg, folder, words=()):
    """The config with the weights of its model, which has few layers, in one file."""
    node = cfg.MODEL.SIMPLEVTR
    node.ENC_LAYERS, node.DEC_LAYERS, node.NUM_QUERIES = min(1, node.ENC_LAYERS), 2, 2
    cfg.TEST.WINDOW = 4
    merge_words(cfg, words)
    path = folder / "model.safetensors"
    classes = Classes(NAMES, tuple(range(1, 7)))
    write_weights(build(cfg).state_dict(), path, classes=classes, config=cfg.dump())
    cfg.MODEL.WEIGHTS = str(path)
    return cfg


def frames_of(shape, divisor):
    count, rows, columns = shape
    size = (count, 3, rows * divisor, columns * divisor)
    return torch.randint(256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_onnx_equals_the_model_at_other_lengths_and_sizes(onnx_file, exported, tmp_path):
    check_onnx(onnx_file, exported)
    if "boxes" in exported.metadata["outputs"]:  # the other's random masks hardly show
        drawn_without_torch(onnx_file, tmp_path)


def write_silence(path):
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16000))


def run_without(package, script, *words):
    """Run a script in a process that cannot import the package."""
    code = f"import sys, runpy; sys.modules['{package}'] = None; sys.argv = sys.argv[1:]; "
    code += "runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, script, *words]
    return subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=300)


def drawn_without_torch(onnx_file, folder):
    """The stream example draws something on each of nine frames, in windows of four."""
    video, drawn = folder / "video.mp4", folder / "drawn.mp4"
    with open_sink(video, 10, (64, 96)) as sink:
        for i in range(9):
            sink.write(np.full((64, 96, 3), 25 * i, dtype=np.uint8))
    words = [onnx_file, video, drawn, "--threshold", "0"]
    done = run_without("torch", ROOT / "demo/onnx_stream.py", *words)
    assert done.returncode == 0, done.stderr
    assert "9 frames" in done.stdout
    before, after = [*open_source([str(video)])], [*open_source([str(drawn)])]
    assert len(after) == 9
    assert all(np.abs(a.astype(int) - b).max() > 30 for a, b in zip(after, before, strict=True))
    sound, text, new = folder / "sound.wav", folder / "text.txt", folder / "new.mp4"
    write_silence(sound)
    text.write_text("not a video, and not a model")
    for words, message in [
        ((onnx_file, video, video), "video.mp4 must be a new .mp4 file"),
        ((onnx_file, video, new, "--threshold", "nan"), "--threshold nan: 0 to 1 is allowed"),
        ((onnx_file, sound, new), "sound.wav has no video"),
        ((onnx_file, text, new), "text.txt: Invalid data found"),
        ((text, video, new), "text.txt failed:Protobuf parsing failed"),
    ]:
        done = run_without("torch", ROOT / "demo/onnx_stream.py", *words)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert message in done.stderr
        assert not new.exists()


@pytest.mark.parametrize(
    ("fixed", "stride", "window", "message"),
    [
        (36, 27, 8, "--window 8: the model takes 36 frames at once"),
        (1, 1, None, "windows of 1 frames, 1 apart, share none to link by"),
        (None, 36, None, "windows of 36 frames, 36 apart, share none"),
        (None, 27, -1, "windows of -1 frames, 1 apart, share none"),
    ],
)
def test_the_stream_refuses_windows_that_cannot_be(monkeypatch, fixed, stride, window, message):
    monkeypatch.syspath_prepend(ROOT / "demo")
    import onnx_stream

    about = {"fixed_frames": fixed, "window": fixed or 36, "stride": stride}
    monkeypatch.setattr(onnx_stream, "open_model", lambda path: (None, about))
    with pytest.raises(ValueError, match=message):
        onnx_stream.run(Namespace(model="m.onnx", window=window, video="none.mp4"))


def test_the_stream_s_last_window_sees_frames_without_what_was_drawn(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "demo")
    import onnx_stream

    about = {"fixed_frames": 4, "window": 4, "stride": 3, "duplicate_iou": 1, "class_names": []}
    monkeypatch.setattr(onnx_stream, "open_model", lambda _: (None, about | {"fixed_size": [8, 8]}))
    seen = []

    def look(session, about, frames, size):
        seen.append(np.stack(frames))
        return np.ones((1, 1)), np.ones((1, 4, 8, 8), dtype=bool)

    monkeypatch.setattr(onnx_stream, "look", look)
    video, drawn = tmp_path / "video.mp4", str(tmp_path / "drawn.mp4")
    with open_sink(video, 10, (48, 64)) as sink:
        for _ in range(5):
            sink.write(np.zeros((48, 64, 3), np.uint8))
    onnx_stream.run(Namespace(model="", video=video, output=drawn, window=None, threshold=0.3))
    assert (seen[1][:3] == seen[0][1:]).all()


def test_a_torch_file_equals_the_tracker_s_slots(exported, tmp_path):
    assert exported.write_torch(tmp_path / "model.pt2") < 1e-4
    extra = {"metadata.json": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra).module()
    metadata = json.loads(extra["metadata.json"])
    assert metadata == exported.metadata
    assert metadata["class_names"] == list(NAMES)
    assert metadata["category_ids"] == [1, 2, 3, 4, 5, 6]
    assert metadata["image_format"] == "RGB"
    assert (metadata["window"], metadata["stride"]) == (4, 3)
    paper = "boxes" in metadata["outputs"]
    assert metadata["size_divisor"] == (8 if paper else 32)
    assert [*metadata["outputs"]] == ["scores", "masks", *["boxes"] * paper]
    check_outputs(program, exported)


def test_the_command_exports_queries_with_a_frame_axis_at_their_length(tiny_cfg, tmp_path, capsys):
    tiny_cfg.MODEL.SIMPLEVTR.QUERY_FRAMES = 2
    cfg, output = saved(tiny_cfg, tmp_path), tmp_path / "model.pt2"
    assert main(["export", "--weights", cfg.MODEL.WEIGHTS, "--output", str(output)]) == 0
    assert f"wrote {output}" in capsys.readouterr().out
    extra = {"metadata.json": ""}
    program = torch.export.load(output, extra_files=extra).module()
    assert json.loads(extra["metadata.json"])["fixed_frames"] == 2
    model, frames = build(cfg), frames_of((2, 3, 2), 8)
    with torch.no_grad():
        found = program(frames)
        slots = model._predictor()([*frames])
    torch.testing.assert_close(found["scores"], slots.probability.mean(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(found["masks"], slots.masks, atol=1e-4, rtol=0)


def test_a_graph_that_computes_something_else_is_not_kept(exported, tmp_path):
    broken = replace(exported, module=copy.deepcopy(exported.module))
    with torch.no_grad():
        broken.module.network.class_head.bias[0] += 1
    with pytest.raises(ValueError, match=r"m\.pt2: the exported graph's scores differ"):
        broken.write_torch(tmp_path / "m.pt2")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--output", "m.txt"], "m.txt: cannot write to this"),
        (["--output", "m.onnx", "--format", "torch"], "m.onnx: cannot write to this"),
        (["--output", "m.pt2"], "no config is given: name one with --config-file"),
        (["--output", "m.pt2", "--weights", "w.pth"], "w.pth holds no config: name one"),
        (["--output", "m.pt2", "--weights", "model.safetensors", "--size", "30", "48"],
         "--size 30 48: multiples of 8 are needed"),
        (["--output", "m.pt2", "--weights", "model.safetensors", "MODEL.MASK_ON", "False"],
         "a model without masks finds no tracks"),
    ],
)  # fmt: skip
def test_errors_have_one_line(tiny_cfg, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    saved(tiny_cfg, tmp_path)
    assert main(["export", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_graph_equals_the_model_with_every_kind_of_backbone(kind, pixel_cfg, tmp_path):
    words, size = KINDS[kind]
    exported = ExportedModel.of_config(saved(pixel_cfg, tmp_path, words), size)
    assert exported.metadata["fixed_size"] == (size and [*size])
    check_outputs(exported.program.module(), exported)
    if kind == "twins":  # whose attention ONNX does not know as PyTorch has it
        check_onnx(written(exported, tmp_path), exported)


@pytest.mark.parametrize("words", [SWIN, TWINS, MIXER])
def test_a_backbone_of_one_size_asks_for_it(pixel_cfg, tmp_path, words):
    cfg = saved(pixel_cfg, tmp_path, words)
    with pytest.raises(ValueError, match=r"cannot be exported .* --size HEIGHT WIDTH"):
        ExportedModel.of_config(cfg)


def test_missing_packages_are_named(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("simplevtr.inference.exported_model.find_spec", lambda name: None)
    assert main(["export", "--output", str(tmp_path / "m.onnx")]) == 2
    assert "pip install onnx onnxscript onnxruntime" in capsys.readouterr().err
