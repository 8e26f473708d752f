"""A report on predicted tracks as web pages that open from disk.

Like scoring a file it needs neither torch nor detectron2.
"""

from simplevtr.report.build import write_report
from simplevtr.report.settings import ReportSettings

__all__ = ["ReportSettings", "write_report"]
