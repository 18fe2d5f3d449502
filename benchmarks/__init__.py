"""Benchmarks: `python -m benchmarks NAME` (or `gint bench NAME`) prints tables and writes JSON.

Both sides of every ratio are measured in one run, interleaved; figures are medians. No test times
anything.
"""

from benchmarks.command import main

__all__ = ["main"]
