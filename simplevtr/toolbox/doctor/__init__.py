"""Finds and repairs what is wrong with annotation files in YouTube-VIS format.

``simplevtr doctor FILE`` is the command. Nothing here imports torch or detectron2
before it needs them, which takes seconds.
"""

from simplevtr.toolbox.doctor.examination import Examination, Settings, examine
from simplevtr.toolbox.doctor.findings import DEFECTS, Defect, Findings

__all__ = ["DEFECTS", "Defect", "Examination", "Findings", "Settings", "examine"]
