"""Damaged and forged files of saved functions, as bundles.py; a campaign's processes never import
torch, and `opencl` runs them where it is usable."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from gint.backend.registry import usable

from .bundles import Bundles
from .kinds import Kind
from .plans import Plans


class Arrays(Bundles):
    @cached_property
    def calls(self) -> tuple[Any, ...]:  # type: ignore[override]
        if "opencl" in usable():
            return (*Plans.calls, ("opencl", "opencl", np.asarray))
        return Plans.calls


KIND: Kind = Arrays()
