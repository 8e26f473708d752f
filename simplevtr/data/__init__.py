"""Video instance segmentation data in YTVIS format: registration, clips and loaders.

``simplevtr.data.builtin``, which all loaders use, registers the builtin datasets with detectron2.
"""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    {
        "ClipAugmentation": "augmentation",
        "ClipStream": "clip_stream",
        "YTVISDatasetMapper": "dataset_mapper",
        "build_test_loader": "build",
        "build_train_loader": "build",
        "load_ytvis_json": "ytvis",
        "register_from_cfg": "builtin",
        "register_ytvis": "ytvis",
    },
)
