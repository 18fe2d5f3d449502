"""Convolutions of any size are packed, so that tests need no large ones."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _packs_small_convolutions(monkeypatch):
    fusing = pytest.importorskip("gint.conductor.freeze.fusing")
    monkeypatch.setattr(fusing, "_LEAST_WORK", 0)
