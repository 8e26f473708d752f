"""JSON files as evaluation reads and writes them: plain, gzipped, or ``results.json`` in a zip."""

from __future__ import annotations

import gzip
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

# RuntimeError: an archive that is encrypted or compressed in an unknown way.
_UNPACKING_ERRORS = (EOFError, zlib.error, gzip.BadGzipFile, zipfile.BadZipFile, RuntimeError)

RESULTS_NAME = "results.json"  # what the servers look for inside a submission


def read_json(path: str | os.PathLike) -> Any:
    """The content of a ``.json`` or ``.json.gz`` file, or of ``results.json`` in a ``.zip``.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read as JSON.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return json.loads(_read_bytes(path))
    except KeyError:
        raise ValueError(f"{path}: the archive holds no {RESULTS_NAME} at its top level") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    except _UNPACKING_ERRORS as error:
        raise ValueError(f"{path}: cannot be unpacked: {error}") from error


def _read_bytes(path: Path) -> bytes:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return archive.read(RESULTS_NAME)
    if path.suffix == ".gz":
        return gzip.decompress(path.read_bytes())
    return path.read_bytes()


def write_bytes(path: str | os.PathLike, content: bytes, *, overwrite: bool = False) -> None:
    """Write a file in one step: it is either complete or as it was before.

    Raises:
        FileExistsError: there is such a file and ``overwrite`` is False.
    """
    path = Path(path)
    refuse_existing(path, overwrite=overwrite)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def refuse_existing(path: str | os.PathLike, *, overwrite: bool) -> None:
    """Raise FileExistsError if there is such a file and ``overwrite`` is False."""
    if not overwrite and Path(path).exists():
        raise FileExistsError(
            f"{path} exists already; write elsewhere (OUTPUT_DIR, --output) "
            "or allow overwriting it (overwrite=True, --overwrite)"
        )
