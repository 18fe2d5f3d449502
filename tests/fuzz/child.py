"""What runs cases, in a process of its own.

    python -m tests.fuzz.child KIND SEED FIRST STEP    runs FIRST, FIRST + STEP, ..., on and on
    python -m tests.fuzz.child KIND                    runs the cases it reads, a line of JSON each

Both say what became of them on standard output, in lines of JSON; the first, once a second, the
sums since the last line, and at once the number of a case that failed. Before a case runs its
number is in the file that standard input is, so that the parent knows it when this process dies.
"""

from __future__ import annotations

import faulthandler
import gc
import itertools
import json
import logging
import mmap
import resource
import sys
import time
import traceback
import warnings
from collections import Counter
from typing import Any

from .kinds import Kind, kind

#: Of a child, stacks and libraries among them.
MOST_BYTES = 12 << 30


def signature(error: BaseException) -> str:
    """What tells one finding from another: the error, and the line of ours that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    where = next((f for f in reversed(frames) if "/gint/" in f.filename), frames[-1])
    return f"{type(error).__name__} in {where.name}: {where.line}"


def _failure(error: BaseException) -> dict[str, str]:
    return {"signature": signature(error), "report": "".join(traceback.format_exception(error))}


def run_numbers(tried: Kind, seed: int, first: int, step: int) -> None:
    place = mmap.mmap(0, 8)
    counts: Counter[tuple[str, str]] = Counter()
    since = time.monotonic()
    done = 0
    for number in itertools.count(first, step):
        place[:8] = number.to_bytes(8, "little")
        try:
            counts.update(tried.run(tried.case(seed, number)))
        except Exception as error:
            _say(number=number, **_failure(error))
        done += 1
        if time.monotonic() - since > 1:
            _say(done=done, counts=[[*key, n] for key, n in counts.items()])
            counts.clear()
            since, done = time.monotonic(), 0


def run_lines(tried: Kind) -> None:
    for line in sys.stdin:
        try:
            outcomes = list(tried.run(tried.load(json.loads(line))))
        except Exception as error:
            _say(**_failure(error))
        else:
            _say(outcomes=outcomes)


def _say(**words: Any) -> None:
    print(json.dumps(words), flush=True)


def limit_memory() -> None:
    """What asks for more than a machine has is a MemoryError, not the end of other processes."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = MOST_BYTES if hard == resource.RLIM_INFINITY else min(hard, MOST_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def main(arguments: list[str]) -> None:
    faulthandler.enable()
    limit_memory()
    name, *numbers = arguments
    tried = kind(name)
    # torch warns of what it is told to do here, and logs what it recompiles.
    warnings.simplefilter("ignore")
    logging.getLogger("torch").setLevel(logging.CRITICAL)
    gc.collect()
    gc.freeze()  # what is imported is not looked at again by each collection
    if numbers:
        run_numbers(tried, *map(int, numbers))
    else:
        run_lines(tried)


if __name__ == "__main__":
    main(sys.argv[1:])
