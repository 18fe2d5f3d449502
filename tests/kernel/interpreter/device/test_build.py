"""Builds of the device interpreter: numbers that make none, and a source of one piece."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from gint.isa.device import MAX_REGISTERS
from gint.kernel.interpreter.device import build
from gint.kernel.interpreter.device.build import GENERATED, PORTABLE, Build, inline, source


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        ({"elements": 3}, "elements is 3; it must be a power of two"),
        ({"block": 0}, "block is 0; it must be a power of two"),
        ({"step": -2}, "step is -2; it must be a power of two"),
        ({"word_bits": 16}, "word_bits is 16; it must be 32 or 64"),
        ({"registers": 2}, f"registers is 2; it must be 3 to {MAX_REGISTERS}"),
        ({"registers": MAX_REGISTERS + 1}, f"it must be 3 to {MAX_REGISTERS}"),
        ({"step": 16}, "step is 16, more than the 8 elements"),
    ],
)
def test_numbers_that_make_no_build(numbers, said):
    with pytest.raises(ValueError, match=said):
        Build(**numbers)


def test_macros_are_the_numbers_and_kernels_are_named_by_the_word():
    made = Build(64, elements=4, registers=5, block=32, step=1, on_cpu=True)
    assert made.defines == {
        "GI_WORD_BITS": 64, "GI_ELEMENTS": 4, "GI_REGISTERS": 5, "GI_BLOCK": 32, "GI_STEP": 1,
        "GI_ON_CPU": 1,
    }  # fmt: skip
    assert made.kernel("gint_run") == "gint_run_64"
    assert hash(made) == hash(replace(made))  # builds are keys


def test_the_source_is_of_one_piece_and_has_each_file_once():
    text = source()
    assert not re.search(r'^#include "', text, re.MULTILINE)
    assert source() is text
    for macro in build.Build().defines:
        assert macro in text
    seen: set[str] = set()
    assert inline("interpreter.h", seen) == text
    assert GENERATED in seen
    for name in seen - {GENERATED}:
        own = [line for line in (PORTABLE / name).read_text().splitlines()
               if len(line) > 30 and not line.startswith(("#", "/", " *"))]  # fmt: skip
        assert all(line in text for line in own)


def test_files_that_are_there_already_are_left_out():
    first = inline("interpreter.h", set())
    seen: set[str] = set()
    inline("interpreter.h", seen)
    again = inline("interpreter.h", seen)
    assert len(again) < len(first)
    with pytest.raises(FileNotFoundError):
        inline("there_is_none.h", set())
