"""The model. Importing this package registers it with detectron2."""

from simplevtr.modeling.backbone import build_small_resnet_backbone, build_timm_backbone
from simplevtr.modeling.clip_network import ClipNetwork
from simplevtr.modeling.meta_arch import SimpleVTR

__all__ = ["ClipNetwork", "SimpleVTR", "build_small_resnet_backbone", "build_timm_backbone"]
