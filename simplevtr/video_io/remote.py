"""Videos where fsspec finds them (s3://, gs://, https://, ...): listed, told apart, and copied."""

import glob
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from simplevtr.terminal import one_line
from simplevtr.video_io.reader import redacted

from fsspec.core import url_to_fs

# What file systems know of a file that tells its versions apart.
_VERSION = (
    "size", "mtime", "ETag", "etag", "LastModified", "Last-Modified", "last_modified", "updated",
    "md5Hash", "Content-MD5", "Digest", "CRC", "sha", "modify", "modificationTime",
)  # fmt: skip


@dataclass(frozen=True)
class RemoteFile:
    """A file of a file system that an address leads to."""

    address: str  # of the file system; it may hold more than the protocol
    path: str  # in the file system

    @property
    def place(self) -> PurePosixPath:
        """An absolute path without protocol, user and query: what names are made of."""
        rest = re.sub(r"^\w+://([^/]*@)?", "", self.path)
        if self.path.startswith(("http://", "https://")):
            rest = rest.partition("?")[0]
        return PurePosixPath("/", rest.lstrip("/"))

    def version(self) -> list[str]:
        """What tells the file from another version of it."""
        with _naming(self.address):
            info: dict[str, Any] = url_to_fs(self.address)[0].info(self.path)
        return [f"{key} {info[key]}" for key in _VERSION if info.get(key) is not None]

    def copy_to(self, folder: str) -> Path:
        """Copy the file; returns where it is: "input" with the suffix that it has."""
        target = Path(folder, "input").with_suffix(self.place.suffix)
        with _naming(self.address):
            url_to_fs(self.address)[0].get_file(self.path, str(target))
        return target


def find_remote(address: str, suffixes: tuple[str, ...]) -> tuple[PurePosixPath, list[RemoteFile]]:
    """The folder that names start at, and the files of an address: one, a pattern's or a folder's.

    Of a folder, and of all below it, those with one of the ``suffixes`` that are not hidden.

    Raises:
        FileNotFoundError: nothing is there, or matches the pattern.
        ValueError: fsspec lacks the protocol or a package for it, or the place cannot be reached.
    """
    with _naming(address):
        system, path = url_to_fs(address)
        place = RemoteFile(address, path).place
        base = place.parent
        if system.isfile(path):
            paths = [path]
        elif glob.has_magic(path):
            found = system.glob(path, detail=True)
            paths = [name for name, info in found.items() if info["type"] == "file"]
            fixed = itertools.takewhile(lambda part: not glob.has_magic(part), place.parts)
            base = PurePosixPath(*fixed)
        else:
            below = [name for name in system.find(path) if "/." not in name.removeprefix(path)]
            paths = [name for name in below if name.lower().endswith(suffixes)]
    files = [RemoteFile(address, path) for path in paths]
    if not files:
        raise FileNotFoundError(f"{redacted(address)}: no video is there")
    if any(".." in file.place.parts for file in files):
        raise ValueError(f"{redacted(address)}: a path there has '..' in it")
    return base, files


@contextmanager
def _naming(address: str) -> Iterator[None]:
    """Errors of any file system as OSError or ValueError, in one line, with the address."""
    try:
        yield
    except Exception as error:  # file systems raise what their libraries do
        kind = OSError if isinstance(error, OSError) else ValueError
        text = one_line(error) or type(error).__name__
        text = re.sub(r"\w+://[^\s'\"]+", lambda found: redacted(found[0]), text)
        raise kind(f"{redacted(address)}: {text}") from error
