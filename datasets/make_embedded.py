"""Makes the embedded dataset: small videos of moving shapes in YTVIS format, for trials on a CPU.

    python datasets/make_embedded.py --output datasets/embedded

Equal settings give equal bytes (with equal library versions), and a video is the same however many
others are made. datasets/README.md describes the files and the two variants.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # works without installation too

from simplevtr.formats.files import write_bytes
from simplevtr.terminal import command_parser, run_command, say

import numpy as np
from PIL import Image
from rendering import MIN_VISIBLE_PIXELS, layer_shares, paint, visible_masks
from scenes import SPLITS, STYLES, VARIANTS, Scene, category_of, draw_scene, generator
from shapes import SHAPES, category_records
from tqdm import tqdm
from ytvis_records import annotation_record

VERSION = 1  # raise it when the same settings give other files
STAMP = "embedded.json"  # written last: the variant is finished
STARTED_STAMP = "embedded.started.json"  # written first: these files are ours to replace
MIN_SCALE, MAX_SCALE = 0.5, 4.0
_MIN_VISIBLE_FRAMES = 2
_DRAWS_AT_MOST = 500
_JPEG_QUALITY = 92
# The encodings of the videos' segmentations, taken in turn.
_ENCODING_ROUND = ("compressed", "uncompressed", "polygons", *["compressed"] * 4)


@dataclass(frozen=True)
class Settings:
    """All that one variant's files follow from; stored in its stamp."""

    version: int
    variant: str
    seed: int
    scale: float
    train_videos: int
    val_videos: int
    long_videos: int

    def check(self) -> None:
        """Raises ValueError for a value that no dataset can be made with."""
        if self.variant not in VARIANTS:
            raise ValueError(f"variant is {self.variant!r}; known: {', '.join(VARIANTS)}, both")
        if not MIN_SCALE <= self.scale <= MAX_SCALE:
            raise ValueError(f"scale is {self.scale}; it must lie in [{MIN_SCALE}, {MAX_SCALE}]")
        for name in ("seed", *(f"{split}_videos" for split in SPLITS)):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must not be negative")

    def video_count(self, split: str) -> int:
        """How many videos a split has."""
        return getattr(self, f"{split}_videos")


def make_embedded_dataset(
    output: Path | str,
    *,
    variant: str = "both",
    seed: int = 666,
    train_videos: int = 240,
    val_videos: int = 60,
    long_videos: int = 10,
    scale: float = 1.0,
    overwrite: bool = False,
    workers: int = 1,
    progress: bool = False,
) -> list[Path]:
    """Makes the embedded dataset, or finds it made.

    A variant that is finished with the same settings is left alone; one that was interrupted is
    made again.

    Args:
        output: folder that gets the folders ``easy`` and ``hard``.
        variant: "easy", "hard" or "both".
        seed: of all randomness, at least 0.
        train_videos: number of videos in the split ``train``.
        val_videos: the same for ``val``.
        long_videos: the same for ``long``.
        scale: factor on the frame sizes and all that is in them, in [0.5, 4].
        overwrite: replace a dataset that this program made with other settings.
        workers: processes that draw videos; the files do not depend on it.
        progress: show progress bars and say what was done.

    Returns:
        The annotation files: train, val and long of each variant.

    Raises:
        ValueError: a setting is out of its range.
        FileExistsError: a variant's folder holds a dataset with other settings and ``overwrite`` is
            off, or holds anything else that this program did not make.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it must be at least 1")
    variants = VARIANTS if variant == "both" else (variant,)
    counts = {"train_videos": train_videos, "val_videos": val_videos, "long_videos": long_videos}
    plans = [Settings(VERSION, name, seed, float(scale), **counts) for name in variants]
    for settings in plans:
        settings.check()
    folders = [Path(output) / name for name in variants]
    finished = [_is_finished(*plan, overwrite) for plan in zip(folders, plans, strict=True)]
    for folder, settings, done in zip(folders, plans, finished, strict=True):
        if not done:
            _make_variant(folder, settings, workers, progress)
        if progress:
            say(f"{folder}: {'already finished, left as it is' if done else 'finished'}")
    return [folder / f"{split}.json" for folder in folders for split in SPLITS]


def _is_finished(folder: Path, settings: Settings, overwrite: bool) -> bool:
    """Whether nothing is to be done; raises FileExistsError if the folder may not be written to."""
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
        found = _read_stamp(stamp)
        if found != asdict(settings):
            raise FileExistsError(
                f"{folder} was made with other settings: {stamp.name} holds {found}, "
                f"wanted {asdict(settings)}; choose another output folder or pass --overwrite"
            )
    return stamps == [folder / STAMP] and all(
        (folder / f"{split}.json").is_file() and _pictures(folder, split).is_dir()
        for split in SPLITS
    )


def _read_stamp(path: Path) -> object:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError:  # cut off or damaged: equal to no settings
        return None


def _make_variant(folder: Path, settings: Settings, workers: int, progress: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / STARTED_STAMP, asdict(settings))
    (folder / STAMP).unlink(missing_ok=True)
    for split in SPLITS:
        (folder / f"{split}.json").unlink(missing_ok=True)
        if (folder / split).exists():
            shutil.rmtree(folder / split)
        _pictures(folder, split).mkdir(parents=True)
        _make_split(folder, split, settings, workers, progress)
    _write_json(folder / STAMP, asdict(settings))
    (folder / STARTED_STAMP).unlink()


def _make_split(folder: Path, split: str, settings: Settings, workers: int, progress: bool) -> None:
    count = settings.video_count(split)
    make = functools.partial(_make_video, _pictures(folder, split), settings, split)
    videos, annotations = [], []
    bar = tqdm(
        _run(make, range(count), workers),
        desc=f"{settings.variant}/{split}",
        total=count,
        unit="video",
        disable=not progress,
    )
    for video, tracks in bar:
        videos.append(video)
        for track in tracks:
            annotations.append({"id": len(annotations) + 1, "video_id": video["id"], **track})
    _write_json(
        folder / f"{split}.json",
        {
            "info": {
                "description": f"embedded dataset, variant {settings.variant}, split {split}",
                "version": str(settings.version),
            },
            "videos": videos,
            "categories": category_records(),
            "annotations": annotations,
        },
    )


def _run(make: functools.partial, items: Iterable[int], workers: int) -> Iterator:
    """Results in the order of the items."""
    if workers == 1:
        yield from map(make, items)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield from pool.map(make, items)


def _make_video(pictures: Path, settings: Settings, split: str, index: int) -> tuple[dict, list]:
    """Draws video number ``index`` of a split, writes its frames and returns its records."""
    rng = generator(settings.seed, settings.variant, split, 0, index)
    scene, shares, masks = _draw_visible(rng, settings, split, index)
    name = f"video_{index + 1:05d}"
    (pictures / name).mkdir()
    file_names = [f"{name}/{t:05d}.jpg" for t in range(scene.length)]
    for file_name, frame in zip(file_names, paint(scene, shares, rng), strict=True):
        Image.fromarray(frame).save(pictures / file_name, quality=_JPEG_QUALITY, subsampling=0)
    tracks = [
        annotation_record(
            mask,
            category_id=SHAPES.index(track.shape) + 1,
            encoding=_ENCODING_ROUND[index % len(_ENCODING_ROUND)],
            min_pixels=MIN_VISIBLE_PIXELS,
        )
        for track, mask in zip(scene.tracks, masks, strict=True)
    ]
    video = {
        "id": index + 1,
        "width": scene.width,
        "height": scene.height,
        "length": scene.length,
        "file_names": file_names,
    }
    return video, tracks


def _draw_visible(
    rng: np.random.Generator, settings: Settings, split: str, index: int
) -> tuple[Scene, np.ndarray, np.ndarray]:
    """A scene all of whose objects can be seen often enough, its layer shares and its masks."""
    categories = tuple(
        category_of(settings.seed, settings.variant, split, index, slot)
        for slot in range(len(STYLES[split].object_shares))
    )
    for _ in range(_DRAWS_AT_MOST):
        scene = draw_scene(
            rng, split, categories, easy=settings.variant == "easy", scale=settings.scale
        )
        shares = layer_shares(scene)
        masks = visible_masks(scene, shares)
        if (masks.any(axis=(2, 3)).sum(axis=1) >= _MIN_VISIBLE_FRAMES).all():
            return scene, shares, masks
    raise RuntimeError(f"no scene with visible objects in {_DRAWS_AT_MOST} draws; try another seed")


def _pictures(folder: Path, split: str) -> Path:
    return folder / split / "JPEGImages"


def _write_json(path: Path, content: dict) -> None:
    text = json.dumps(content, separators=(",", ":"))
    write_bytes(path, text.encode(), overwrite=True)


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return the exit status."""
    return run_command(_parser(), run, arguments)


def run(options: argparse.Namespace) -> None:
    """Make the dataset, with progress bars."""
    settings = vars(options)
    make_embedded_dataset(settings.pop("output"), progress=True, **settings)


def _parser() -> argparse.ArgumentParser:
    parser = command_parser(__file__, __doc__)
    add = parser.add_argument
    output = Path(os.environ.get("DETECTRON2_DATASETS") or "datasets").expanduser() / "embedded"
    add("--output", type=Path, default=output, help=f"folder for the variants (default: {output})")
    add("--variant", choices=(*VARIANTS, "both"), default="both", help="which to make")
    add("--seed", type=int, default=666, help="of all randomness (default: 666)")
    for split, count in (("train", 240), ("val", 60), ("long", 10)):
        text = f"size of {split} (default: {count})"
        add(f"--{split}-videos", type=int, default=count, metavar="N", help=text)
    add("--scale", type=float, default=1.0, help="factor on the frame sizes")
    add("--workers", type=int, default=1, help="processes (default: 1)")
    add("--overwrite", action="store_true", help="replace other settings' dataset")
    return parser


if __name__ == "__main__":
    sys.exit(main())
