"""The cases that are checked in, one a line in corpus/KIND.jsonl: a few that together show every
opcode, type and kind of section that runs, and every answer, that the first thousands show.

    python -m tests.fuzz.corpus [CASES [KIND...]]      chooses them anew, for all kinds or some
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gint.program import Program

from .child import limit_memory
from .kinds import KINDS, Kind, Outcome, kind

FOLDER = Path(__file__).parent / "corpus"
_SEED = 7


def stored(name: str) -> Iterator[Any]:
    """The cases of a kind that are checked in."""
    path = FOLDER / f"{name}.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        yield kind(name).load(json.loads(line))


def features(case: Any, outcomes: list[Outcome]) -> set:
    """What a case shows: its answers, and of a program what it is made of."""
    found: set = {*outcomes}
    program = getattr(case, "program", None)
    if isinstance(program, Program):
        accepted = any(what in ("accepted", "run") for _, what in outcomes)
        for section in program.sections if accepted else ():
            found.add(section.kind)
            found |= {i.op.name for i in section.instructions}
            found |= {i.type.name for i in section.instructions}
    return found


def choose(tried: Kind, count: int) -> list[dict]:
    """Of the first `count` cases those that show something new, less those that others make up
    for; the shortest to write down come first."""
    shown = []
    for number in range(count):
        case = tried.case(_SEED, number)
        written = tried.dump(case)
        shown.append((len(json.dumps(written)), number, features(case, list(tried.run(case)))))
    shown.sort(key=lambda entry: entry[:2])
    seen: set = set()
    chosen = []
    for _, number, found in shown:
        if found - seen:
            chosen.append((number, found))
            seen |= found
    for entry in reversed(chosen[:]):
        others = set().union(*(found for number, found in chosen if number != entry[0]))
        if entry[1] <= others:
            chosen.remove(entry)
    return [tried.dump(tried.case(_SEED, number)) for number, _ in sorted(chosen)]


def main(count: int = 3000, *names: str) -> None:
    limit_memory()
    FOLDER.mkdir(exist_ok=True)
    for name in names or KINDS:
        lines = [json.dumps(written) for written in choose(kind(name), count)]
        (FOLDER / f"{name}.jsonl").write_text("".join(f"{line}\n" for line in lines))
        print(f"{name}: {len(lines)} cases, {sum(map(len, lines)) / 1024:.0f} KiB")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]), *sys.argv[2:])
