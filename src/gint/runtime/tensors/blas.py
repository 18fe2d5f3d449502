"""What torch's own dense products run on here. Knows the processor, not plans."""

from __future__ import annotations

import platform
from functools import lru_cache
from pathlib import Path

import torch


@lru_cache(maxsize=1)
def is_slow() -> bool:
    """Whether they reach half of what this processor does: MKL on one of AMD's."""
    return torch.backends.mkl.is_available() and vendor() == "AuthenticAMD"


def vendor() -> str:
    """The maker of the processor, as it says itself; "" where nobody tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "AuthenticAMD" if "AuthenticAMD" in platform.processor() else ""
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("vendor_id"))
    return next(named, "")
