"""How close results of two backends must be.

Equal bit for bit, NaN counting as one value, but for the opcodes in `generation.INEXACT`. For them
the bound is
    ULP[type] units in the last place of the compute type, plus 1 of a 16-bit slot's type.
A backend's own functions may be off by 4 in f32 and by 1 in f64 (libm), NumPy's by as many: their
sum is what two results may differ by. Rounding to 16 bits can turn any difference into 1.
"""

from __future__ import annotations

import numpy as np

from gint.isa import DType
from gint.kernel.interpreter.numpy.functions import widen_bf16
from gint.program import VerifiedProgram
from tests.generation import INEXACT

ULP = {"f32": 8, "f64": 2}


def tolerance(verified: VerifiedProgram, slot: int) -> int:
    """Units in the last place that two right results stored to `slot` may differ by."""
    made = {i.d: i for s in verified.program.sections for i in s.instructions if i.writes}
    made |= {i.d: i for s in verified.program.sections for i in s.instructions if i.writes == 0}
    stores = [
        i for s in verified.program.sections for i in s.instructions
        if i.op.name == "store" and i.n == slot
    ]  # fmt: skip
    sources = [made[i.a] for i in stores]
    inexact = any(i.op.name in INEXACT and i.type.name in ULP for i in sources)
    if not inexact:
        return 0
    stored = verified.program.slots[slot].dtype
    return 1 if stored.is_storage_only else ULP[stored.name]


def assert_close(t: DType, found: np.ndarray, wanted: np.ndarray, ulps: int, name: str) -> None:
    """Equal in bits, or within `ulps` units in the last place."""
    if t.kind.value != "float":
        np.testing.assert_array_equal(found, wanted, err_msg=name)
        return
    bits = {2: np.int16, 4: np.int32, 8: np.int64}[t.itemsize]
    a, b = (np.ascontiguousarray(x).view(bits) for x in (found, wanted))
    nan = _isnan(t, found) & _isnan(t, wanted)
    if not ulps:
        np.testing.assert_array_equal(np.where(nan, 0, a), np.where(nan, 0, b), err_msg=name)
        return
    distance = np.abs(_ordered(a) - _ordered(b))
    worst = np.where(nan, 0.0, distance).max(initial=0)
    assert worst <= ulps, f"{name}: {worst} units in the last place apart; {ulps} are allowed"


def _isnan(t: DType, a: np.ndarray) -> np.ndarray:
    return np.isnan(widen_bf16(a) if t.name == "bf16" else a)


def _ordered(bits: np.ndarray) -> np.ndarray:
    """Numbers in the order of the floats, neighbours 1 apart, both zeros 0."""
    low = float(np.iinfo(bits.dtype).min)
    wide = bits.astype(np.longdouble)
    return np.where(bits < 0, low - wide, wide)
