"""Builds of the device interpreter: its compile-time numbers and its source text.

Knows the macros of portable/dialect.h and where the sources lie. Does not know compilers.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from gint.dataclass import frozen
from gint.isa.device import MAX_REGISTERS
from gint.isa.generate import device_header

PORTABLE = Path(__file__).resolve().parent.parent / "portable"
#: The name under which portable/ includes what `gint.isa.generate device` writes.
GENERATED = "isa_device.inc"
_INCLUDE = re.compile(r'^#include "(.+?)"\n', re.MULTILINE)


@frozen
class Build:
    """One compilation of portable/interpreter.h; sizes are powers of two, registers at least 3.

    `word_bits` is the width of a register's element: 32 holds every type but i64 and f64.
    """

    word_bits: int = 32
    elements: int = 8
    registers: int = 6
    block: int = 256
    step: int = 2
    on_cpu: bool = False

    def __post_init__(self) -> None:
        for name in ("elements", "block", "step"):
            value = getattr(self, name)
            if value < 1 or value & (value - 1):
                raise ValueError(f"{name} is {value}; it must be a power of two.")
        if self.word_bits not in (32, 64):
            raise ValueError(f"word_bits is {self.word_bits}; it must be 32 or 64.")
        if not 3 <= self.registers <= MAX_REGISTERS:
            raise ValueError(f"registers is {self.registers}; it must be 3 to {MAX_REGISTERS}.")
        if self.step > self.elements:
            raise ValueError(f"step is {self.step}, more than the {self.elements} elements.")

    @property
    def defines(self) -> dict[str, int]:
        """The macros the source is compiled with."""
        return {
            "GI_WORD_BITS": self.word_bits,
            "GI_ELEMENTS": self.elements,
            "GI_REGISTERS": self.registers,
            "GI_BLOCK": self.block,
            "GI_STEP": self.step,
            "GI_ON_CPU": int(self.on_cpu),
        }

    def kernel(self, name: str) -> str:
        """The symbol of the kernel `name`: gint_run or gint_combine."""
        return f"{name}_{self.word_bits}"


@cache
def source() -> str:
    """The device interpreter as one text without includes of files of ours."""
    return inline("interpreter.h", set())


def inline(name: str, seen: set[str]) -> str:
    """A source of portable/ with its includes replaced by their text, but for those in `seen`, to
    which they are added: each comes once."""

    def text_of(included: str) -> str:
        if included in seen:
            return ""
        seen.add(included)
        return inline(included, seen)

    if name == GENERATED:
        return device_header().replace("#pragma once\n", "") + "\n"
    text = (PORTABLE / name).read_text(encoding="utf-8")
    return _INCLUDE.sub(lambda include: text_of(include.group(1)), text)
