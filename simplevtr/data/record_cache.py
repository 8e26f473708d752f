"""Annotation files that this process has read already need not be parsed again."""

import os
import pickle
from collections.abc import Callable
from typing import TypeVar

from simplevtr.formats.files import without_garbage_collection

Content = TypeVar("Content")

# Enough for a training and a few test sets; a training set is dropped once its loader is built.
_MOST_FILES = 4
# (path, variant) -> (what tells a changed file, the content). Content is kept pickled: that takes a
# fraction of the memory of objects, is read several times faster than JSON, and gives each caller
# objects of its own. The bytes never leave this process.
_packed: dict[tuple[str, str], tuple[tuple[int, ...], bytes]] = {}


def read_once(
    path: str | os.PathLike[str], read: Callable[[], Content], *, variant: str = ""
) -> Content:
    """The result of ``read()`` for a file, without calling it again until the file changes.

    A file counts as changed if it is another one, or its size or one of its times differs.
    ``variant`` is whatever else the result depends on. Errors are not remembered; the result can be
    pickled and belongs to the caller.
    """
    key = (os.path.abspath(path), variant)
    with without_garbage_collection():
        try:
            found = os.stat(path)
        except OSError:
            return read()  # it raises what is wrong with the file
        stamp = found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
        stored, packed = _packed.get(key, (None, b""))
        if stored == stamp:
            return pickle.loads(packed)
        content = read()
        _packed.pop(key, None)
        _packed[key] = (stamp, pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL))
    while len(_packed) > _MOST_FILES:
        del _packed[next(iter(_packed))]  # the oldest
    return content


def forget_file(path: str | os.PathLike[str]) -> None:
    """Free the memory of a file's content; nothing happens if the file is unknown."""
    path = os.path.abspath(path)
    for key in [key for key in _packed if key[0] == path]:
        del _packed[key]
