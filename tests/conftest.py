"""Shared fixtures: a tiny config, a tiny model, tiny clips; GPU tests skip without a GPU."""

import itertools
import json
import logging
import os
import re
import sys
from functools import partial
from pathlib import Path

import simplevtr.data.builtin  # noqa: F401 - registers what no test may forget
from benchmarks.synthetic import clip_of

import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).resolve().parent.parent
CLIPS_CONFIG = str(ROOT / "configs/embedded/clips.yaml")
# Few channels, for models of about 0.2 M parameters.
NARROW = {
    "MODEL.RESNETS.STEM_OUT_CHANNELS": 8,
    "MODEL.RESNETS.RES2_OUT_CHANNELS": 8,
    "MODEL.SIMPLEVTR.HIDDEN_DIM": 24,
    "MODEL.SIMPLEVTR.NUM_HEADS": 2,
    "MODEL.SIMPLEVTR.DIM_FEEDFORWARD": 32,
}
NARROW_R50 = NARROW | {"MODEL.RESNETS.WIDTH_PER_GROUP": 8}
TINY = NARROW | {
    "MODEL.WEIGHTS": "",
    "MODEL.SIMPLEVTR.NUM_QUERIES": 4,
    "MODEL.SIMPLEVTR.MASK_HEAD.WIDTHS": [16, 16, 8, 8],
}
sys.path.insert(0, str(ROOT / "datasets"))

torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else 2)


def pytest_collection_modifyitems(items):
    if torch.cuda.is_available():
        return
    skip = pytest.mark.skip(reason="needs a CUDA device, and torch sees none")
    for item in items:
        if item.get_closest_marker("gpu"):  # "gpu" may also be a folder of the path
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def loggers_as_they_were():
    """A command that ran in a test leaves no handler, whose stream is closed when the test ends."""
    loggers = [logging.getLogger(name) for name in ("detectron2", "fvcore", "simplevtr")]
    before = [(logger, [*logger.handlers], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers[:] = handlers
        logger.propagate = propagate
        logger.setLevel(level)


@pytest.fixture(autouse=True)
def catalogs_as_they_were():
    """What a test registers with detectron2 is unknown to the next one."""
    before = {*DatasetCatalog, *MetadataCatalog}
    yield
    forget(*({*DatasetCatalog, *MetadataCatalog} - before))


def forget(*names):
    """Take datasets out of detectron2's catalogs."""
    for name in names:
        for catalog in (DatasetCatalog, MetadataCatalog):
            catalog.pop(name, None)


def words_of(options):
    """The words of a command line that set these config keys."""
    return [str(word) for pair in options.items() for word in pair]


def run_train_net(*words, config=CLIPS_CONFIG):
    """Train or evaluate in this process, as train_net.py does with these words."""
    from simplevtr.commands.train_net import main
    from simplevtr.engine.runs import run_process

    return run_process(main.parser().parse_args(["--config-file", config, *words]))


def metrics(folder):
    """The records that a training has written."""
    return [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]


@pytest.fixture
def one_thread():
    """For many small operations, which threads slow down, and for equal bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def call(capsys):
    """Runs a command; returns its exit status, standard output and standard error."""

    def call(command, *words):
        return command.main([*map(str, words)]), *capsys.readouterr()

    return call


def check_refused(done, *words, lines=1):
    """A command printed so many lines to stderr alone, the last an error with these words."""
    status, out, err = done
    assert (status, out, err.count("\n")) == (2, "", lines)
    error = err.splitlines()[-1]
    assert re.match(r"\w+\.py: error: ", error)
    for word in words:
        assert word in error


def table_rows(text):
    """The cells of the rows of Markdown tables, the lines below their heads too."""
    rows = [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.fixture
def tiny_cfg():
    """The small CPU config with fewer channels."""
    from simplevtr import setup_cfg

    return setup_cfg(CLIPS_CONFIG, words_of(TINY | {"TEST.DUPLICATE_IOU": 1.0}))


@pytest.fixture
def pixel_cfg():
    """As ``tiny_cfg``, of the pixel head."""
    from simplevtr import setup_cfg

    keys = {"NUM_QUERIES": 4, "LOSS.MASK_POINTS": 200}
    keys |= {"PIXEL.WIDTHS": [16, 16, 16, 8], "PIXEL.EMBEDDING": 8, "PIXEL.FINE_CHANNELS": 4}
    options = NARROW | {f"MODEL.SIMPLEVTR.{key}": value for key, value in keys.items()}
    return setup_cfg(str(ROOT / "configs/embedded/pixel_frames.yaml"), words_of(options))


@pytest.fixture(params=["paper", "pixel"])
def head_cfg(request, tiny_cfg, pixel_cfg):
    """A tiny config of each head."""
    return {"paper": tiny_cfg, "pixel": pixel_cfg}[request.param]


@pytest.fixture
def tiny_model(tiny_cfg):
    return build(tiny_cfg)


def build(cfg, seed=0):
    """A model with fixed weights, in evaluation mode."""
    from detectron2.modeling import build_model

    torch.manual_seed(seed)
    model = build_model(cfg).eval()
    # Offsets start at zero, which would hide mistakes in the deformable layers.
    for name, parameter in model.named_parameters():
        if ".offset." in name:
            torch.nn.init.normal_(parameter, std=0.1)
    return model


def make_clip(frames=3, size=(32, 48), labels=(0, 2), absent=(), seed=0, video=1):
    """A clip dict with square objects that move right.

    ``absent`` lists (frame, row) pairs in which an object cannot be seen.
    """
    generator = torch.Generator().manual_seed(seed)
    draw = partial(torch.randint, 0, 256, dtype=torch.uint8, generator=generator)
    images = torch.stack([draw((3, *size)) for _ in range(frames)])
    masks = torch.zeros(frames, len(labels), *size, dtype=torch.bool)
    ids = torch.arange(1, len(labels) + 1).repeat(frames, 1)
    for t, row in itertools.product(range(frames), range(len(labels))):
        if (t, row) in absent:
            ids[t, row] = -1
        else:
            top, left = 4 + 8 * row, 2 + 3 * t
            masks[t, row, top : top + 8 + 2 * row, left : left + 10] = True
    return clip_of(images, masks, torch.tensor(labels, dtype=torch.int64), ids, video=video)


class LargestTensor(TorchDispatchMode):
    """Notes the largest storage that an operation under it gives, in bytes."""

    bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        tensors = [leaf for leaf in tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        self.bytes = max([self.bytes, *(t.untyped_storage().nbytes() for t in tensors)])
        return out


@pytest.fixture(scope="session")
def embedded(tmp_path_factory):
    """Folder with a small embedded dataset, the ``easy`` variant."""
    from make_embedded import make_embedded_dataset

    root = tmp_path_factory.mktemp("embedded")
    make_embedded_dataset(root, variant="easy", train_videos=4, val_videos=2, long_videos=1)
    return root / "easy"


@pytest.fixture
def tiny_opts(embedded, tmp_path):
    """Command-line options of a tiny model on the small dataset, by config alone."""
    entries = [
        [f"tiny_{split}", str(embedded / f"{split}.json"), str(embedded / split / "JPEGImages")]
        for split in ("train", "val")
    ]
    options = {
        "DATASETS.CUSTOM": entries,
        "DATASETS.TRAIN": ("tiny_train",),
        "DATASETS.TEST": ("tiny_val",),
        "OUTPUT_DIR": str(tmp_path / "run"),
        **TINY,
        "SOLVER.IMS_PER_BATCH": 2,
        "SOLVER.MAX_ITER": 2,
        "INPUT.SAMPLING_FRAME_NUM": 2,
    }
    return words_of(options)
