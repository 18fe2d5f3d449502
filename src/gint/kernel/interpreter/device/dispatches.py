"""The dispatches of one launch, each the enqueue of one device function: all but the pointers.

A *record* holds what a dispatch needs to know (gint.isa.device.RECORD has its fields). It says
where the tables are, in words from its own start:

    sections       4 words each: kind, start in the stream, accumulators (from the table's start),
                   their number
    accumulators   5 words each: code, thread word, row word, words, partial word
    axes           3 words each, outer then inner, the fastest first: extent, magic, shift
    slots          byte offset, bytes to step by along each axis of the launch; of a program with
                   indexed axes then extent and bytes to step by of each that the slot has
    places         a word per program axis: which axis of the layout it is, -1 for none
    code           4 x 32 bits a row

Short rows: one dispatch, in which a group takes whole rows through all sections. Long rows of which
there are few are *dealt*: every section is a dispatch of its own whose groups take chunks of a row,
partial results go to scratch memory, gint_combine folds them in a fixed order, and what crosses
sections is kept per row. A chunk is at most CHUNK_TILES tiles, so that a thread adds up few numbers
one after the other. Knows records and scratch memory. Does not know pointers or devices.
"""

from __future__ import annotations

import numpy as np

from gint.dataclass import frozen
from gint.isa.device import RECORD
from gint.isa.limits import MAX_INDICES
from gint.program import SectionKind
from gint.program.axes import StridedAxis
from gint.program.facts import has_effects, has_scan, may_fail, positions_read
from gint.program.regions import Region, touched_regions

from .build import Build
from .encoder import DeviceProgram
from .layout import Layout, arrange
from .uniforms import evaluate

#: Tiles a thread folds one after the other before its sum is set aside.
CHUNK_TILES = 32
#: Groups that fill any device; with fewer, rows are dealt.
ENOUGH_GROUPS = 512
#: Tiles over all rows from which dealing is worth its dispatches.
WORTH_DEALING = 16
#: Tiles a group of a map takes one after the other, while the next one's memory is on its way; it
#: takes fewer where there would then be fewer groups than these.
TILES_TOGETHER = 8
MAP_GROUPS = 2048
#: Groups of a dispatch that has scratch memory, which is per thread; each then takes several items.
MAX_GROUPS_WITH_SCRATCH = 1024
MAX_GROUPS = 1 << 20
#: The threads of the groups counted above; smaller ones on a GPU are as many more.
_COUNTED_BLOCK = 256
_INDEX32 = 2**31


@frozen
class Dispatch:
    """Kernel `gint_run` or `gint_combine`, its record's position (64-bit words), its groups."""

    kernel: str
    record_at: int
    groups: int


@frozen
class TouchedSlot:
    """A slot some point of the binding reads or writes; its region counts from the storage."""

    slot: int
    storage_bytes: int
    region: Region
    reads: bool
    writes: bool


@frozen
class DispatchList:
    """`records` are for the device; `dispatches` run in order on one scratch memory.

    `error` is the flag of what was computed on the host; `may_fail` says whether the device can set
    one.
    """

    layout: Layout
    records: np.ndarray
    dispatches: tuple[Dispatch, ...]
    scratch_bytes: int
    error: int
    may_fail: bool
    touched: tuple[TouchedSlot, ...]
    slots_at: int = 0
    slot_words: int = 0

    def shifted(self, shifts: dict[int, int]) -> np.ndarray:
        """The records for storages that begin `shifts[n]` bytes after the pointer of slot n."""
        records = self.records.copy()
        for n, shift in shifts.items():
            records[self.slots_at + n * self.slot_words] += shift
        return records


class TooLargeError(ValueError):
    """The binding needs positions of 64 bits: encode the program for words of that width."""


def list_dispatches(
    program: DeviceProgram,
    build: Build,
    extents: tuple[int, ...],
    params: tuple[int | float, ...],
    slots: tuple[tuple[int, int, tuple[int, ...]], ...],
) -> DispatchList:
    """The dispatches of a binding; `slots` as `Kernel.prepare` has them.

    Raises TooLargeError if `build` has 32-bit words and these do not suffice.
    """
    return _Lister(program, build, extents, params, slots).run()


class _Lister:
    def __init__(self, program, build, extents, params, slots) -> None:
        self.program: DeviceProgram = program
        self.build: Build = build
        self.extents, self.params, self.slots = extents, params, slots
        times = 1 if build.on_cpu else max(1, _COUNTED_BLOCK // build.block)
        self.enough_groups, self.map_groups = times * ENOUGH_GROUPS, times * MAP_GROUPS
        self.most_with_scratch = times * MAX_GROUPS_WITH_SCRATCH
        p = program.verified.program
        self.touched = self._touched()
        sizes = [slot.dtype.itemsize for slot in p.slots]
        self.layout = arrange(
            self._axes(sizes), frozenset(p.reduced_axes), positions_read(p), sizes, build,
            has_scan(p),
        )  # fmt: skip
        self.slot_words = 1 + len(self.layout.axes) + (2 * MAX_INDICES if p.indexed_axes else 0)
        self.parts: list[np.ndarray] = []
        self.words = 0

    def _axes(self, sizes: list[int]) -> list[StridedAxis]:
        p = self.program.verified.program
        steps = [[0] * len(p.slots) for _ in p.axes]
        for n in (t.slot for t in self.touched):
            for axis, stride in zip(p.slots[n].axes, self.slots[n][2], strict=True):
                steps[axis][n] = stride * sizes[n] if self.extents[axis] > 1 else 0
        return [StridedAxis(self.extents[a], tuple(steps[a]), (a,)) for a in p.iterated_axes]

    def _indexed(self, n: int, is_touched: bool) -> list[int]:
        """Extent and bytes to step by of the indexed axes of slot `n`, the same words for each.

        A stride that nothing is read along may be any number, and counts as 0.
        """
        p = self.program.verified.program
        if not p.indexed_axes:
            return []
        slot, strides = p.slots[n], self.slots[n][2]
        indexed = p.indexed_axes_of(slot)
        words = [
            (
                self.extents[axis],
                stride * slot.dtype.itemsize if is_touched and self.extents[axis] > 1 else 0,
            )
            for axis, stride in zip(slot.axes, strides, strict=True)
            if axis in indexed
        ]
        words += [(0, 0)] * (MAX_INDICES - len(words))
        return [word for pair in words for word in pair]

    def run(self) -> DispatchList:
        program, layout = self.program, self.layout
        values, error = evaluate(
            program.verified.program, program.uniforms, self.extents, self.params
        )
        if not has_effects(program.verified.program, self.extents):
            return DispatchList(layout, np.zeros(0, np.int64), (), 0, error, False, ())
        if self.build.word_bits == 32:
            self._check_positions()
        self._tables(values)
        dispatches, scratch = self._by_section() if self._is_dealt() else self._by_rows()
        records = np.concatenate(self.parts)
        word = self.build.word_bits // 8
        return DispatchList(
            layout, records, tuple(dispatches), scratch * word, error,
            may_fail(program.verified.program), self.touched, self.at["SLOTS_AT"], self.slot_words,
        )  # fmt: skip

    def _touched(self) -> tuple[TouchedSlot, ...]:
        slots = self.program.verified.program.slots
        regions = touched_regions(self.program.verified.program, self.extents, self.slots)
        return tuple(
            TouchedSlot(n, self.slots[n][0], region, slots[n].access.reads, slots[n].access.writes)
            for n, region in regions.items()
        )

    def _check_positions(self) -> None:
        layout, build = self.layout, self.build
        rows = layout.rows + build.block
        points = layout.points + build.block * build.elements
        steps = [s for axis in layout.axes for s in axis.steps]
        if max(rows, points, *map(abs, steps), 0) >= _INDEX32:
            raise TooLargeError

    # --- Whole rows: one dispatch

    def _is_reduction(self) -> bool:
        return bool(self.program.verified.program.reduced_axes)

    def _is_dealt(self) -> bool:
        tiles = self.layout.tiles(self.build)
        if not self._is_reduction() or has_scan(self.program.verified.program):
            return False
        few = self.layout.groups < ENOUGH_GROUPS
        return tiles > CHUNK_TILES**2 or (
            few and tiles * self.layout.groups >= WORTH_DEALING and tiles > 1
        )

    def _by_rows(self) -> tuple[list[Dispatch], int]:
        """One dispatch for everything; chunks of rows are dealt if nothing is reduced."""
        program, layout, build = self.program, self.layout, self.build
        tiles = layout.tiles(build)
        if self._is_reduction():
            chunk_tiles, dealt = CHUNK_TILES, 1
            chunks = max(1, -(-tiles // chunk_tiles))
        else:
            most = self.most_with_scratch if program.spills else MAX_GROUPS
            every = tiles * layout.groups
            chunk_tiles = max(1, min(TILES_TOGETHER, every // self.map_groups), -(-every // most))
            chunks = dealt = -(-tiles // chunk_tiles)
        items = layout.groups * dealt
        scratch = program.spills or program.thread_words or program.row_words
        groups = min(items, self.most_with_scratch if scratch else MAX_GROUPS)
        threads = groups * build.block
        spill_words = program.spills * build.elements * threads
        thread_at = spill_words
        row_at = thread_at + program.thread_words * threads
        record = self._record(
            ITEMS=items, DEALT=dealt, CHUNK_TILES=chunk_tiles, CHUNKS=chunks,
            FIRST_SECTION=0, LAST_SECTION=len(program.sections), THREADS=threads,
            SPILL_AT=0, THREAD_AT=thread_at, ROW_AT=row_at, ROW_STRIDE=threads,
        )  # fmt: skip
        return [Dispatch("gint_run", record, groups)], row_at + program.row_words * threads

    # --- Dealt rows: a dispatch per section

    def _by_section(self) -> tuple[list[Dispatch], int]:
        program, layout, build = self.program, self.layout, self.build
        tiles = layout.tiles(build)
        chunk_tiles = min(CHUNK_TILES, max(1, -(-tiles * layout.groups // self.enough_groups)))
        chunks = -(-tiles // chunk_tiles)
        row_words = program.row_words * layout.rows
        partial_words = program.partial_words * layout.rows * chunks
        most = min(layout.groups * chunks, self.most_with_scratch)
        dispatches = []
        for number, section in enumerate(program.sections):
            is_scalar = section.kind is SectionKind.SCALAR
            dealt = 1 if is_scalar else chunks
            items = layout.groups * dealt
            groups = min(items, most)
            threads = groups * build.block
            thread_at = row_words + partial_words
            record = self._record(
                ITEMS=items, DEALT=dealt, CHUNK_TILES=chunk_tiles, CHUNKS=chunks,
                FIRST_SECTION=number, LAST_SECTION=number + 1, THREADS=threads,
                THREAD_AT=thread_at, SPILL_AT=thread_at + program.thread_words * threads,
                ROW_AT=0, ROW_STRIDE=layout.rows, ROW_SHARED=1, PARTIALS_AT=row_words,
            )  # fmt: skip
            dispatches.append(Dispatch("gint_run", record, groups))
            if section.accumulators and dealt > 1:
                combine = min(layout.rows, self.most_with_scratch)
                dispatches.append(Dispatch("gint_combine", record, combine))
        per_thread = program.thread_words + program.spills * build.elements
        return dispatches, row_words + partial_words + per_thread * most * build.block

    # --- Records

    def _append(self, words: np.ndarray) -> int:
        """Append 64-bit words, an even number of them; where they begin."""
        at = self.words
        if len(words) % 2:
            words = np.append(words, 0)
        self.parts.append(words.astype(np.int64, copy=False))
        self.words += len(words)
        return at

    def _tables(self, values: dict[int, int]) -> None:
        """What all records of the binding share."""
        program, layout = self.program, self.layout
        code = program.code.copy()
        for at, register in program.patches:
            value = values[register]
            code[at, 2:] = value & 0xFFFFFFFF, value >> 32
        axes = layout.axes
        sections: list[int] = []
        accumulators: list[int] = []
        for section in program.sections:
            at = 4 * len(program.sections) + len(accumulators)
            sections += (section.kind.code, section.start, at, len(section.accumulators))
            for a in section.accumulators:
                accumulators += (a.code, a.thread, a.row, a.words, a.partial)
        places = [-1] * len(self.extents)
        for place, axis in enumerate(axes):
            if len(axis.sources) == 1:
                places[axis.sources[0]] = place
        slots: list[int] = []
        sizes = [slot.dtype.itemsize for slot in program.verified.program.slots]
        touched = {t.slot for t in self.touched}
        for n, (_, offset, _) in enumerate(self.slots):
            start = offset * sizes[n] if n in touched else 0
            slots += (start, *(axis.steps[n] for axis in axes), *self._indexed(n, n in touched))
        divisors: list[int] = []
        for axis in axes:
            # Nothing is touched along an axis of length 0, but a scalar section divides by it.
            divisors += (max(axis.extent, 1), *magic(axis.extent))
        tables = {
            "CODE_AT": np.ascontiguousarray(code).reshape(-1).view(np.int64),
            "SECTIONS_AT": np.array(sections + accumulators, np.int64),
            "SLOTS_AT": np.array(slots, np.int64),
            "AXES_AT": np.array(divisors, np.int64),
            "PLACES_AT": np.array(places, np.int64),
        }
        self.at = {name: self._append(table) for name, table in tables.items()}

    def _record(self, **fields: int) -> int:
        """Append a record; where it begins. Positions of tables count from there."""
        layout, start = self.layout, self.words
        fields |= {name: at - start for name, at in self.at.items()}
        fields |= {
            "ROWS": layout.rows,
            "INNER": layout.points,
            "LOG_ROWS": layout.log_rows,
            "LOG_LANES": layout.log_lanes,
            "ROWS_FASTEST": int(layout.rows_fastest),
            "TILES": layout.tiles(self.build),
            "SLOT_WORDS": self.slot_words,
            "OUTER_RANK": len(layout.outer),
            "INNER_RANK": len(layout.inner),
        }
        head = np.zeros(len(RECORD) + len(RECORD) % 2, np.int64)
        for name, value in fields.items():
            head[RECORD.index(name)] = value
        self._append(head)
        return start


def magic(divisor: int) -> tuple[int, int]:
    """(m, s) with x // divisor == (mulhi(x, m) + x) >> s for x < 2**31; 32-bit m."""
    if not 1 <= divisor < _INDEX32:
        return 0, 0  # never divided by in 32 bits
    shift = (divisor - 1).bit_length()
    return ((1 << 32) * ((1 << shift) - divisor)) // divisor + 1, shift
