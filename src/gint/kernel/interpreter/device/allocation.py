"""Where the values of one section live: acc, registers r2 r3 ..., spills.

r0 and r1 are the places of second and third operands; r2 and up hold values. A value leaves a
register when it has no use left, or for one with a nearer use (Belady): it then goes to a spill.
Some accumulators of reduce sections are pinned to registers of their own, the others fold in
spills. Knows straight-line code and codes. Does not know sections' order, extents or devices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gint.isa import DType, Form, Instruction
from gint.isa.device import CODES, name
from gint.isa.dtypes import Kind
from gint.kernel.interpreter.numpy.interpreter import value_outside

from .uniforms import bits

_NEVER = 1 << 60
#: Registers that are left to values however many accumulators there are.
_KEPT_FREE = 2
_FIRST = 2


class Stream:
    """The instruction stream: rows of code, n, and the immediate's two halves."""

    def __init__(self) -> None:
        self.rows: list[list[int]] = []
        self.patches: list[tuple[int, int]] = []

    @property
    def length(self) -> int:
        return len(self.rows)

    def emit(self, code: str, n: int = 0, imm: int = 0, uniform: int | None = None) -> int:
        """Append a row; its number. `uniform` is the register whose value the immediate will be."""
        at = len(self.rows)
        self.rows.append([CODES[code], n, imm & 0xFFFFFFFF, (imm >> 32) & 0xFFFFFFFF])
        if uniform is not None:
            self.patches.append((at, uniform))
        return at

    def set_operand(self, at: int, n: int) -> None:
        self.rows[at][1] = n

    def array(self) -> np.ndarray:
        return np.array(self.rows, np.uint32).reshape(-1, 4)


class Allocator:
    """Emits the instructions of one section.

    `uniforms` are the registers known at launch, `rows` those that earlier sections left in row
    words, `types` those of all registers, `folds` the section's reductions.
    """

    def __init__(
        self, stream: Stream, code: list[Instruction], uniforms: Mapping[int, Any],
        rows: Mapping[int, int], types: Mapping[int, DType], registers: int,
        folds: list[Instruction],
    ) -> None:  # fmt: skip
        self.stream, self.uniforms, self.rows, self.types = stream, uniforms, rows, types
        self.uses: dict[int, list[int]] = {}
        for at, i in enumerate(code):
            for r in i.reads:
                self.uses.setdefault(r, []).append(at)
        self.acc: int | None = None
        self.spilled: dict[int, int] = {}
        self.free_spills: list[int] = []
        self.spill_count = 0
        self.pinned: dict[int, int] = {}  # accumulator -> register
        self.folded_at: dict[int, int] = {}  # accumulator -> spill
        most = max(0, registers - _FIRST - _KEPT_FREE)
        for fold in folds:
            if fold.op.direct and fold.type.kind is Kind.FLOAT and len(self.pinned) < most:
                self.pinned[fold.d] = _FIRST + len(self.pinned)
            else:
                self.folded_at[fold.d] = self._lasting_spills(fold.op.inputs)
        free = range(_FIRST + len(self.pinned), registers)
        self.held: dict[int, int | None] = dict.fromkeys(free)

    # --- Accumulators

    def begin(self, fold: Instruction) -> None:
        """The neutral element, before the first tile."""
        self.stream.emit(f"NEUTRAL_{name(fold.op, fold.type)}")
        if fold.d in self.pinned:
            self.stream.emit(f"PUT_{self.pinned[fold.d]}")
            return
        self.stream.emit("PUT_SPILL", self.folded_at[fold.d])
        if fold.op.inputs == 2:
            self.stream.emit("SET", imm=2**63 - 1)
            self.stream.emit("PUT_SPILL", self.folded_at[fold.d] + 1)

    def end(self, fold: Instruction, thread: int) -> None:
        """The thread's elements become one, in thread[thread] (and an index after it)."""
        tree, emit = f"TREE_{name(fold.op, fold.type)}", self.stream.emit
        if fold.op.inputs == 2:
            emit(tree, self.folded_at[fold.d], CODES[tree])
            emit("PUT_THREAD", thread)
            emit("GET_0")
            emit("PUT_THREAD", thread + 1)
            return
        if fold.d in self.pinned:
            emit(f"GET_{self.pinned[fold.d]}")
        else:
            emit("GET_SPILL", self.folded_at[fold.d])
        emit(tree)
        emit("PUT_THREAD", thread)

    # --- Instructions

    def instruction(self, at: int, i: Instruction, to_acc: bool = False) -> None:
        """Emit the section's instruction number `at`; `to_acc`: acc holds its result after."""
        self._emit(at, i, to_acc)
        for r in i.reads:
            if self._next_use(r, at) == _NEVER:
                self._release(r)

    def _emit(self, at: int, i: Instruction, to_acc: bool) -> None:
        form = i.op.form
        if form is Form.LOAD:
            if not to_acc and self._load_ahead(at, i):
                return
            self._save(at)
            self.stream.emit("LOAD", i.n, i.type.code)
        elif form is Form.GATHER:
            self._gather(at, i)
        elif form is Form.AXIS:
            self._save(at)
            self.stream.emit("INDEX", i.n)
        elif form is Form.STORE:
            self._bring(i.a, at, ())
            self.stream.emit("STORE", i.n, i.type.code)
            return
        elif form is Form.REDUCE:
            self._fold(at, i)
            return
        elif form is Form.SCAN:
            self._bring(i.a, at, ())
            self._save(at)
            self.stream.emit(name(i.op, i.type), self._lasting_spills(1))
        elif form is Form.CAST:
            self._cast(at, i)
        elif i.op.direct and i.type.kind is Kind.FLOAT:
            self._direct(at, i)
        else:
            self._pointwise(at, i)
        self.acc = i.d

    def _load_ahead(self, at: int, i: Instruction) -> bool:
        """Load to a free register what the next instruction does not read, so that nothing waits
        for it yet and acc keeps its value."""
        uses = self.uses.get(i.d, ())
        if i.type.name not in ("f32", "i32") or not uses or uses[0] == at + 1:
            return False
        for k, held in self.held.items():
            if self._next_use(held, at) == _NEVER:
                self._release(held)
                self.held[k] = i.d
                self.stream.emit(f"LOAD_R_{k}", i.n)
                return True
        return False

    def _cast(self, at: int, i: Instruction) -> None:
        source = self.types[i.a].name
        self._bring(i.a, at, ())
        self._save(at)
        if source != i.type.name:
            self.stream.emit(f"CAST_{i.type}_{source}")

    def _pointwise(self, at: int, i: Instruction) -> None:
        self._operands(at, i)
        self.stream.emit(name(i.op, i.type))

    def _gather(self, at: int, i: Instruction) -> None:
        self._operands(at, i)
        code = "GATHER_OR" if i.op.fills else "GATHER"
        self.stream.emit(code, i.n, i.type.code | i.op.inputs << 32)
        if i.op.fills:
            self.stream.emit("OUTSIDE", imm=bits(value_outside(i)))

    def _operands(self, at: int, i: Instruction) -> None:
        """The first to acc, which the result replaces, the others to r0 and r1."""
        for place, value in enumerate(i.reads[1:]):
            self._stage(value, place)
        self._bring(i.a, at, i.reads)
        self._save(at)

    def _fold(self, at: int, i: Instruction) -> None:
        code = f"FOLD_{name(i.op, i.type)}"
        if i.op.inputs == 2:
            self._stage(i.b, 0)
            self._bring(i.a, at, i.reads)
            self._save(at)
            tree = CODES[f"TREE_{name(i.op, i.type)}"]
            self.stream.emit(code, self.folded_at[i.d], tree)
            self.acc = None
            return
        self._bring(i.a, at, ())
        if i.d in self.pinned:
            self.stream.emit(f"{code}_{self.pinned[i.d]}")
        else:
            self.stream.emit(code, self.folded_at[i.d])

    def _direct(self, at: int, i: Instruction) -> None:
        a, b = i.a, i.b
        code = name(i.op, i.type)
        if a == b:
            self._bring(a, at, ())
            self._save(at)
            self.stream.emit(f"{code}_ACC")
            return
        swapped = b == self.acc or (
            a != self.acc and self._source(b) is None and self._source(a) is not None
        )
        mine, other = (b, a) if swapped else (a, b)
        self._bring(mine, at, i.reads)
        source = self._source(other)
        if source is None:
            self._stage(other, 0)
            source = "R0"
        self._save(at, (other,))
        n, uniform = (self.rows[other] if source == "ROW" else 0), None
        if source == "IMM":
            uniform = other
        self.stream.emit(f"{code}_{'FROM_' if swapped else ''}{source}", n, uniform=uniform)

    def _source(self, value: int) -> str | None:
        """The place a direct instruction can read `value` in, None if it must be staged."""
        if value in self.uniforms:
            return "IMM"
        if value in self.rows:
            return "ROW"
        k = self._register(value)
        return None if k is None else f"R{k}"

    # --- Moves

    def _register(self, value: int) -> int | None:
        return next((k for k, held in self.held.items() if held == value), None)

    def _next_use(self, value: int | None, at: int) -> int:
        uses = () if value is None else self.uses.get(value, ())
        return next((use for use in uses if use > at), _NEVER)

    def _stage(self, value: int, place: int) -> None:
        """rPLACE <- value; acc stays."""
        emit, k = self.stream.emit, self._register(value)
        if value in self.uniforms:
            emit(f"SET_R{place}", uniform=value)
        elif value == self.acc:
            emit(f"PUT_{place}")
        elif value in self.rows:
            emit(f"ROW_R{place}", self.rows[value])
        elif k is not None:
            emit(f"COPY_R{place}_{k}")
        else:
            emit(f"FILL_{place}", self.spilled[value])

    def _bring(self, value: int, at: int, keep: tuple[int, ...]) -> None:
        """acc <- value. Values in `keep` stay in their registers."""
        if value == self.acc:
            return
        self._save(at, (*keep, value), at - 1)
        emit, k = self.stream.emit, self._register(value)
        if value in self.uniforms:
            emit("SET", uniform=value)
        elif value in self.rows:
            emit("GET_ROW", self.rows[value])
        elif k is not None:
            emit(f"GET_{k}")
        else:
            emit("GET_SPILL", self.spilled[value])
        self.acc = value

    def _save(self, at: int, keep: tuple[int, ...] = (), since: int | None = None) -> None:
        """Before acc is written: its value goes to a register or a spill if it is used later.

        `since` is the last instruction whose uses are over, `at` if not given.
        """
        since = at if since is None else since
        value, use = self.acc, self._next_use(self.acc, since)
        if value is None or use == _NEVER or self._is_kept(value):
            return
        free = [k for k, v in self.held.items() if self._next_use(v, since) == _NEVER]
        k = next((k for k in free if self.held[k] not in keep), None)
        if k is None:
            k = self._make_room(since, use, keep)
        if k is None:
            self.spilled[value] = self._new_spill()
            self.stream.emit("PUT_SPILL", self.spilled[value])
            return
        self._release(self.held[k])
        self.stream.emit(f"PUT_{k}")
        self.held[k] = value

    def _is_kept(self, value: int) -> bool:
        """Whether `value` is, or can be had, elsewhere than in acc."""
        known = value in self.uniforms or value in self.rows or value in self.spilled
        return known or self._register(value) is not None

    def _make_room(self, since: int, use: int, keep: tuple[int, ...]) -> int | None:
        """A register whose value, needed after `use`, has gone to a spill, or None."""
        away = {
            k: v for k, v in self.held.items()
            if v is not None and v not in keep and self._next_use(v, since) > use
        }  # fmt: skip
        if not away:
            return None
        k = max(away, key=lambda k: self._next_use(away[k], since))
        if away[k] not in self.spilled:
            self.spilled[away[k]] = self._new_spill()
            self.stream.emit(f"SPILL_{k}", self.spilled[away[k]])
        self.held[k] = None
        return k

    def _release(self, value: int | None) -> None:
        if value is not None and value in self.spilled:
            self.free_spills.append(self.spilled.pop(value))

    def _new_spill(self) -> int:
        return self.free_spills.pop() if self.free_spills else self._lasting_spills(1)

    def _lasting_spills(self, count: int) -> int:
        """Spills that are nobody else's, from one tile to the next."""
        first = self.spill_count
        self.spill_count += count
        return first
