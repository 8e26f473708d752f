"""Video instance segmentation data in YTVIS format: registration, clips and loaders."""

from simplevtr.data.augmentation import ClipAugmentation
from simplevtr.data.build import (
    ShapeGroupedClips,
    build_test_loader,
    build_train_loader,
    epoch_length,
)
from simplevtr.data.builtin import check_registered, register_builtin, register_from_cfg
from simplevtr.data.dataset_mapper import YTVISDatasetMapper
from simplevtr.data.frame_sampling import epoch_items, sample_frames
from simplevtr.data.frames import read_frame
from simplevtr.data.ytvis import load_ytvis_json, register_ytvis

__all__ = [
    "ClipAugmentation",
    "ShapeGroupedClips",
    "YTVISDatasetMapper",
    "build_test_loader",
    "build_train_loader",
    "check_registered",
    "epoch_items",
    "epoch_length",
    "load_ytvis_json",
    "read_frame",
    "register_builtin",
    "register_from_cfg",
    "register_ytvis",
    "sample_frames",
]

register_builtin()
