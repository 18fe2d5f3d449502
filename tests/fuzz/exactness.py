"""Which results every backend must give in the same bits."""

from __future__ import annotations

from gint.isa import Form, Instruction
from gint.isa.dtypes import Kind
from gint.program import Program, VerifiedProgram
from gint.program.facts import may_fail

#: Folds of floats that devices do in another order, or in float32 what others carry in float64.
_ROUNDED = ("sum", "prod", "cumsum", "cumprod")
_READS = (Form.LOAD, Form.GATHER)
#: What gives a NaN the sign that it has in memory; arithmetic gives it any.
_MOVES = (*_READS, Form.CONST, Form.PARAM)
#: How far a value may differ: not at all, by the sign of a zero, in any way.
_SAME, _ZERO, _ANY = 0, 1, 2


def exact_slots(verified: VerifiedProgram, shared: frozenset[int]) -> tuple[frozenset[int], bool]:
    """The written slots with the same bits on every backend, and whether the error flag has.

    What functions round differently, and floats summed in another order, is followed through
    registers and slots. `shared` are slots that others lie in the place of: what is loaded from
    them may have been stored there.
    """
    p = verified.program
    registers: dict[int, int] = {}
    slots: dict[int, int] = {}
    moved: set[int] = set()
    for section in p.sections:
        for i in section.instructions:
            worst = max((registers[r] for r in i.reads), default=_SAME)
            if i.op.form is Form.STORE:
                slots[i.n] = max(slots.get(i.n, _SAME), worst)
            elif i.op.form in _READS:
                there = max(slots.values(), default=_SAME) if i.n in shared else slots.get(i.n, 0)
                registers[i.d] = max(worst, there)
            elif i.op.name == "copysign" and i.b not in moved:
                registers[i.d] = _ANY
            else:
                registers[i.d] = _difference(i, worst, p)
            is_stored = i.op.form in _READS and (i.n in shared or i.n in slots)
            if i.op.form in _MOVES and not is_stored:
                moved.add(i.d)
    exact = frozenset(n for n, s in enumerate(p.slots) if slots.get(n, _SAME) == _SAME)
    return exact, not may_fail(p) or _ANY not in registers.values()


def _difference(i: Instruction, worst: int, p: Program) -> int:
    if i.type.kind is not Kind.FLOAT:
        return _SAME if worst == _ZERO else worst  # floats become integers in casts alone
    if not i.op.exact or i.op.name in _ROUNDED:
        return _ANY
    if i.op.form is Form.REDUCE and worst == _SAME:
        return _SAME if i.op.result != "T" else _ZERO
    if worst == _ZERO and i.op.name in ("copysign", "reciprocal", "div", "rsqrt"):
        return _ANY
    return worst
