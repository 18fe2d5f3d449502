"""Making a case that failed smaller, as long as it fails the same way."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from select import select
from typing import Any

from .kinds import Kind

#: A case that runs for so long hangs.
HANG_SECONDS = 120


class Oracle:
    """Tells how a case fails, whatever it does to the process that runs it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process: subprocess.Popen[str] | None = None

    def answer(self, written: dict) -> dict:
        """`outcomes`, or the `signature` of a failure and its `report`."""
        process = self.process = self.process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.write(json.dumps(written) + "\n")
            process.stdin.flush()
        ready, _, _ = select([process.stdout], [], [], HANG_SECONDS)
        if ready and (line := process.stdout.readline()):
            return json.loads(line)
        self.process = None
        return {"signature": ended(process) if ready else hung(process), "report": ""}

    def _start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.fuzz.child", self.name]
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        if self.process is not None:
            hung(self.process)


def ended(process: subprocess.Popen) -> str:
    """How a child ended by itself, in words."""
    status = process.wait()
    return f"ended by {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"


def hung(process: subprocess.Popen) -> str:
    """End a child that does not end by itself."""
    process.kill()
    process.wait()
    return f"hung for {HANG_SECONDS} s"


def shrink(tried: Kind, oracle: Oracle, case: Any, how: str, seconds: float = 60) -> Any:
    """A smaller case that fails with the signature `how`; `case` itself where none is found."""
    until = time.monotonic() + seconds
    found = True
    while found:
        found = False
        for candidate in tried.smaller(case):
            if time.monotonic() > until:
                return case
            if oracle.answer(tried.dump(candidate)).get("signature") == how:
                case, found = candidate, True
                break
    return case
