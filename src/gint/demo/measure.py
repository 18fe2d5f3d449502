"""The parent's side of a measurement: a fresh process with empty caches, and what came back."""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 600
EXCEPTION = re.compile(r"[\w.]*(Error|Exception)(:|$)|.*: error: ")


@dataclass(frozen=True)
class Measurement:
    """One workload on one backend in one fresh process; `failure` says why there are no numbers."""

    workload: str
    backend: str
    first_s: float = float("nan")
    calls_s: tuple[float, ...] = ()
    difference: float = float("nan")
    threads: int = 0
    statistics: tuple[dict[str, Any], ...] = field(default=())
    failure: str | None = None

    @property
    def steady_s(self) -> float:
        """Median of the later half of the calls: the first few still warm caches and allocators."""
        later = self.calls_s[len(self.calls_s) // 2 :]
        return statistics.median(later) if later else float("nan")


def measure(
    workload: str,
    backend: str,
    *,
    device: str = "cpu",
    threads: int = 0,
    calls: int = 0,
    seconds: float = 5.0,
    prewarm: bool = False,
) -> Measurement:
    """Run one measurement in a fresh process whose compile caches are empty and then deleted."""
    with tempfile.TemporaryDirectory(prefix="gint-demo-") as folder:
        result = Path(folder) / "result.json"
        command = [
            sys.executable,
            "-m",
            "gint.demo.child",
            str(result),
            workload,
            backend,
            f"--device={device}",
            f"--threads={threads}",
            f"--calls={calls}",
            f"--seconds={seconds}",
            *(["--prewarm"] if prewarm else []),
        ]
        failure = _run(command, empty_caches(Path(folder)))
        if failure is not None:
            return Measurement(workload, backend, failure=failure)
        row = json.loads(result.read_text(encoding="utf-8"))
    return Measurement(
        workload,
        backend,
        row["first_s"],
        tuple(row["calls_s"]),
        row["difference"],
        row["threads"],
        tuple(row["statistics"]),
    )


def empty_caches(folder: Path) -> dict[str, str]:
    """Return an environment in which torch finds nothing it compiled before, and no network."""
    return {
        **os.environ,
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_FX_GRAPH_CACHE": "0",
        "TORCHINDUCTOR_AUTOGRAD_CACHE": "0",
        "HF_HUB_OFFLINE": "1",
    }


def _run(command: list[str], environment: dict[str, str]) -> str | None:
    """Run `command`; return None, or why it failed, in its own words."""
    try:
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=TIME_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TIME_LIMIT_S} s"
    if done.returncode == 0:
        return None
    return reason_of(done.stderr) or f"exit status {done.returncode}"


def reason_of(stderr: str) -> str:
    """Return the exception's line of an error output, or its last line: libraries talk at exit."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    exceptions = [line for line in lines if EXCEPTION.match(line)]
    return (exceptions or lines or [""])[-1]
