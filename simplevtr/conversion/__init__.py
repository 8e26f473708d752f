"""Foreign weights -> ours, ours -> VisTR's: on plain dicts of names and tensors."""

from simplevtr.conversion.convert import convert
from simplevtr.conversion.draft import Target, target_of_config
from simplevtr.conversion.layouts import LAYOUTS
from simplevtr.conversion.to_vistr import to_vistr

__all__ = ["LAYOUTS", "Target", "convert", "target_of_config", "to_vistr"]
