"""Foreign weights -> ours, ours -> VisTR's: on plain dicts of names and tensors.

``convert`` needs a ``Target``, which ``target_of_config`` makes; the config's model must be
registered (importing ``simplevtr.setup_cfg`` does).
"""

from simplevtr.conversion.convert import COLOURS, convert
from simplevtr.conversion.export import to_vistr
from simplevtr.conversion.layouts import LAYOUTS
from simplevtr.conversion.report import ConversionReport, Entry
from simplevtr.conversion.target import Target, target_of_config

__all__ = [
    "COLOURS",
    "LAYOUTS",
    "ConversionReport",
    "Entry",
    "Target",
    "convert",
    "target_of_config",
    "to_vistr",
]
