"""A report on predicted tracks as web pages that open from disk, without torch and detectron2."""

from simplevtr.toolbox.report.content import ReportSettings
from simplevtr.toolbox.report.folder import write_report

__all__ = ["ReportSettings", "write_report"]
