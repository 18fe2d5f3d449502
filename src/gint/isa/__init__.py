"""The instruction set: data types, the one table of opcodes, instruction encoding, products.

Knows names, types and meanings. Does not know programs, tensors, devices, NumPy or torch.
"""

from .dtypes import DTYPES, DType, dtype
from .instruction import Instruction
from .opcodes import OPCODES, Form, Opcode, opcode

__all__ = ["DTYPES", "OPCODES", "DType", "Form", "Instruction", "Opcode", "dtype", "opcode"]
