"""The model. Importing this package registers it with detectron2."""

from simplevtr.modeling.backbone import build_small_resnet_backbone, build_timm_backbone
from simplevtr.modeling.meta_arch import SimpleVTR
from simplevtr.modeling.paper_network import PaperNetwork

__all__ = ["PaperNetwork", "SimpleVTR", "build_small_resnet_backbone", "build_timm_backbone"]
