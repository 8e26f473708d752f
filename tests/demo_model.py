"""A model for the demo that needs no training, and the demo's command line around it."""

import importlib.util
import sys
from pathlib import Path

from simplevtr.structures import FrameTracks, TrackMasks, encode_masks

import torch
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

DEMO = Path(__file__).parents[1] / "demo"


class BrightestHalf(nn.Module):
    """Finds two tracks, the left and the right half of the video, and a weak third.

    The halves meet at the middle of frame 0 and two pixels further right in each frame.
    """

    scores, labels = [0.9, 0.5, 0.1], [0, 99, 1]
    blind = False  # finds nothing
    window = 4  # frames that are read before the first of them is given out

    def __init__(self, cfg=None):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(3))
        self.seen = None

    @staticmethod
    def on_frame(index):
        """Called with the number of each frame as it is read; for tests to replace."""

    def _read(self, images):
        for index, image in enumerate(images):
            self.on_frame(index)
            yield image

    def _masks(self, first, count, size):
        left = torch.zeros(count, *size, dtype=torch.bool)
        for i in range(count):
            left[i, :, : size[1] // 2 + 2 * (first + i)] = True
        return [] if self.blind else [left, ~left, left]

    def forward(self, videos):
        (video,) = videos
        self.seen = video
        assert not self.training
        video["image"] = list(self._read(video["image"]))
        size = video["height"], video["width"]
        masks = self._masks(0, len(video["image"]), size)
        found = len(masks)
        return {
            "image_size": size,
            "num_frames": len(video["image"]),
            "pred_scores": self.scores[:found],
            "pred_labels": self.labels[:found],
            "pred_masks": [TrackMasks(encode_masks(m), size) for m in masks],
            "pred_ids": [1, 2, 3][:found],
        }

    def stream(self, images, size):
        waiting = 0
        given = 0
        for _ in self._read(images):
            waiting += 1
            if waiting == self.window:
                yield from self._frames(given, waiting, size)
                given, waiting = given + waiting, 0
        yield from self._frames(given, waiting, size)

    def _frames(self, first, count, size):
        for index in range(first, first + count):
            rles = [encode_masks(m)[0] for m in self._masks(index, 1, size)]
            found = len(rles)
            yield FrameTracks(
                index, size, [1, 2, 3][:found], self.labels[:found], self.scores[:found], rles
            )


def register():
    """Let configs name the model."""
    if "BrightestHalf" not in META_ARCH_REGISTRY:
        META_ARCH_REGISTRY.register(BrightestHalf)


def load_app():
    """``demo/app.py`` as a module."""
    register()
    spec = importlib.util.spec_from_file_location("app_script", DEMO / "app.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a command looks for its help
    spec.loader.exec_module(module)
    return module


def command_line(folder):
    """A function that makes the options of a command that reads ``source``."""
    register()
    weights = folder / "model.pth"
    torch.save({"model": BrightestHalf().state_dict()}, weights)
    config = folder / "config.yaml"
    config.write_text("MODEL:\n  META_ARCHITECTURE: BrightestHalf\n  DEVICE: cpu\n")

    def make(source, output, *more, opts=()):
        return [
            "--config-file", str(config), "--input", str(source),
            *([] if output is None else ["--output", str(output)]), *more,
            "--opts", "MODEL.WEIGHTS", str(weights), *opts,
        ]  # fmt: skip

    return make
