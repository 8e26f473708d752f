"""Make the embedded dataset: small videos of moving shapes in YTVIS format, for trials on a CPU.

    python datasets/make_embedded.py --output datasets/embedded

Equal settings give equal bytes (with equal library versions), and a video is the same however many
others are made. datasets/README.md describes the files and the variants.
"""

import argparse
import shutil
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from simplevtr.formats.files import read_json, write_json
from simplevtr.formats.paths import datasets_root
from simplevtr.terminal import COUNT, NATURAL, command, number, say

import numpy as np
from PIL import Image
from rendering import annotation_record, layer_shares, paint, visible_masks
from scenes import (
    MIN_VISIBLE_PIXELS,
    SHAPES,
    SPLITS,
    STYLES,
    VARIANTS,
    Scene,
    category_of,
    draw_scene,
    generator,
)
from tqdm import tqdm

VERSION = 1  # raise it when the same settings give other files
STARTED_STAMP = "embedded.started.json"  # written first: these files are ours to replace
STAMP = "embedded.json"  # what it is called in the end: the variant is finished
MIN_SCALE, MAX_SCALE = 0.5, 4.0
_MIN_VISIBLE_FRAMES = 2
_DRAWS_AT_MOST = 500
_JPEG_QUALITY = 92
# The encodings of the videos' segmentations, taken in turn.
_ENCODING_ROUND = ("compressed", "uncompressed", "polygons", *["compressed"] * 4)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All that one variant's files follow from; stored in its stamp."""

    version: int = VERSION
    variant: str
    seed: int = 666  # of all randomness
    scale: float = 1.0  # factor on the frame sizes and all that is in them
    train_videos: int = 240
    val_videos: int = 60
    long_videos: int = 10


def make_embedded_dataset(
    output: Path | str,
    *,
    variant: str = "both",
    overwrite: bool = False,
    workers: int = 1,
    **settings: float,
) -> list[Path]:
    """Make the embedded dataset, unless it exists, in a folder of ``output`` for each variant.

    A variant that is finished with the same settings (the fields of ``Settings``) is left alone;
    one that was interrupted is made again. The files do not depend on ``workers``, the processes
    that draw videos. The annotation files are returned: train, val and long of each variant.

    Raises:
        FileExistsError: a variant's folder holds a dataset with other settings and ``overwrite`` is
            off, or holds anything else that this program did not make.
    """
    variants = ("easy", "hard") if variant == "both" else (variant,)
    plans = {Path(output) / name: Settings(variant=name, **settings) for name in variants}
    finished = {folder: _is_finished(folder, plan, overwrite) for folder, plan in plans.items()}
    for folder, done in finished.items():
        if not done:
            _make_variant(folder, plans[folder], workers)
        say(f"{folder}: {'already finished, left as it is' if done else 'finished'}")
    return [folder / f"{split}.json" for folder in plans for split in SPLITS]


def _is_finished(folder: Path, settings: Settings, overwrite: bool) -> bool:
    """Whether nothing is left to do; raises FileExistsError if the folder may not be written to."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return False
    stamps = [folder / name for name in (STARTED_STAMP, STAMP) if (folder / name).is_file()]
    if not stamps:
        raise FileExistsError(
            f"{folder} exists and was not made by this program; choose another output folder"
        )
    if overwrite:
        return False
    for stamp in stamps:
        found = None
        with suppress(ValueError):  # cut off or damaged: equal to no settings
            found = read_json(stamp)
        if found != asdict(settings):
            raise FileExistsError(
                f"{folder} was made with other settings: {stamp.name} holds {found}, "
                f"wanted {asdict(settings)}; choose another output folder or pass --overwrite"
            )
    return stamps == [folder / STAMP] and all(
        (folder / f"{split}.json").is_file() and _pictures(folder, split).is_dir()
        for split in SPLITS
    )


def _make_variant(folder: Path, settings: Settings, workers: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / STARTED_STAMP, asdict(settings), overwrite=True)
    (folder / STAMP).unlink(missing_ok=True)
    for split in SPLITS:
        (folder / f"{split}.json").unlink(missing_ok=True)
        if (folder / split).exists():
            shutil.rmtree(folder / split)
        _pictures(folder, split).mkdir(parents=True)
        _make_split(folder, split, settings, workers)
    (folder / STARTED_STAMP).replace(folder / STAMP)


def _make_split(folder: Path, split: str, settings: Settings, workers: int) -> None:
    count = getattr(settings, f"{split}_videos")
    make = partial(_make_video, _pictures(folder, split), settings, split)
    bar = {"desc": f"{settings.variant}/{split}", "unit": "video", "disable": None}
    spawn = get_context("spawn")
    with ProcessPoolExecutor(workers, spawn) if workers > 1 else nullcontext() as pool:
        made = list(tqdm((pool.map if pool else map)(make, range(count)), total=count, **bar))
    tracks = [{"video_id": video["id"], **track} for video, own in made for track in own]
    shapes = [{"name": name, "supercategory": "shape"} for name in SHAPES]
    description = f"embedded dataset, variant {settings.variant}, split {split}"
    content = {
        "info": {"description": description, "version": str(settings.version)},
        "videos": [video for video, _ in made],
        "categories": [{"id": i, **shape} for i, shape in enumerate(shapes, 1)],
        "annotations": [{"id": i, **track} for i, track in enumerate(tracks, 1)],
    }
    write_json(folder / f"{split}.json", content, overwrite=True)


def _make_video(pictures: Path, settings: Settings, split: str, index: int) -> tuple[dict, list]:
    """Draw video number ``index`` of a split, write its frames and return its records."""
    rng = generator(settings.seed, settings.variant, split, 0, index)
    scene, shares, masks = _draw_visible(rng, settings, split, index)
    name = f"video_{index + 1:05d}"
    (pictures / name).mkdir()
    file_names = [f"{name}/{t:05d}.jpg" for t in range(scene.length)]
    for file_name, frame in zip(file_names, paint(scene, shares, rng), strict=True):
        Image.fromarray(frame).save(pictures / file_name, quality=_JPEG_QUALITY, subsampling=0)
    encoding = _ENCODING_ROUND[index % len(_ENCODING_ROUND)]
    tracks = [
        annotation_record(mask, category_id=SHAPES.index(track.shape) + 1, encoding=encoding)
        for track, mask in zip(scene.tracks, masks, strict=True)
    ]
    video = {"id": index + 1, "width": scene.width, "height": scene.height, "length": scene.length}
    return video | {"file_names": file_names}, tracks


def _draw_visible(
    rng: np.random.Generator, settings: Settings, split: str, index: int
) -> tuple[Scene, np.ndarray, np.ndarray]:
    """A scene all of whose objects can be seen often enough, its layer shares and its masks."""
    slots = range(len(STYLES[split].object_shares))
    categories = [category_of(settings.seed, settings.variant, split, index, s) for s in slots]
    least = MIN_VISIBLE_PIXELS[settings.variant]
    for _ in range(_DRAWS_AT_MOST):
        scene = draw_scene(rng, split, categories, variant=settings.variant, scale=settings.scale)
        shares = layer_shares(scene)
        masks = visible_masks(scene, shares, least)
        if (masks.any(axis=(2, 3)).sum(axis=1) >= _MIN_VISIBLE_FRAMES).all():
            return scene, shares, masks
    raise ValueError(f"no scene with visible objects in {_DRAWS_AT_MOST} draws; try another seed")


def _pictures(folder: Path, split: str) -> Path:
    return folder / split / "JPEGImages"


def _add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    output = Path(datasets_root(), "embedded")
    add("--output", type=Path, default=output, help=f"folder for the variants (default: {output})")
    which = {"choices": (*VARIANTS, "both"), "default": "both"}
    add("--variant", **which, help="which to make; both: easy and hard (default)")
    add("--seed", type=NATURAL, default=Settings.seed, help="of all randomness (%(default)s)")
    for split in SPLITS:
        videos, text = getattr(Settings, f"{split}_videos"), f"size of {split} (%(default)s)"
        add(f"--{split}-videos", type=NATURAL, default=videos, metavar="N", help=text)
    scale = {"type": number(least=MIN_SCALE, most=MAX_SCALE), "default": Settings.scale}
    add("--scale", **scale, help="factor on the frame sizes")
    add("--workers", type=COUNT, default=1, help="processes (default: 1)")
    add("--overwrite", action="store_true", help="replace other settings' dataset")


@command(_add_options)
def main(options: argparse.Namespace) -> None:
    """Make what the options say."""
    make_embedded_dataset(**vars(options))


if __name__ == "__main__":
    raise SystemExit(main())
