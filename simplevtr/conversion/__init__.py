"""Foreign weights -> ours, ours -> VisTR's: on plain dicts of names and tensors.

``convert`` needs a ``Target``, which ``target_of_config`` makes; the config's model must be
registered (importing ``simplevtr.setup_cfg`` does).
"""

from simplevtr.conversion.convert import COLOURS, convert
from simplevtr.conversion.draft import Target, target_of_config
from simplevtr.conversion.export import to_vistr
from simplevtr.conversion.layouts import LAYOUTS

__all__ = ["COLOURS", "LAYOUTS", "Target", "convert", "target_of_config", "to_vistr"]
