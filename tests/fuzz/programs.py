"""Mutated programs and bindings: refused in words everywhere, or run everywhere with one result.

NumPy's interpreter is the reference. A case that verifies runs on each backend in host memory, its
storages next to unreadable pages, from the same bytes; what lies in them and around them afterwards
is compared, but for results that need not have the same bits (exactness.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import prod
from random import Random

import numpy as np

from gint.backend import registry
from gint.isa import DTYPES, DType
from gint.kernel.interpreter.numpy.memory import slot_view
from gint.program import (
    Binding,
    Program,
    SlotBinding,
    VerificationError,
    VerifiedProgram,
    verify,
    verify_binding,
)
from gint.program.file import from_bytes, to_bytes
from tests.closeness import assert_close
from tests.fences import Fence
from tests.generation import random_launch, random_program
from tests.memory import PATTERN, launch_once, values

from . import bindings, kinds, mutations
from .bindings import MOST_BYTES, BindingCase, SlotCase, StorageCase
from .exactness import exact_slots
from .kinds import Kind, Outcome
from .words import refused

_REFERENCE = "python"
#: Numbers of cases that share a valid program.
_BATCH = 64
_MOST_STORAGES = 16
#: Launches of more points are verified and not run.
_MOST_POINTS = 1 << 14
#: Values of a type that storages are filled from.
_POOL = 1 << 12


@dataclass(frozen=True)
class ProgramCase:
    """What values storages hold follows from `seed`; without a binding nothing is launched."""

    program: Program
    binding: BindingCase | None
    seed: int
    threads: int


@dataclass(frozen=True)
class _Batch:
    """Mutants of one program have its launch, so what is refused costs little to make."""

    verified: VerifiedProgram
    binding: BindingCase | None


class Programs:
    def __init__(self) -> None:
        self._batch = cache(_make_batch)
        self._memory = _Memory()

    def case(self, seed: int, number: int) -> ProgramCase:
        if number % _BATCH == 0:
            self._batch.cache_clear()
        batch = self._batch(seed, number // _BATCH)
        random = Random(f"case {seed} {number}")
        program, binding = batch.verified.program, batch.binding
        if number % _BATCH and random.randrange(4):
            program = mutations.mutated(random, program)
            if (program.axes, program.slots) != _shape_of(batch):
                binding = _launched(random, program)
        elif random.randrange(2):
            binding = _launched(random, program)
        if binding and number % _BATCH and random.randrange(3) == 0:
            for _ in range(random.randint(1, 2)):
                binding = bindings.mutated(random, binding)
        return ProgramCase(program, binding, random.getrandbits(32), random.choice((1, 2, 3)))

    def run(self, case: ProgramCase) -> Iterator[Outcome]:
        try:
            verified = verify(case.program)
        except VerificationError as error:
            yield Outcome("verifier", refused(error))
            return
        yield Outcome("verifier", "accepted")
        if case.binding is None or len(case.binding.storages) > _MOST_STORAGES:
            return
        binding = self._memory.bind(case.program, case.binding, case.seed)
        yield from _launch(verified, case, binding, self._memory)

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
        }

    def load(self, written: dict) -> ProgramCase:
        program, binding = from_bytes(kinds.read(written["program"])), written["binding"]
        return ProgramCase(
            program,
            _read_binding(binding) if binding else None,
            written["seed"],
            written["threads"],
        )


def _read_binding(b: dict) -> BindingCase:
    slots = [SlotCase(**s | {"strides": tuple(s["strides"])}) for s in b["slots"]]
    storages = [StorageCase(**s) for s in b["storages"]]
    return BindingCase(tuple(b["extents"]), tuple(b["params"]), tuple(storages), tuple(slots))


def _make_batch(seed: int, batch: int) -> _Batch:
    random = Random(f"program {seed} {batch}")
    verified = random_program(random, random.choice((4, 10, 20)))
    return _Batch(verified, _launched(random, verified.program))


def _shape_of(batch: _Batch) -> tuple:
    return batch.verified.program.axes, batch.verified.program.slots


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


class _Memory:
    """Storages of one case after the other, between pages nobody may touch."""

    def __init__(self) -> None:
        self._fences: list[Fence] = []
        self._used: list[Fence] = []
        self._before: list[np.ndarray] = []

    def bind(self, p: Program, b: BindingCase, seed: int) -> Binding:
        """The binding, over fresh values between guard bytes."""
        while len(self._fences) < len(b.storages):
            self._fences.append(Fence(MOST_BYTES))
        self._used = self._fences[: len(b.storages)]
        addresses = []
        types = {s.storage: slot.dtype for s, slot in zip(b.slots, p.slots, strict=False)}
        random = Random(seed)
        for n, (fence, storage) in enumerate(zip(self._used, b.storages, strict=True)):
            start = fence.place(storage.size, storage.at_end)
            fence.bytes[:] = PATTERN
            pool = _pool(types.get(n, DTYPES[0]))
            first = random.randrange(0, pool.size - MOST_BYTES + 1, 8)
            fence.bytes[start : start + storage.size] = pool[first : first + storage.size]
            addresses.append(fence.address + start)
        self._before = [fence.bytes.copy() for fence in self._used]
        bound = [
            SlotBinding(addresses[s.storage] + s.shift, s.storage_bytes, s.offset, s.strides)
            for s in b.slots
        ]
        return Binding(b.extents, b.params, tuple(bound))

    def restore(self) -> None:
        for fence, before in zip(self._used, self._before, strict=True):
            fence.bytes[:] = before

    def now(self) -> list[np.ndarray]:
        return [fence.bytes.copy() for fence in self._used]

    def put(self, found: list[np.ndarray]) -> None:
        for fence, there in zip(self._used, found, strict=True):
            fence.bytes[:] = there


@cache
def _pool(t: DType) -> np.ndarray:
    """Bytes of elements of a type; any byte may be a bool."""
    random = np.random.default_rng(t.code)
    count = (MOST_BYTES + _POOL) // t.itemsize
    if t.name == "bool":
        return np.where(random.random(count) < 0.2, random.integers(0, 256, count), 1).astype("u1")
    return values(t, (count,), random).view(np.uint8)


@cache
def _backends() -> tuple[str, ...]:
    """Those that work on the host's memory, the reference first."""
    usable = [n for n in registry.usable() if registry.backend(n).memory is None]
    return (_REFERENCE, *(n for n in usable if n != _REFERENCE))


def _launch(
    verified: VerifiedProgram, case: ProgramCase, binding: Binding, memory: _Memory
) -> Iterator[Outcome]:
    p = verified.program
    try:
        verify_binding(verified, binding)
        why = None
    except VerificationError as error:
        why = refused(error)
    if why is None and _points(p, binding.extents) > _MOST_POINTS:
        yield Outcome("binding", "accepted, too many points to run")
        return
    wanted: tuple[int, list[np.ndarray]] | None = None
    for name in _backends():
        memory.restore()
        try:
            flag = launch_once(registry.backend(name).load(verified), binding, case.threads)
        except VerificationError as error:
            if why is None:
                raise AssertionError(f"{name} refuses what the verifier accepts") from error
            yield Outcome(name, why)
            continue
        assert why is None, f"{name} runs what is refused: {why}"
        found = memory.now()
        if wanted is None:
            wanted = flag, found
        else:
            _compare(verified, case, binding, memory, wanted, (flag, found))
        yield Outcome(name, "run")


def _compare(
    verified: VerifiedProgram,
    case: ProgramCase,
    binding: Binding,
    memory: _Memory,
    wanted: tuple[int, list[np.ndarray]],
    found: tuple[int, list[np.ndarray]],
) -> None:
    """Of slots that are not exact only that nothing else was written."""
    p = verified.program
    assert case.binding is not None
    storages = [s.storage for s in case.binding.slots]
    shared = frozenset(n for n, s in enumerate(storages) if storages.count(s) > 1)
    exact, exact_flag = exact_slots(verified, shared)
    if exact_flag:
        assert found[0] == wanted[0], f"error flag {found[0]}, not {wanted[0]}"
    if all(np.array_equal(f, w) for f, w in zip(found[1], wanted[1], strict=True)):
        return
    written = [n for n, s in enumerate(p.slots) if s.access.writes]
    memory.put(wanted[1])
    right = {n: slot_view(p, binding, n).copy() for n in written}
    memory.put(found[1])
    for n in written:
        view = slot_view(p, binding, n)
        if n in exact:
            assert_close(p.slots[n].dtype, view, right[n], 0, f"slot {p.slots[n].name}")
        if view.size:
            view[...] = right[n]
    for fence, there in zip(memory.now(), wanted[1], strict=True):
        np.testing.assert_array_equal(fence, there, "bytes outside of written elements")


KIND: Kind = Programs()
