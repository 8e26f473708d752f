"""Files as all commands read and write them: JSON, packed or not, and whole or not at all."""

import gc
import gzip
import json
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

# RuntimeError: an archive that is encrypted or compressed in an unknown way.
_UNPACKING_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError)
# A packed file may come from anyone, and a few bytes can unpack to more than fits in memory.
# Annotations and results shrink to between a half and a thirtieth.
_MOST_UNPACKED = 2**28  # bytes that any file may have
_MOST_RATIO = 100  # of unpacked to packed bytes that larger ones may have
NAME_ROOM = 55  # characters, of 4 bytes at most, that leave room for more in a name of 255 bytes
_ZIP_KINDS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
RESULTS_NAME = "results.json"  # what the servers look for inside a submission
RECORD_NAME = "video.json"  # next to it, where many videos have a folder of results each


def read_json(path: str | os.PathLike) -> Any:
    """The content of a JSON file, also gzipped, or of ``results.json`` in a zip.

    The first bytes of a file decide what it is, not its name. FileNotFoundError: there is no such
    file. ValueError: it cannot be read as JSON, or unpacks to an unlikely size.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a folder; a file is needed" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"{path}: {what}")
    data = _read_bytes(path)
    try:
        with without_garbage_collection():
            try:
                return msgspec.json.decode(data)
            except (msgspec.MsgspecError, RecursionError):
                return json.loads(data)  # slower; takes NaN, other encodings, says where
    except (ValueError, RecursionError) as error:  # not JSON, not UTF-8, or nested without end
        raise ValueError(f"{path}: not valid JSON: {error}") from error


@contextmanager
def without_garbage_collection() -> Iterator[None]:
    """Pause it where many new objects are all kept: it doubles the time to make them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _read_bytes(path: Path) -> bytes:
    """The content of a file, of a gzip file or of ``results.json`` in a zip."""
    with path.open("rb") as file:
        magic = file.read(4)
    most = max(_MOST_UNPACKED, _MOST_RATIO * path.stat().st_size)
    try:
        if magic == b"PK\x03\x04":
            with zipfile.ZipFile(path) as archive:
                if RESULTS_NAME not in archive.namelist():
                    raise ValueError(f"the archive holds no {RESULTS_NAME} at its top level")
                # Other kinds are rare, and zipfile unpacks blocks of theirs of any size at once.
                if archive.getinfo(RESULTS_NAME).compress_type not in _ZIP_KINDS:
                    raise ValueError("the archive must be stored or deflated")
                with archive.open(RESULTS_NAME) as packed:
                    content = packed.read(most + 1)
        elif magic[:2] == b"\x1f\x8b":
            with gzip.open(path) as packed:
                content = packed.read(most + 1)
        else:
            return path.read_bytes()
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    except _UNPACKING_ERRORS as error:
        raise ValueError(f"{path}: cannot be unpacked: {error}") from error
    if len(content) > most:
        doubt = "which is unlikely for its size; unpack it yourself if it is genuine"
        raise ValueError(f"{path}: unpacks to more than {most:,} bytes, {doubt}")
    return content


def write_bytes(path: str | os.PathLike, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file in one step: it is either complete or as it was before.

    FileExistsError: there is such a file and ``overwrite`` is False.
    """
    refuse_existing(path, overwrite=overwrite)
    with replaced_file(path) as partial:
        partial.write_bytes(content)


def write_json(
    path: str | os.PathLike, content: Any, *, overwrite: bool = False, indent: int | None = None
) -> None:
    """Write ``json_bytes``, packed for a name in ``.gz``, as ``write_bytes`` does."""
    text = json_bytes(content, indent=indent)
    is_packed = Path(path).suffix.lower() == ".gz"
    write_bytes(path, gzip.compress(text, mtime=0) if is_packed else text, overwrite=overwrite)


def json_bytes(content: Any, *, indent: int | None = None) -> bytes:
    """The text of a JSON file, without blanks or indented; ValueError for NaN and infinity."""
    separators = (",", ":") if indent is None else None
    text = json.dumps(content, allow_nan=False, indent=indent, separators=separators)
    return (text + "\n" * bool(indent)).encode("ascii")


@contextmanager
def replaced_file(path: str | os.PathLike) -> Iterator[Path]:
    """A file to write in place of ``path``, or what it links to, once the block has ended well."""
    path = Path(os.path.realpath(path))
    partial = path.with_name(f".{path.name[:NAME_ROOM]}.{os.getpid()}.partial")
    try:
        with named_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def named_errors(path: str | os.PathLike) -> Iterator[None]:
    """Let the system's errors that name no file, as of a full disk, name ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno and error.filename is None:
            error.filename = os.fspath(path)
        raise


def refuse_existing(
    path: str | os.PathLike,
    *,
    overwrite: bool,
    inputs: Iterable[str | os.PathLike] = (),
    folder: bool = False,
) -> None:
    """Refuse a file that is to be written, or a ``folder``, before any work is done for it.

    ValueError: it is one of the ``inputs``, whatever their names. FileExistsError: there is such a
    file and ``overwrite`` is False, or no file in its place. NotADirectoryError: it would be below
    a file. PermissionError: it would be in a folder that may not be written to. OSError: its name
    is too long.
    """
    real = Path(os.path.realpath(path))
    places = (real, *real.parents) if folder else real.parents
    parent = next((place for place in places if place.exists()), Path("/"))
    if not parent.is_dir():
        raise NotADirectoryError(f"{path} cannot be written: {parent} is not a folder")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{path} cannot be written: {parent} allows no new files")
    with suppress(FileNotFoundError):
        os.lstat(parent / real.name)
    if not folder and os.path.exists(path) and not os.path.isfile(path):
        kind = "a folder" if os.path.isdir(path) else "a device or pipe"
        raise FileExistsError(f"{path} is {kind}; name a file")
    present = filter(os.path.exists, inputs if os.path.exists(path) else ())
    if any(os.path.samefile(path, source) for source in present):
        raise ValueError(f"{path} is an input of this command; write elsewhere")
    if not overwrite and os.path.lexists(path):  # also a link that leads nowhere
        raise FileExistsError(
            f"{path} exists already; write elsewhere (OUTPUT_DIR, --output) "
            "or allow overwriting it (overwrite=True, --overwrite)"
        )


def refuse_replaced_frames(targets: Iterable[Path], frames: Iterable[Path]) -> None:
    """ValueError if a picture that is to be written has the place of a frame."""
    if there := {os.path.realpath(target) for target in targets if target.exists()}:
        if frame := next((frame for frame in frames if os.path.realpath(frame) in there), None):
            raise ValueError(f"{frame}: is a frame; choose another folder for the pictures")


def check_output(
    path: str | os.PathLike,
    *,
    overwrite: bool = False,
    suffixes: Sequence[str] = (".mp4", ".gif", ""),
) -> Path:
    """Refuse an output path before any work is done for it.

    An existing folder, or a path without suffix, stands for a folder of files, which the suffix ""
    allows; it exists if it is not empty. ValueError: the suffix is not allowed, or a folder is
    where a file should be. Else see ``refuse_existing``.
    """
    path = Path(os.path.expanduser(path))
    suffix = "" if path.is_dir() else path.suffix.lower()
    if not path.is_dir() and path.name.lower() in suffixes:
        raise ValueError(f"{path}: has no name before {path.name}")
    if suffix not in suffixes:
        allowed = " or ".join(s or "a folder (no suffix)" for s in suffixes)
        found = "a folder" if path.is_dir() else f"suffix {suffix!r}" if suffix else "no suffix"
        raise ValueError(f"{path}: cannot write to this; it has {found}, allowed: {allowed}")
    free = path.is_dir() and not any(path.iterdir())
    refuse_existing(path, overwrite=overwrite or free, folder=not suffix)
    return path
