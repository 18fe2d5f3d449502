"""A step of training of eight small models: `models_steady`, with gradients."""

from __future__ import annotations

from benchmarks import models_steady
from benchmarks.report import Report
from benchmarks.settings import Settings


def run(settings: Settings) -> Report:
    """Measure and report every model."""
    return models_steady.run(settings, "training")
