"""A trained model as one file for other programs: ONNX, or what ``torch.export.save`` writes.

The file takes the frames of a window and returns its slots. All that a program must know in
addition is in the file's metadata, see ``ExportedModel.metadata``.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib.util import find_spec
from io import StringIO
from pathlib import Path
from typing import Any, Self

from simplevtr import __version__
from simplevtr.formats.files import replaced_file
from simplevtr.inference.video_predictor import VideoPredictor
from simplevtr.modeling.meta_arch import SimpleVTR
from simplevtr.structures import ClipBatch

import numpy as np
import torch
from detectron2.config import CfgNode
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
OPSET = 20
# Frames, and multiples of the frame size's divisor, that a graph is traced and checked with
_TRACED, _CHECKED = (3, 2, 3), (5, 3, 2)
# How far an exported file's values may differ, and the share that may by more: a cell with a logit
# near 0 may fall on the other side of a slot's mask and change what its attention sees.
_TOLERANCE, _MOST_DIFFERENT = 1e-3, 0.01
_ANY = " for frames of any size; give the only one with --size HEIGHT WIDTH"
_WINDOWS = ("window_size", "ws")  # attributes of layers of timm (Swin, Twins)
_INPUT = (
    "frames: (T, 3, H, W) uint8, 0 to 255, in the channel order of image_format; H and W are "
    "multiples of size_divisor, at least twice that, or those of fixed_size"
)
_OUTPUTS = {
    "scores": "(Q, K) float32, the probability of each class for each of Q slots",
    "masks": "(Q, T, h, w) float32, logits: a mask is where they are above 0",
    "boxes": "(Q, T, 4) float32, centre x, centre y, width and height as shares of W and H",
}


class SlotsOfWindow(nn.Module):
    """Frames of one window -> all slots, with what a trained model does to frames within."""

    def __init__(self, model: SimpleVTR) -> None:
        super().__init__()
        self.network: Any = model.network  # either head's
        self.batcher = model.batcher
        self.predictor = model.window_predictor

    def forward(self, frames: Tensor) -> dict[str, Tensor]:
        """Map (T, 3, H, W) uint8 to the outputs that ``metadata`` describes."""
        state = self.network.encode(ClipBatch(self.batcher.normalised(frames)[None]))
        classes = self.predictor.probability(state.predictions.logits[0])
        slot = torch.arange(self.network.queries)
        masks = self.network.masks(state, torch.zeros_like(slot), slot)
        found = {"scores": classes.mean(0), "masks": masks}
        if (boxes := state.predictions.boxes) is not None:
            found["boxes"] = boxes[0].transpose(0, 1)
        return found


@dataclass(frozen=True)
class ExportedModel:
    """A graph of a model, checked against it before it is written."""

    module: SlotsOfWindow
    program: ExportedProgram
    metadata: dict[str, Any]  # what JSON can hold
    checked: Tensor  # frames of another size than the traced ones, if sizes are free

    @classmethod
    def of_config(cls, cfg: CfgNode, size: tuple[int, int] | None = None) -> Self:
        """Load the model of a config and trace it, with any T, H and W or for one frame ``size``.

        ValueError: its backbone does not take any size, or see ``VideoPredictor``.
        """
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.DEVICE = "cpu"
        predictor, node = VideoPredictor(cfg), cfg.MODEL.SIMPLEVTR
        module = SlotsOfWindow(predictor.model).eval()
        module.network.to(memory_format=torch.contiguous_format)
        shapes = module.network.backbone.output_shape().values()
        divisor, fixed = max(shape.stride for shape in shapes), node.QUERY_FRAMES
        parts = [*module.network.backbone.modules()]
        windows = any(hasattr(m, w) for m in parts for w in _WINDOWS)
        if size is None and windows and not cfg.MODEL.TIMM.SIZE:
            # torch.export would never finish with their sizes
            raise ValueError(f"this backbone cuts maps into windows: it cannot be exported{_ANY}")
        for part in parts:
            if hasattr(part, "ws") or hasattr(part, "head_first"):  # Twins, MaxViT: not in ONNX
                part.fused_attn = False
        if size is not None and any(side % divisor for side in size):
            raise ValueError(f"--size {size[0]} {size[1]}: multiples of {divisor} are needed")
        generator, frames = torch.Generator().manual_seed(0), []  # noise
        for count, rows, columns in (_TRACED, _CHECKED):
            shape = fixed or count, 3, *(size or (rows * divisor, columns * divisor))
            frames.append(torch.randint(256, shape, dtype=torch.uint8, generator=generator))
        traced, checked = frames
        program = _traced(module, traced, divisor, free=size is None, any_length=not fixed)
        metadata = {
            "producer": f"simplevtr {__version__}",
            "input": _INPUT,
            "outputs": {name: _OUTPUTS[name] for name in _outputs(module, traced)},
            "size_divisor": divisor,
            "fixed_size": None if size is None else list(size),
            "fixed_frames": fixed or None,
            "image_format": cfg.INPUT.FORMAT,
            "short_side": cfg.INPUT.MIN_SIZE_TEST,
            "long_side": cfg.INPUT.MAX_SIZE_TEST,
            "window": predictor.model.segmenter.window,
            "stride": predictor.model.segmenter.stride,
            "mask_scoring": cfg.TEST.MASK_SCORING,
            "duplicate_iou": cfg.TEST.DUPLICATE_IOU,
            "piece_gap": cfg.TEST.PIECE_GAP,
            "class_names": predictor.class_names,
            "category_ids": predictor.category_ids,
        }
        return cls(module, program, metadata, checked)

    def write_onnx(self, path: Path) -> float:
        """Write an ONNX file; see ``check_packages``. Returns the greatest difference of a value.

        ValueError: it does not compute what the model does, or ONNX has no such operation.
        """
        import onnxruntime

        names = [*self.metadata["outputs"]]
        options: dict[str, Any] = {"output_names": names, "opset_version": OPSET, "verbose": False}
        with _quiet(), replaced_file(path) as partial:
            try:
                found = torch.onnx.export(self.program, (), **options)
            except torch.onnx.OnnxExporterError as error:
                raise ValueError(f"{path}: cannot be written as ONNX: {_first(error)}") from error
            assert found is not None, "the exporter by torch.export returns a program"
            metadata = {key: json.dumps(value) for key, value in self.metadata.items()}
            found.model.metadata_props.update(metadata)
            found.save(partial)
            session = onnxruntime.InferenceSession(partial, providers=["CPUExecutionProvider"])
            return self._difference(session.run(names, {"frames": self.checked.numpy()}), path)

    def write_torch(self, path: Path) -> float:
        """Write a .pt2 file, with the metadata as its extra file metadata.json."""
        with _quiet(), replaced_file(path) as partial:
            extra = {"metadata.json": json.dumps(self.metadata)}
            with partial.open("wb") as file:
                torch.export.save(self.program, file, extra_files=extra)
            with partial.open("rb") as file, torch.no_grad():
                outputs = torch.export.load(file).module()(self.checked)
            return self._difference([outputs[k].numpy() for k in self.metadata["outputs"]], path)

    def _difference(self, outputs: list[np.ndarray], path: Path) -> float:
        wanted, greatest = _outputs(self.module, self.checked), 0.0
        for (name, tensor), found in zip(wanted.items(), outputs, strict=True):
            difference = np.abs(tensor.numpy() - found)
            greatest = max(greatest, float(difference.max()))
            if not (difference <= _TOLERANCE).mean() >= 1 - _MOST_DIFFERENT:
                raise ValueError(
                    f"{path}: the exported graph's {name} differ from the model's by up to "
                    f"{difference.max():.2g}; nothing was written"
                )
        return greatest


def check_packages() -> None:
    """ValueError if a package is missing that ONNX files are written with."""
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise ValueError(f"ONNX files need {', '.join(missing)}: pip install {' '.join(PACKAGES)}")


@torch.no_grad()
def _outputs(module: SlotsOfWindow, frames: Tensor) -> dict[str, Tensor]:
    return module(frames)


def _traced(
    module: SlotsOfWindow, frames: Tensor, divisor: int, *, free: bool, any_length: bool
) -> ExportedProgram:
    shape: dict[int, Any] = {0: Dim("frames", min=1)} if any_length else {}
    if free:
        # With exact halves from stage to stage, no size of a map depends on a rounding.
        shape |= {2: divisor * Dim("rows", min=2), 3: divisor * Dim("columns", min=2)}
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(module, (frames,), dynamic_shapes={"frames": shape})
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        found = f"this model cannot be exported{_ANY * free} ({_first(error)})"
        raise ValueError(found) from error


def _first(error: BaseException) -> str:
    """The first line of what it began with, whose class may be all that it has."""
    while error.__cause__ is not None:
        error = error.__cause__
    line = next((line for line in str(error).splitlines() if line.strip()), "")
    return f"{type(error).__name__}: {line[:200]}"


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporters print and log; errors are raised anyway."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(before)
