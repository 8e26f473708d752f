"""Foreign annotations of videos to YouTube-VIS files.

Each format is a module whose ``read(dataset, source, images, *, options)`` finds the videos of a
source, in natural order of their names or ids, and their categories.
"""

import inspect
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from simplevtr.formats.paths import existing
from simplevtr.toolbox.importing import coco_tracks, ctc, cvat, davis, labelme, mots, sav
from simplevtr.toolbox.importing.reading import ImportedDataset

READERS: dict[str, Callable[..., None]] = {
    "davis": davis.read,
    "mots": mots.read,
    "coco-tracks": coco_tracks.read,
    "cvat": cvat.read,
    "labelme": labelme.read,
    "ctc": ctc.read,
    "sa-v": sav.read,
}


def read_dataset(
    kind: str,
    source: Path,
    *,
    images: Path | None = None,
    skip_broken: bool = False,
    new_names: Mapping[str, str] | None = None,
    **options: Any,
) -> ImportedDataset:
    """Read foreign files of a ``kind``, one of ``READERS``, whose module describes them.

    The frames' file names start at ``images``; None: where the kind has them. With ``skip_broken``
    frames that cannot be used, and videos where no single frame is to blame, are left out and
    counted instead of an error. ``new_names`` are those of ``ImportedDataset``, and ``options``
    those of the kind's reader.

    Raises:
        FileNotFoundError: a file or folder is missing.
        ValueError: one cannot be used, with its name, where and why; or an option cannot.
    """
    known = inspect.signature(READERS[kind]).parameters
    for name, value in options.items():
        if name not in known:
            raise ValueError(f"{kind} has no option --{name.replace('_', '-')}")
        allowed = get_args(known[name].annotation)
        if get_origin(known[name].annotation) is Literal and value not in allowed:
            raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")
    source = existing(source)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    with suppress(EOFError):  # a .json.gz that is cut short, which its reader names
        if source.is_file() and (zipfile.is_zipfile(source) or tarfile.is_tarfile(source)):
            raise ValueError(f"{source}: is an archive; unpack it, and give what is in it")
    dataset = ImportedDataset(skip_broken=skip_broken, new_names=new_names or {})
    READERS[kind](dataset, source, images, **options)
    return dataset
