"""The part of a binding's verification that depends on pointers, for launches prepared once.

Knows regions of memory. Does not know devices.
"""

from __future__ import annotations

from gint.program import Binding, SlotBinding, VerificationError, VerifiedProgram, verify_binding
from gint.program.overlap import Region


class PointerCheck:
    """Verifies everything but pointers when it is made; raises VerificationError then.

    `are_apart` is the quick answer for tensors that share nothing; what it refuses, `verify` asks
    of the verifier itself.
    """

    def __init__(self, verified: VerifiedProgram, extents: tuple, params: tuple, slots: tuple) -> None:
        self.verified, self.extents, self.params, self.slots = verified, extents, params, slots
        self.verify(tuple((n + 1) << 56 for n in range(len(slots))))  # apart and aligned
        program = verified.program
        regions = {}
        for n, (slot, (_, offset, strides)) in enumerate(zip(program.slots, slots, strict=True)):
            shape = tuple(extents[a] for a in slot.axes)
            if n in program.slots_used and 0 not in shape:
                size = slot.dtype.itemsize
                steps = tuple(s * size for s in strides)
                regions[n] = Region(offset * size, size, shape, steps)
        self.aligned = [(n, r.itemsize - 1) for n, r in regions.items()]
        self.pairs = [
            (n, r.low, r.high, m, other.low, other.high)
            for n, r in regions.items()
            if program.slots[n].access.writes
            for m, other in regions.items()
            if m != n and (m > n or not program.slots[m].access.writes)
        ]

    def are_apart(self, pointers: tuple[int, ...]) -> bool:
        for n, mask in self.aligned:
            if not pointers[n] or pointers[n] & mask:
                return False
        for n, low, high, m, other_low, other_high in self.pairs:
            between = pointers[m] - pointers[n]
            if between + other_low < high and low < between + other_high:
                return False
        return True

    def verify(self, pointers: tuple[int, ...]) -> None:
        if len(pointers) != len(self.slots):
            raise VerificationError(
                f"The launch was given {len(pointers)} pointers; the program has "
                f"{len(self.slots)} slots."
            )
        bound = (SlotBinding(p, *s) for p, s in zip(pointers, self.slots, strict=True))
        verify_binding(self.verified, Binding(self.extents, self.params, tuple(bound)))
