"""Video instance segmentation data in YTVIS format: registration, clips and loaders.

Tools that read annotation files need neither torch nor detectron2, which take seconds to import. So
the names below are imported when they are first used; ``simplevtr.data.builtin``, which all loaders
use, registers the builtin datasets with detectron2.
"""

import importlib

# The public names, by the module that has them. They are imported when they are first used.
_HOMES = {
    "ClipAugmentation": "augmentation",
    "ClipStream": "clip_stream",
    "ShapeGroupedClips": "clip_stream",
    "YTVISDatasetMapper": "dataset_mapper",
    "build_test_loader": "build",
    "build_train_loader": "build",
    "check_registered": "builtin",
    "epoch_items": "frame_sampling",
    "epoch_length": "build",
    "load_ytvis_json": "ytvis",
    "register_builtin": "builtin",
    "register_from_cfg": "builtin",
    "register_ytvis": "ytvis",
    "sample_frames": "frame_sampling",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
