"""`python -m tests.fuzz`: campaigns of some or all kinds of fuzz, or one case again."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from gint.program import disassemble

from .campaign import Campaign
from .kinds import KINDS, kind


def main() -> int:
    options = _options()
    if options.again:
        return _again(options.again)
    names = options.kinds or list(KINDS)
    seconds = 60 * (60 * options.hours if options.hours else options.minutes) / len(names)
    print(f"gint: fuzz of {', '.join(names)}, seed {options.seed}", flush=True)
    reports = [Campaign(n, options.seed, options.processes).run(seconds) for n in names]
    print("\n".join(map(str, reports)))
    return 1 if any(report.findings for report in reports) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}")
    parser.add_argument("--minutes", type=float, default=5, help="for all kinds together")
    parser.add_argument("--hours", type=float, default=0, help="instead of minutes")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**31))
    parser.add_argument("--again", type=Path, metavar="FILE", help="run the case in a file, here")
    options = parser.parse_args()
    if unknown := set(options.kinds) - KINDS.keys():
        parser.error(f"no kinds of fuzz: {', '.join(sorted(unknown))}; known: {', '.join(KINDS)}")
    return options


def _again(path: Path) -> int:
    written = json.loads(path.read_text())
    tried = kind(written["kind"])
    case = tried.load(written["case"])
    if program := getattr(case, "program", None):
        print(disassemble(program))
    for who, what in tried.run(case):
        print(f"{who}: {what}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
