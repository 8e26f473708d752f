"""Hand-made weights of small models, the same in every run."""

from simplevtr.conversion import Target, convert, target_of_config
from simplevtr.weights_file import read_checkpoint, weights_of

import torch
from vistr_weights import filled

# With these a model of any size has a place for everything in VisTR, and no other.
AS_VISTR = {
    "MODEL.SIMPLEVTR.QUERY_FRAMES": 2,
    "MODEL.SIMPLEVTR.CLASS_OFFSET": 1,
    "MODEL.SIMPLEVTR.ENC_LAYERS": 2,
    "MODEL.SIMPLEVTR.DEC_LAYERS": 2,
    "MODEL.SIMPLEVTR.LOSS.DENSE_WEIGHT": 0.0,
    "MODEL.SIMPLEVTR.MASK_HEAD.CONV": "dcnv1",
    "MODEL.SIMPLEVTR.MASK_HEAD.NUM_DEFORM": 1,
    "MODEL.SIMPLEVTR.MASK_HEAD.OFFSET_KERNEL": 1,
    "MODEL.SIMPLEVTR.MASK_HEAD.CONV3D": True,
}


def as_vistr(cfg, **others):
    """Make ``cfg`` a VisTR, but for the values of ``others``, keys of MODEL.SIMPLEVTR."""
    changes = AS_VISTR | {f"MODEL.SIMPLEVTR.{key}": value for key, value in others.items()}
    cfg.merge_from_list([word for pair in changes.items() for word in pair])
    return cfg


def model_weights(cfg):
    """Weights of the model of ``cfg``, none of them the initial ones."""
    return {name: filled(name, v.shape) for name, v in target_of_config(cfg).weights.items()}


def converted(source, wanted, **options):
    """(weights, report) for a model of one slot whose tensors are ``wanted``."""
    return convert(source, Target(weights=wanted, slots=1, query_frames=0), **options)


def read_weights(path):
    """The weights of a file, as evaluation takes them."""
    return weights_of(read_checkpoint(path), path)[0]


def equal(one, two):
    """Whether two dicts of tensors have the same names, dtypes and bits."""
    return one.keys() == two.keys() and all(
        a.dtype == two[name].dtype and torch.equal(a, two[name]) for name, a in one.items()
    )
