"""Measurements that need a process of their own: `python -m MODULE RESULT.json ARGUMENTS`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gint.demo.measure import empty_caches

ROOT = Path(__file__).resolve().parent.parent
TIME_LIMIT_S = 600


def run_child(module: str, *arguments: str) -> Any:
    """Run `module` in a fresh process with empty compile caches; return the JSON it wrote.

    Its own error output goes to ours, and its failure is a RuntimeError.
    """
    with tempfile.TemporaryDirectory(prefix="gint-bench-") as folder:
        result = Path(folder) / "result.json"
        environment = empty_caches(Path(folder))
        path = (str(ROOT), environment.get("PYTHONPATH", ""))
        environment["PYTHONPATH"] = os.pathsep.join(p for p in path if p)
        command = [sys.executable, "-m", module, str(result), *arguments]
        done = subprocess.run(command, env=environment, timeout=TIME_LIMIT_S, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{' '.join(command[1:])}: exit status {done.returncode}")
        return json.loads(result.read_text(encoding="utf-8"))
