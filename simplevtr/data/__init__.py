"""Video instance segmentation data in YTVIS format: registration, clips and loaders.

``simplevtr.data.builtin``, which all loaders use, registers the builtin datasets with detectron2.
"""

from simplevtr.lazy import lazy_names

__all__, __getattr__ = lazy_names(
    __name__,
    augmentation="ClipAugmentation",
    clip_stream="ClipStream",
    dataset_mapper="YTVISDatasetMapper",
    build="build_test_loader build_train_loader",
    ytvis="load_ytvis_json register_ytvis",
    builtin="register_from_cfg",
)
