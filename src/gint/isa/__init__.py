"""The instruction set: data types, the one table of opcodes, instruction encoding, kinds of
sections, limits and error bits.

Knows names, types and meanings. Does not know programs, tensors, devices, NumPy or torch.
"""

from .dtypes import DTYPES, DType, dtype
from .instruction import Instruction
from .opcodes import OPCODES, Form, Opcode, opcode
from .sections import SectionKind

__all__ = [
    "DTYPES", "OPCODES", "DType", "Form", "Instruction", "Opcode", "SectionKind", "dtype", "opcode",
]  # fmt: skip
