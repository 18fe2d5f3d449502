"""Damaged and forged files of saved functions: each refused with a sentence, or loaded and run.

Damage outside the weights must be noticed when the file is opened. A forged file has a right
checksum; what passes the verifier is called, on both interpreters that reach NumPy arrays, and
either says what is wrong or returns. It may return other numbers than the original: then it is
another function, and a safe one, which takes no more memory than its plan declares. The process
that runs campaigns ends at an access outside of memory, and has a limit on the memory it may take.
"""

from __future__ import annotations

import json
import resource
import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

import gint
from gint.plan.memory import Memory
from gint.program import VerificationError
from tests.plan.saving import expected, header_of, save, sealed

from . import kinds
from .files import _damaged as damaged
from .kinds import Kind, Outcome
from .words import refused

#: What says that a file or a call is refused; anything else is a finding.
_REFUSALS = (
    ValueError, TypeError, LookupError, RuntimeError, MemoryError, OverflowError,
    VerificationError,
)  # fmt: skip
ROWS = (0, 1, 3)
#: What the first calls take: libraries, threads, kept memory.
_UNDECLARED = 256 << 20


@dataclass(frozen=True)
class Original:
    """A file as it was saved, what it is called with for `n` rows, and what then comes of it, or
    None where that is no matter here."""

    data: bytes
    inputs: Callable[[int], tuple[Any, ...]]
    expected: Callable[[int], np.ndarray | None]


@dataclass(frozen=True)
class PlanCase:
    """A file made of the original of this name; `is_damaged` unless it is a forged one."""

    data: bytes
    name: str
    is_damaged: bool = False


class Plans:
    """Of the one of tests/plan/saving.py: its product."""

    #: Ways of calling what was loaded: (who, the backend, what makes arguments of arrays).
    calls: tuple[tuple[str, str, Callable[[Any], Any]], ...] = (
        ("cpp", "cpp", np.asarray), ("python", "python", np.asarray),
    )  # fmt: skip

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(prefix="gint-fuzz-")
        self.path = Path(self.folder.name) / "case.gint"

    @cached_property
    def originals(self) -> dict[str, Original]:
        """The files, by name."""
        header, rest = header_of(save(self.path).read_bytes())
        header["signature"]["result"] = {"use": 1}

        def rows(n: int) -> tuple[np.ndarray]:
            return (np.ones((n, 4), np.float32),)

        data = sealed(json.dumps(header).encode(), *rest)
        return {"by hand": Original(data, rows, lambda n: expected(*rows(n))["product"])}

    def case(self, seed: int, number: int) -> PlanCase:
        random = Random(f"plan {seed} {number}")
        name = random.choice(list(self.originals))
        data = self.originals[name].data
        if random.randrange(4) == 0:
            return PlanCase(damaged(random, data), name, is_damaged=True)
        return PlanCase(random.choice(_FORGERIES)(random, data), name)

    def run(self, case: PlanCase) -> Iterator[Outcome]:
        self.path.write_bytes(case.data)
        try:
            loaded = gint.load(self.path, backend="cpp")
        except _REFUSALS as error:
            yield Outcome("open", refused(ValueError(str(error).partition(": ")[2])))
            return
        original = self.originals[case.name]
        weights = len(header_of(original.data)[1][1])
        end = len(original.data) - weights
        assert not case.is_damaged or case.data[:end] == original.data[:end]
        yield Outcome("open", "read")
        if case.is_damaged and case.data != original.data:
            return  # other weights are other numbers
        for who, backend, given in self.calls:
            loaded = gint.load(self.path, backend=backend)
            for n in ROWS:
                yield Outcome(who, _called(loaded, n, original, given, case.is_damaged))

    def smaller(self, case: PlanCase) -> Iterator[PlanCase]:
        """Nothing: what a part of a file says depends on all of it."""
        yield from ()

    def dump(self, case: PlanCase) -> dict:
        return {"data": kinds.written(case.data), "name": case.name, "damaged": case.is_damaged}

    def load(self, written: dict) -> PlanCase:
        return PlanCase(kinds.read(written["data"]), written["name"], written["damaged"])


def _called(
    loaded: Any, n: int, original: Original, given: Callable[[Any], Any], is_whole: bool
) -> str:
    before, wanted = _most_resident(), original.expected(n) if is_whole else None
    try:
        found = loaded(*map(given, original.inputs(n)))
    except _REFUSALS as error:
        _check_memory(loaded, n, before)
        if wanted is not None:
            raise
        return refused(error)
    _check_memory(loaded, n, before)
    if wanted is not None:
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-4, atol=1e-5)
    return "ran"


def _check_memory(loaded: Any, n: int, before: int) -> None:
    """A call has taken no more memory than its plan declares, and what a call takes anyway."""
    took = _most_resident() - before
    if took > _UNDECLARED:
        declared = Memory(loaded.plan).peak({"n": n})
        assert took <= declared + _UNDECLARED, f"took {took} bytes, and declares {declared}"


def _most_resident() -> int:
    """Bytes of memory that this process had at one time."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _other_bytes(random: Random, data: bytes) -> bytes:
    header, (programs, weights) = header_of(data)
    parts = [json.dumps(header).encode(), programs, weights]
    n = random.choice([n for n, part in enumerate(parts) if part])
    parts[n] = damaged(random, parts[n])
    return sealed(*parts)


def _other_field(random: Random, data: bytes) -> bytes:
    """Some value in the header is another one."""
    header, rest = header_of(data)
    _change(random, header)
    return sealed(json.dumps(header).encode(), *rest)


def _other_number(random: Random, data: bytes) -> bytes:
    """Some number in the steps or the types is a little off, or far."""
    header, rest = header_of(data)
    places = list(_numbers(header["plan"]))
    place, key = random.choice(places)
    place[key] += random.choice((-1, 1, 2, 4, -place[key], 2**31, -(2**40), 2**62))
    return sealed(json.dumps(header).encode(), *rest)


def _other_steps(random: Random, data: bytes) -> bytes:
    """A step more, less, or in another place."""
    header, rest = header_of(data)
    steps = header["plan"]["steps"]
    how, at = random.randrange(3), random.randrange(len(steps))
    if how == 0:
        del steps[at]
    elif how == 1:
        steps.insert(random.randrange(len(steps)), deepcopy(steps[at]))
    else:
        random.shuffle(steps)
    return sealed(json.dumps(header).encode(), *rest)


def _numbers(x: Any) -> Iterator[tuple[Any, Any]]:
    """Where the whole numbers in a value are."""
    for key, item in x.items() if isinstance(x, dict) else enumerate(x):
        if type(item) is int:
            yield x, key
        elif isinstance(item, (dict, list)):
            yield from _numbers(item)


def _change(random: Random, header: dict) -> None:
    place: Any = header
    key: Any = random.choice(list(header))
    while isinstance(place[key], (list, dict)) and place[key] and random.randrange(6):
        place = place[key]
        key = (
            random.choice(list(place)) if isinstance(place, dict) else random.randrange(len(place))
        )
    place[key] = random.choice(_VALUES)


_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 3, 2**31, 2**64, 10**40, 1.5, float("nan"), "", "n", "float64", "int8",
    "aten.set_.source_Storage", "aten.cat.default", "cpu", "cuda:0", [], [[]], {}, {"use": 0},
    {"use": 9}, ["add", "n", 1], ["floordiv", "n", 0], ["pow", 9, 10**9], {"float": "nan"},
)  # fmt: skip

_FORGERIES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _other_bytes, _other_field, _other_number, _other_number, _other_steps,
)  # fmt: skip

KIND: Kind = Plans()
