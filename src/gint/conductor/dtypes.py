"""torch's dtypes in gint's words."""

from __future__ import annotations

import torch

from gint.host.executor import TYPE_NAMES
from gint.isa import DType, dtype

_TO_GINT = {getattr(torch, theirs): dtype(ours) for theirs, ours in TYPE_NAMES.items()}


def dtype_of(t: torch.dtype) -> DType:
    """The data type for a torch dtype that is known to have one."""
    return _TO_GINT[t]


def gint_dtype(t: torch.dtype) -> DType | None:
    """The data type for a torch dtype, or None where there is none (complex, quantised, ...)."""
    return _TO_GINT.get(t)
