"""A submission as pages that open from the disk: summary, classes, slices, videos, a player.

The numbers come from ``tevit_vis.evaluation``; this package only shows them.
"""

from .runs import DataSet, Run, read_run, short_names
from .site import ReportOptions, write_report

__all__ = ['DataSet', 'ReportOptions', 'Run', 'read_run', 'short_names', 'write_report']
