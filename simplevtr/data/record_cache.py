"""Annotation files that this process has read already need not be parsed again."""

import os
from collections.abc import Callable
from typing import Any, TypeVar

from simplevtr.formats.files import without_garbage_collection

Content = TypeVar("Content")

# Enough for a training and a few test sets; a training set is dropped once its loader is built.
_MOST_FILES = 4
_kept: dict[str, tuple[tuple[int, ...], Any]] = {}  # path -> (what tells a changed file, content)


def read_once(path: str | os.PathLike[str], read: Callable[[str], Content]) -> Content:
    """The result of ``read(path)`` for a file, without calling it again until the file changes.

    A file counts as changed if it is another one, or its size or one of its times differs. Errors
    are not remembered. All callers get the same object, which none of them may change.
    """
    key = os.path.abspath(path)
    try:
        found = os.stat(path)
    except OSError:
        return read(os.fspath(path))  # it raises what is wrong with the file
    stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    if key not in _kept or _kept[key][0] != stamp:
        _kept.pop(key, None)
        with without_garbage_collection():
            _kept[key] = stamp, read(os.fspath(path))
        while len(_kept) > _MOST_FILES:
            del _kept[next(iter(_kept))]  # the oldest
    return _kept[key][1]


def forget_file(path: str | os.PathLike[str]) -> None:
    """Free the memory of a file's content; nothing happens if the file is unknown."""
    _kept.pop(os.path.abspath(path), None)
