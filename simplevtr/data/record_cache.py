"""Annotation files that this process has read already need not be parsed again."""

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

from simplevtr.formats.files import without_garbage_collection

Content = TypeVar("Content")


def read_once(path: str | os.PathLike[str], read: Callable[[str], Content]) -> Content:
    """The result of ``read(path)`` for a file, without calling it again until the file changes.

    A file counts as changed if it is another one, or its size or one of its times differs. Errors
    are not remembered. All callers get the same object, which none of them may change.
    """
    try:
        found = os.stat(path)
    except OSError:
        return read(os.fspath(path))  # it raises what is wrong with the file
    stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
    return _content(os.fspath(path), stamp, read)


@lru_cache(maxsize=4)  # enough for a training and a few test sets
def _content(path: str, stamp: tuple[int, ...], read: Callable[[str], Any]) -> Any:
    with without_garbage_collection():
        return read(path)


forget_files = _content.cache_clear  # frees their memory
