"""Python run once for every instruction set that this processor has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from gint.native.loader import load_native

ROOT = Path(__file__).resolve().parents[4]


def run_on_each(code: str) -> None:
    """Run `code` in a process of its own for each, and fail where one fails or runs another."""
    usable = [name for name, is_usable in load_native().instruction_sets() if is_usable]
    assert usable
    check = "from gint.native.loader import load_native\n"
    for name in usable:
        script = f"{check}assert load_native().instruction_set() == {name!r}\n{code}"
        environment = os.environ | {"GINT_CPP_ISA": name}
        subprocess.run([sys.executable, "-c", script], env=environment, cwd=ROOT, check=True)
