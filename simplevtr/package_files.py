"""``package://NAME/path/of/file``: a file that an installed Python package brings along.

So pretrained weights come by pip, where no hub can be reached. Nothing of the package is imported.
"""

import base64
import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from iopath.common.file_io import PathHandler

_PREFIX = "package://"


class PackageFiles(PathHandler):
    """detectron2's ``PathManager`` reads ``package://`` addresses by this.

    ``#sha256=HEX`` after the path asks for that content; otherwise it has to be the one that pip
    noted when it installed the package.
    """

    def _get_supported_prefixes(self) -> list[str]:
        return [_PREFIX]

    def _get_local_path(self, path: str, force: bool = False, **kwargs: Any) -> str:
        """The path of the file on this machine, checked.

        FileNotFoundError: the package is not installed, or has no such file. ValueError: the
        address has no file, or the file has another content.
        """
        address, _, fragment = path.removeprefix(_PREFIX).partition("#")
        name, _, file = address.partition("/")
        if not name or not file or (fragment and not fragment.startswith("sha256=")):
            raise ValueError(f"{path} must be {_PREFIX}PACKAGE/path/of/file, perhaps #sha256=HEX")
        try:
            package = distribution(name)
        except PackageNotFoundError as error:
            raise FileNotFoundError(
                f"{path}: the package {name} is not installed: pip install --no-deps {name}"
            ) from error
        noted = {str(entry): entry.hash for entry in package.files or ()}
        if file not in noted:
            raise FileNotFoundError(f"{path}: {_label(package)} has no such file")
        local = str(package.locate_file(file))
        with open(local, "rb") as opened:
            digest = hashlib.file_digest(opened, "sha256")
        wanted = fragment.removeprefix("sha256=").lower() if fragment else None
        if wanted is None and (entry := noted[file]) is not None and entry.mode == "sha256":
            wanted = base64.urlsafe_b64decode(entry.value + "=" * (-len(entry.value) % 4)).hex()
        if wanted is None:
            raise ValueError(f"{path}: {_label(package)} notes no SHA-256; give #sha256=HEX")
        if digest.hexdigest() != wanted:
            raise ValueError(
                f"{path}: the file of {_label(package)} has the SHA-256 {digest.hexdigest()}, not "
                f"{wanted}: it was changed, or is of another version"
            )
        return local


def _label(package: Distribution) -> str:
    return f"{package.name} {package.version}"
