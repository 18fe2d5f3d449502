"""What is left whole to ATen on purpose, because a library does it better than a program would.

The list is closed and tested: an operator that is left to eager for any other reason is a
fallback, and `explain` says so. (A copy from one device to another is an extern too; that is seen
from its tensors, `moves` in graph.py.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import torch

from gint.plan.operators import EXTERNS, ONEDNN, OWN

_NAMES = {f"aten::{name}" for names in EXTERNS.values() for name in names}
_NAMES |= {f"gint::{name}" for name in OWN} | {f"mkldnn::{name}" for name in ONEDNN}


@lru_cache(maxsize=4096)
def is_extern(target: Any) -> bool:
    return isinstance(target, torch._ops.OpOverload) and target._schema.name in _NAMES


@lru_cache(maxsize=4096)
def name_of(target: Any) -> str:
    """An operator's short name: `aten.mm.default` -> `aten.mm`."""
    if isinstance(target, torch._ops.OpOverload):
        return target._schema.name.replace("::", ".")
    return getattr(target, "__name__", str(target))
