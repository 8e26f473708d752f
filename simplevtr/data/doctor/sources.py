"""Where data sets are: a path is what it is, a registered name is looked up in detectron2."""

from __future__ import annotations

import os
from typing import NamedTuple


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


def resolve(name: str, config_file: str = "") -> Source:
    """The data set that a path or a name means.

    Args:
        name: a path if there is such a file, or if it has a separator or an extension; otherwise
            the name of a registered data set.
        config_file: whose ``DATASETS.CUSTOM`` are registered besides; "" for none.

    Raises:
        FileNotFoundError: ``config_file`` does not exist.
        ValueError: the name is unknown, or the config is wrong.
    """
    if os.path.isfile(name) or os.path.basename(name) != name or "." in name:
        return Source(name)
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
