"""Public names of a package that are imported when they are first used (PEP 562).

Tools that read or score files need neither torch nor detectron2, which take seconds to import.
"""

import importlib
from collections.abc import Callable
from typing import Any


def lazy_names(package: str, **modules: str) -> tuple[list[str], Callable[[str], Any]]:
    """``__all__`` and ``__getattr__`` of a package, from the names in each module below it."""
    homes = {name: module for module, names in modules.items() for name in names.split()}

    def find(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module(f"{package}.{homes[name]}"), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return [*homes], find
