"""Hand-made weights of small models, the same in every run."""

from simplevtr.weights_file import read_checkpoint, weights_of

import torch
from vistr_weights import filled


def as_vistr(cfg, frames=2):
    """Make ``cfg``, of any size, a config whose model has a place for everything in VisTR."""
    node = cfg.MODEL.SIMPLEVTR
    node.QUERY_FRAMES = frames
    node.CLASS_OFFSET = 1
    node.ENC_LAYERS = node.DEC_LAYERS = 2
    node.LOSS.DENSE_WEIGHT = 0.0
    node.MASK_HEAD.CONV = "dcnv1"
    node.MASK_HEAD.NUM_DEFORM = 1
    node.MASK_HEAD.OFFSET_KERNEL = 1
    node.MASK_HEAD.CONV3D = True
    return cfg


def model_weights(cfg):
    """Weights of the model of ``cfg``, none of them the initial ones."""
    from simplevtr.conversion import target_of_config

    return {name: filled(name, v.shape) for name, v in target_of_config(cfg).weights.items()}


def read_weights(path):
    """The weights of a file, as evaluation takes them."""
    return weights_of(read_checkpoint(path), path)[0]


def equal(one, two):
    """Whether two dicts of tensors have the same names, dtypes and bits."""
    return one.keys() == two.keys() and all(
        a.dtype == two[name].dtype and torch.equal(a, two[name]) for name, a in one.items()
    )
