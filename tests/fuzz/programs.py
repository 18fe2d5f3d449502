"""Mutated programs and bindings: refused in words everywhere, or run everywhere with one result.

NumPy's interpreter is the reference. A case that verifies runs on the CPU's interpreter too, and
one in eight on every backend in host memory; storages lie next to unreadable pages and begin with
the same bytes; what lies in them and around them afterwards is compared, but for results that need
not have the same bits (exactness.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import prod
from random import Random

from gint.backend import registry
from gint.kernel.interpreter.numpy.memory import slot_view
from gint.program import (
    Binding,
    Program,
    VerificationError,
    VerifiedProgram,
    verify,
    verify_binding,
)
from gint.program.file import from_bytes, to_bytes
from tests.closeness import assert_close
from tests.generation import random_launch, random_program
from tests.memory import launch_once

from . import bindings, kinds, mutations
from .bindings import BindingCase, SlotCase, StorageCase
from .exactness import exact_slots
from .kinds import Kind, Outcome
from .storages import Storages
from .words import refused

_REFERENCE = "python"
#: Runs every case; the others take long to launch, and run a sample.
_ALWAYS = "cpp"
#: Numbers of cases that share a valid program.
_BATCH = 64
_MOST_STORAGES = 16
#: Launches of more points are verified and not run.
_MOST_POINTS = 1 << 14


@dataclass(frozen=True)
class ProgramCase:
    """What values storages hold follows from `seed`; without a binding nothing is launched.

    `everywhere`: on every backend, not on the reference and the CPU's own interpreter alone.
    """

    program: Program
    binding: BindingCase | None
    seed: int
    threads: int
    everywhere: bool = True


@dataclass(frozen=True)
class _Batch:
    """Mutants of one program have its launch, so what is refused costs little to make."""

    program: Program
    binding: BindingCase | None


class Programs:
    """One case in `rarely` runs on every backend."""

    def __init__(self, rarely: int = 8) -> None:
        self._rarely = rarely
        self._batch = cache(_make_batch)
        self._storages = Storages()
        self._answer: tuple[Program | None, VerifiedProgram | str] = None, ""

    def case(self, seed: int, number: int) -> ProgramCase:
        if number % _BATCH == 0:
            self._batch.cache_clear()
        batch = self._batch(seed, number // _BATCH)
        random = Random(f"case {seed} {number}")
        program, binding = batch.program, batch.binding
        if number % _BATCH and random.randrange(4):
            program = mutations.mutated(random, program)
            if isinstance(self._verified(program), str):
                binding = None
            elif (program.axes, program.slots) != (batch.program.axes, batch.program.slots):
                binding = _launched(random, program)
        elif random.randrange(2):
            binding = _launched(random, program)
        if binding and number % _BATCH and random.randrange(3) == 0:
            for _ in range(random.randint(1, 2)):
                binding = bindings.mutated(random, binding)
        seed, threads = random.getrandbits(32), random.choice((1, 2, 3))
        return ProgramCase(program, binding, seed, threads, not random.randrange(self._rarely))

    def _verified(self, program: Program) -> VerifiedProgram | str:
        """The verifier's answer, or why it refuses; asked once of a case's program."""
        if self._answer[0] is not program:
            try:
                answer: VerifiedProgram | str = verify(program)
            except VerificationError as error:
                answer = refused(error)
            self._answer = program, answer
        return self._answer[1]

    def run(self, case: ProgramCase) -> Iterator[Outcome]:
        verified = self._verified(case.program)
        if isinstance(verified, str):
            yield Outcome("verifier", verified)
            return
        yield Outcome("verifier", "accepted")
        if case.binding is None or len(case.binding.storages) > _MOST_STORAGES:
            return
        binding = self._storages.bind(case.program, case.binding, case.seed)
        yield from _launch(verified, case, binding, self._storages)

    def smaller(self, case: ProgramCase) -> Iterator[ProgramCase]:
        for program in _smaller_programs(case.program):
            yield replace(case, program=program)
        if case.binding:
            for at, extent in enumerate(case.binding.extents):
                for less in {0, 1, 2, extent // 2, extent - 1}:
                    if less < extent:
                        extents = list(case.binding.extents)
                        extents[at] = less
                        binding = replace(case.binding, extents=tuple(extents))
                        yield replace(case, binding=binding)
        if case.threads > 1:
            yield replace(case, threads=1)

    def dump(self, case: ProgramCase) -> dict:
        return {
            "program": kinds.written(to_bytes(case.program)),
            "binding": asdict(case.binding) if case.binding else None,
            "seed": case.seed,
            "threads": case.threads,
            "everywhere": case.everywhere,
        }

    def load(self, written: dict) -> ProgramCase:
        program, binding = from_bytes(kinds.read(written["program"])), written["binding"]
        return ProgramCase(
            program,
            _read_binding(binding) if binding else None,
            written["seed"],
            written["threads"],
            written["everywhere"],
        )


def _read_binding(b: dict) -> BindingCase:
    slots = [SlotCase(**s | {"strides": tuple(s["strides"])}) for s in b["slots"]]
    storages = [StorageCase(**s) for s in b["storages"]]
    return BindingCase(tuple(b["extents"]), tuple(b["params"]), tuple(storages), tuple(slots))


def _make_batch(seed: int, batch: int) -> _Batch:
    random = Random(f"program {seed} {batch}")
    verified = random_program(random, random.choice((4, 10, 20)))
    return _Batch(verified.program, _launched(random, verified.program))


def _launched(random: Random, p: Program) -> BindingCase | None:
    """A binding the verifier would accept, were the program; None where there is none small."""
    if any(a not in range(len(p.axes)) for s in p.slots for a in s.axes):
        return None
    for _ in range(4):
        found = bindings.binding_of(random, p, random_launch(random, p))
        if found and _points(p, found.extents) <= _MOST_POINTS:
            return found
    return None


def _points(p: Program, extents: tuple[int, ...]) -> int:
    return prod(max(extents[axis], 1) for axis in p.iterated_axes)


def _smaller_programs(p: Program) -> Iterator[Program]:
    for at in range(len(p.sections)):
        yield replace(p, sections=p.sections[:at] + p.sections[at + 1 :])
    for at, section in enumerate(p.sections):
        code = section.instructions
        size = len(code)
        while size:
            for first in range(0, len(code), size):
                less = replace(section, instructions=code[:first] + code[first + size :])
                yield replace(p, sections=(*p.sections[:at], less, *p.sections[at + 1 :]))
            size //= 2


@cache
def _backends(everywhere: bool) -> tuple[str, ...]:
    """Those that work on the host's memory, the reference first."""
    usable = [n for n in registry.usable() if registry.backend(n).memory is None]
    return (_REFERENCE, *(n for n in usable if n == _ALWAYS or (everywhere and n != _REFERENCE)))


def _launch(
    verified: VerifiedProgram, case: ProgramCase, binding: Binding, storages: Storages
) -> Iterator[Outcome]:
    if _points(verified.program, binding.extents) > _MOST_POINTS:
        yield Outcome("binding", _unless_refused(verified, binding))
        return
    reference, *others = _backends(case.everywhere)
    wanted = _launched_on(reference, verified, case, binding)
    yield Outcome(reference, wanted if isinstance(wanted, str) else "run")
    right = storages.now()
    for name in others:
        storages.restore()
        found = _launched_on(name, verified, case, binding)
        if isinstance(found, int) and isinstance(wanted, int):
            _compare(verified, case, binding, storages, (wanted, right), found)
        else:
            both = isinstance(found, str) and isinstance(wanted, str)
            assert both, f"{name}: {found}, {reference}: {wanted}"
        yield Outcome(name, found if isinstance(found, str) else "run")


def _unless_refused(verified: VerifiedProgram, binding: Binding) -> str:
    try:
        verify_binding(verified, binding)
    except VerificationError as error:
        return refused(error)
    return "accepted, too many points to run"


def _launched_on(
    backend: str, verified: VerifiedProgram, case: ProgramCase, binding: Binding
) -> int | str:
    """The error flag, or why the binding is refused."""
    try:
        return launch_once(registry.backend(backend).load(verified), binding, case.threads)
    except VerificationError as error:
        return refused(error)


def _compare(
    verified: VerifiedProgram,
    case: ProgramCase,
    binding: Binding,
    storages: Storages,
    wanted: tuple[int, list[bytes]],
    flag: int,
) -> None:
    """Of slots that are not exact only that nothing else was written."""
    found = storages.now()
    if (flag, found) == wanted:
        return
    p = verified.program
    assert case.binding is not None
    where = [s.storage for s in case.binding.slots]
    shared = frozenset(n for n, s in enumerate(where) if where.count(s) > 1)
    exact, exact_flag = exact_slots(verified, shared)
    if exact_flag:
        assert flag == wanted[0], f"error flag {flag}, not {wanted[0]}"
    written = [n for n, s in enumerate(p.slots) if s.access.writes]
    storages.put(wanted[1])
    right = {n: slot_view(p, binding, n).copy() for n in written}
    storages.put(found)
    for n in written:
        view = slot_view(p, binding, n)
        if n in exact:
            assert_close(p.slots[n].dtype, view, right[n], 0, f"slot {p.slots[n].name}")
        if view.size:
            view[...] = right[n]
    assert storages.now() == wanted[1], "bytes outside of written elements"


KIND: Kind = Programs()
