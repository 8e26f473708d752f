"""The files of a command: where datasets are, and what may be written."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from simplevtr.formats.checks import check_outline
from simplevtr.formats.files import read_json, refuse_existing


class Source(NamedTuple):
    """An annotation file.

    Attributes:
        json_file: its path.
        image_root: the folder that its file names start at, None if unknown.
        dataset_name: the name it is registered under, "" if none.
    """

    json_file: str
    image_root: str | None = None
    dataset_name: str = ""

    def read(self) -> dict[str, Any]:
        """The file's content, of which only the outermost lists have been checked."""
        content = read_json(self.json_file, lazy="annotations")
        check_outline(content, self.json_file, empty=True)
        return content


def resolve(name: str, config_file: str = "") -> Source:
    """The dataset that a path or a name means.

    Args:
        name: a path if there is such a file, or if it has a separator or an extension; otherwise
            the name of a registered dataset. For "train.json" "train/instances.json" is taken, as
            archives unpack, if that alone exists.
        config_file: whose ``DATASETS.CUSTOM`` are registered in addition; "" for none.

    Raises:
        FileNotFoundError: ``config_file`` or the annotation file does not exist.
        ValueError: the name is unknown, or the config is wrong.
    """
    if os.path.isfile(name):
        return Source(name)
    if os.path.basename(name) != name or "." in name:
        unpacked = os.path.join(os.path.splitext(name)[0], "instances.json")
        if os.path.isfile(unpacked):
            return Source(unpacked)
        raise FileNotFoundError(f"annotation file {name} does not exist")
    # Only now, because they import torch and detectron2, which takes seconds.
    from simplevtr.data.builtin import check_registered

    from detectron2.data import MetadataCatalog

    if config_file:
        from simplevtr.run_config import setup_cfg

        setup_cfg(config_file)
    try:
        check_registered([name])
    except KeyError as error:
        raise ValueError(f"there is no file {name}, and {error.args[0]}") from None
    metadata = MetadataCatalog.get(name)
    return Source(metadata.json_file, metadata.image_root, name)


def check_targets(targets: Sequence[str], source: str, *, overwrite: bool) -> None:
    """Raise unless files may be written: never the one that is read, others with ``overwrite``.

    Raises:
        ValueError: two are the same file, or one is ``source``.
        FileExistsError: one exists and ``overwrite`` is False.
    """
    real = [os.path.realpath(target) for target in targets]
    for index, target in enumerate(targets):
        if os.path.exists(target) and os.path.samefile(target, source):
            raise ValueError(f"{target} is the file that is examined; write elsewhere")
        if real[index] in real[:index]:
            raise ValueError(f"{target} is written already; write elsewhere")
        if os.path.isdir(target):
            raise FileExistsError(f"{target} is a folder; name a file")
        refuse_existing(target, overwrite=overwrite)
