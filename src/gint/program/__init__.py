"""Programs and bindings: what runs, and over which memory; their text and file forms; the verifier.

Knows slots, axes, extents and instructions. Does not know torch, NumPy arrays, devices or backends.
"""

from gint.isa import SectionKind

from .binding import Binding, SlotBinding, SlotLayout
from .model import Access, Axis, AxisKind, Param, Program, Section, Slot
from .text import assemble, disassemble
from .verifier import VerificationError, VerifiedProgram, verify, verify_binding

__all__ = [
    "Access", "Axis", "AxisKind", "Binding", "Param", "Program", "Section", "SectionKind", "Slot",
    "SlotBinding", "SlotLayout", "VerificationError", "VerifiedProgram", "assemble", "disassemble",
    "verify", "verify_binding",
]  # fmt: skip
