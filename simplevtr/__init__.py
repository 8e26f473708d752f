"""SimpleVTR: video instance segmentation as a detectron2 project.

The public names below are imported when they are first used: scoring a result file needs neither
torch nor detectron2, which take seconds to import. Importing ``setup_cfg`` (or
``simplevtr.modeling`` and ``simplevtr.data.builtin``) registers the model and the datasets with
detectron2.
"""

import warnings
from typing import Any

__version__ = "0.1.0"
__all__ = ["add_simplevtr_config", "setup_cfg"]

# detectron2 raises these at import and in use, and a user can do nothing about them. Commands
# import this package first (see pyproject.toml), so that they are hidden in time.
warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=FutureWarning)
warnings.filterwarnings("ignore", message=".*torch.meshgrid.*", category=UserWarning)
warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*", category=UserWarning)


def __getattr__(name: str) -> Any:
    if name == "setup_cfg":
        from simplevtr.run_config import setup_cfg

        return setup_cfg
    if name == "add_simplevtr_config":
        from simplevtr.config import add_simplevtr_config

        return add_simplevtr_config
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
