"""What is known at launch, computed on the host: the NumPy interpreter on single values."""

from __future__ import annotations

import numpy as np

from gint.isa import Instruction
from gint.kernel.interpreter.numpy.interpreter import run_uniforms
from gint.program import Program


def evaluate(
    program: Program,
    uniforms: tuple[Instruction, ...],
    extents: tuple[int, ...],
    params: tuple[int | float, ...],
) -> tuple[dict[int, int], int]:
    """The bits of each register, as a device's word has them, and the error flag."""
    values, error = run_uniforms(program, uniforms, extents, params)
    return {r: bits(value) for r, value in values.items()}, error


def bits(value: np.ndarray) -> int:
    """One value as a device's word has it: zero above its own width, as words.h packs it."""
    return int.from_bytes(value.reshape(()).tobytes(), "little")
