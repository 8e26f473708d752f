"""SimpleVTR: video instance segmentation as a detectron2 project.

The public names below are imported when they are first used: scoring a result file needs neither
torch nor detectron2, which take seconds to import. Importing ``setup_cfg`` (or
``simplevtr.modeling`` and ``simplevtr.data.builtin``) registers the model and the datasets with
detectron2.
"""

import warnings

from simplevtr.lazy import lazy_names

__version__ = "0.1.0"
__all__, __getattr__ = lazy_names(__name__, config="add_simplevtr_config", run_config="setup_cfg")

# detectron2 raises these at import and in use, and a user can do nothing about them. Commands
# import this package first (see pyproject.toml), so that they are hidden in time.
warnings.filterwarnings("ignore", message=".*torch.jit.script.*", category=FutureWarning)
warnings.filterwarnings("ignore", message=".*torch.meshgrid.*", category=UserWarning)
warnings.filterwarnings("ignore", message=".*pkg_resources is deprecated.*", category=UserWarning)
