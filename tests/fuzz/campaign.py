"""The parent of a campaign: children that run cases, what they find, and the table at the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from select import select
from typing import Any

from .kinds import kind
from .shrinking import HANG_SECONDS, Oracle, ended, hung, shrink

OUT = Path("out/fuzz")
#: Children are looked at so often, or later where this process is kept from running too.
_LOOK_SECONDS = 0.5
#: Of findings with one signature, those that are made smaller and kept.
_KEPT_OF_A_SIGNATURE = 2


@dataclass
class Report:
    """What a campaign of one kind came to."""

    name: str
    seconds: float = 0
    tried: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    findings: Counter[str] = field(default_factory=Counter)
    files: list[Path] = field(default_factory=list)

    def __str__(self) -> str:
        rate = self.tried / self.seconds if self.seconds else 0
        lines = [
            f"{self.name}: {self.tried:,} cases in {self.seconds / 60:.1f} minutes"
            f" ({rate:,.0f} a second), {sum(self.findings.values())} findings"
        ]
        for (who, what), count in sorted(self.counts.items(), key=lambda c: (c[0][0], -c[1])):
            lines.append(f"  {who:<10} {count:>12,}  {what}")
        lines += [f"  finding    {count:>12,}  {how}" for how, count in self.findings.items()]
        lines += [f"  again: {sys.executable} -m tests.fuzz --again {f}" for f in self.files]
        return "\n".join(lines)


class Child:
    """A process that runs the cases FIRST, FIRST + STEP, ... of a seed."""

    def __init__(self, name: str, seed: int, first: int, step: int) -> None:
        self.place = tempfile.TemporaryFile()  # noqa: SIM115  (the child has it as long)
        self.place.write(first.to_bytes(8, "little"))
        self.place.flush()
        numbers = [str(n) for n in (seed, first, step)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child", name, *numbers],
            stdin=self.place,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.seen, self.looked, self.began, self.waited = first, time.monotonic(), 0.0, 0.0

    @property
    def number(self) -> int:
        """The case that runs now."""
        self.place.seek(0)
        return int.from_bytes(self.place.read(8), "little")

    def hangs(self) -> bool:
        """Whether a case has taken too long: what it computed and what it waited, not how long
        it, or this process, was kept from running."""
        time_now, number = time.monotonic(), self.number
        computed, waits = _computed(self.process.pid)
        if number != self.seen:
            self.seen, self.began, self.waited = number, computed, 0.0
        self.waited += waits * min(time_now - self.looked, _LOOK_SECONDS)
        self.looked = time_now
        return computed - self.began + self.waited > HANG_SECONDS


def _computed(process: int) -> tuple[float, bool]:
    """Seconds of CPU that a process has had, and whether it waits for something else."""
    try:
        _, _, facts = Path(f"/proc/{process}/stat").read_text().rpartition(") ")
    except FileNotFoundError:  # it has ended, or there is no such file here
        return 0.0, True
    state, *numbers = facts.split()
    return sum(map(int, numbers[10:12])) / os.sysconf("SC_CLK_TCK"), state not in "RTt"


class Campaign:
    """Cases of one kind, for some seconds, in some processes."""

    def __init__(self, name: str, seed: int, processes: int = 1) -> None:
        self.name, self.seed, self.step = name, seed, processes
        self.kind, self.oracle, self.report = kind(name), Oracle(name), Report(name)

    def run(self, seconds: float) -> Report:
        if (prepare := getattr(self.kind, "prepare", None)) is not None:
            prepare()
        began = time.monotonic()
        children = [self._start(first) for first in range(self.step)]
        while time.monotonic() - began < seconds:
            streams = [c.process.stdout for c in children]
            ready, _, _ = select(streams, [], [], _LOOK_SECONDS)
            for at, child in enumerate(children):
                if child.process.stdout in ready:
                    children[at] = self._listen(child)
                elif child.hangs():
                    children[at] = self._lost(child, hung(child.process))
        for child in children:
            hung(child.process)
        self.oracle.close()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _start(self, first: int) -> Child:
        return Child(self.name, self.seed, first, self.step)

    def _listen(self, child: Child) -> Child:
        """Read what a child says; the child that goes on with its numbers."""
        assert child.process.stdout is not None
        line = child.process.stdout.readline()
        if not line:
            return self._lost(child, ended(child.process))
        said = json.loads(line)
        if "number" in said:
            self._found(said["number"], said["signature"], said["report"])
        else:
            self.report.tried += said["done"]
            self.report.counts.update({(who, what): n for who, what, n in said["counts"]})
        return child

    def _lost(self, child: Child, how: str) -> Child:
        number = child.number
        self._found(number, how, "")
        return self._start(number + self.step)

    def _found(self, number: int, how: str, report: str) -> None:
        self.report.findings[how] += 1
        print(f"{self.name}: case {number} of seed {self.seed}: {how}\n{report}", flush=True)
        if self.report.findings[how] > _KEPT_OF_A_SIGNATURE:
            return
        case = shrink(self.kind, self.oracle, self.kind.case(self.seed, number), how)
        self.report.files.append(self._keep(case, number, how))

    def _keep(self, case: Any, number: int, how: str) -> Path:
        OUT.mkdir(parents=True, exist_ok=True)
        path = OUT / f"{self.name}-{self.seed}-{number}.json"
        written = {"kind": self.name, "seed": self.seed, "number": number, "found": how}
        path.write_text(json.dumps(written | {"case": self.kind.dump(case)}, indent=1) + "\n")
        print(f"again: {sys.executable} -m tests.fuzz --again {path}", flush=True)
        return path
