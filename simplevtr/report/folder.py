"""The folder of a report: its fixed pages, data as scripts, frames, and replacing an older one.

Pages opened from disk may not fetch data, but they may run scripts that lie next to them. So data
is written as JavaScript that passes a literal to a function.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from simplevtr.formats.files import refuse_existing
from simplevtr.formats.images import read_reduced_frame
from simplevtr.formats.paths import below
from simplevtr.formats.ytvis import Video

from PIL import Image

PAGE = Path(__file__).parent / "page"
_INDEX = "index.html"
_MARK = '<meta name="generator" content="simplevtr report">'


def check_folder(path: str | os.PathLike, *, overwrite: bool) -> Path:
    """The path, if a report may be written there.

    Raises:
        FileExistsError: it exists and is not an empty folder; or ``overwrite`` is True and it is
            not a report either.
    """
    path = Path(path)
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return path
    refuse_existing(path, overwrite=overwrite)
    index = path / _INDEX
    if not index.is_file() or _MARK not in index.read_text(encoding="utf-8", errors="replace"):
        raise FileExistsError(f"{path} exists and is not a report, so it is not overwritten")
    return path


@contextmanager
def new_report(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """A folder with the fixed pages to write the rest into, which becomes ``path`` at the end.

    If anything is raised, what was there stays as it was. Of an older report only what a report
    consists of is replaced.

    Raises:
        FileExistsError: as ``check_folder``.
    """
    check_folder(path, overwrite=overwrite)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    try:
        shutil.copytree(PAGE, partial / PAGE.name)
        os.replace(partial / PAGE.name / _INDEX, partial / _INDEX)
        yield partial
        path.mkdir(exist_ok=True)
        for entry in partial.iterdir():
            old = path / entry.name
            if old.is_dir() and not old.is_symlink():
                shutil.rmtree(old)
            else:
                old.unlink(missing_ok=True)
            os.replace(entry, old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def write_data(path: Path, function: str, data: dict) -> None:
    """Write a script that calls ``function`` with ``data``.

    The keys of ``data`` must be the report's own: a key such as ``__proto__`` means something else
    in a literal. Values may be anybody's. The result is ASCII without "<", so it ends neither a
    line nor a script wherever it is put.
    """
    literal = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{function}({literal.replace('<', chr(92) + 'u003c')});\n", encoding="ascii")


def write_frame(
    target: Path, images: str | os.PathLike, video: Video, number: int, most_width: int
) -> None:
    """Write a frame as a JPEG of at most ``most_width`` pixels' width; it is never enlarged.

    Raises:
        FileNotFoundError: there is no such frame.
        ValueError: the video has no such file name, the name leads out of ``images``, or the file
            is not an image or has another size than the video.
    """
    if video.file_names is None:
        raise ValueError(f"video {video.id} has no file_names in its annotation file")
    try:
        source = below(images, video.file_names[number])
    except ValueError as error:
        raise ValueError(f"video {video.id}, file_names[{number}]: {error}") from error
    reduction = next((r for r in (8, 4, 2) if video.width // r >= most_width), 1)
    pixels, _ = read_reduced_frame(source, (video.height, video.width), reduction=reduction)
    picture = Image.fromarray(pixels)
    picture.thumbnail((most_width, video.height))
    target.parent.mkdir(parents=True, exist_ok=True)
    picture.save(target, "JPEG", quality=80)
