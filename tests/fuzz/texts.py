"""Damaged listings: each assembled, or refused with a ValueError that names the line.

What is assembled disassembles to a listing that is its own: assembled again it is the same program.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from gint.isa import DTYPES, OPCODES
from gint.program import VerificationError, assemble, disassemble, verify
from tests.generation import random_program

from .kinds import Kind, Outcome
from .mutations import mutated
from .words import refused

_BATCH = 64
_WORDS = (
    "program", "axis", "slot", "param", "map", "reduce", "scalar", "scan", "parallel", "reduced",
    "indexed", "in", "out", "inout", "r[0]", "r[1]", "acc[0]", "s[x0]", "p[p0]", "extent(a0)", "<-",
    "true", "nan", "-inf", "1e999", "0x10", "9" * 30, "?", "#", "(", ")", ",", "", "\x00", "é",
    *(t.name for t in DTYPES), *(f"{o.name}.{o.types[0]}" for o in OPCODES),
)  # fmt: skip


class Texts:
    def __init__(self) -> None:
        self._batch: tuple[tuple[int, int], str] = ((-1, -1), "")

    def case(self, seed: int, number: int) -> str:
        random = Random(f"text {seed} {number}")
        text = self._original(seed, number // _BATCH)
        for _ in range(random.randint(1, 3)):
            text = _damaged(random, text)
        return text

    def _original(self, seed: int, batch: int) -> str:
        if self._batch[0] != (seed, batch):
            random = Random(f"program {seed} {batch}")
            program = random_program(random, 6).program
            if random.randrange(2):
                program = mutated(random, program)
            self._batch = ((seed, batch), disassemble(program))
        return self._batch[1]

    def run(self, case: str) -> Iterator[Outcome]:
        try:
            program = assemble(case)
        except ValueError as error:
            if not str(error).startswith("Line "):
                raise AssertionError("the line is not named") from error
            yield Outcome("text", refused(error))
            return
        yield Outcome("text", "assembled")
        try:
            verify(program)
        except VerificationError as error:
            yield Outcome("verifier", refused(error))
            return
        yield Outcome("verifier", "accepted")
        assert assemble(disassemble(program)) == program, "the listing says something else"

    def smaller(self, case: str) -> Iterator[str]:
        lines = case.splitlines(keepends=True)
        size = len(lines) // 2
        while size:
            for at in range(0, len(lines), size):
                yield "".join(lines[:at] + lines[at + size :])
            size //= 2

    def dump(self, case: str) -> dict:
        return {"text": case}

    def load(self, written: dict) -> str:
        return written["text"]


def _damaged(random: Random, text: str) -> str:
    lines = text.splitlines() or [""]
    at, how = random.randrange(len(lines)), random.randrange(6)
    words = lines[at].split(" ")
    word = random.randrange(len(words))
    if how == 0:
        del lines[at]
    elif how == 1:
        lines.insert(random.randint(0, len(lines)), lines[at])
    elif how == 2:
        words[word] = random.choice(_WORDS)
        lines[at] = " ".join(words)
    elif how == 3:
        other = random.choice(lines).split(" ")
        words[word] = random.choice(other)
        lines[at] = " ".join(words)
    elif how == 4:
        cut = random.randint(0, len(lines[at]))
        lines[at] = lines[at][:cut] + chr(random.choice((0, 9, 13, 35, 48, 133, 0x2028, 0x0660)))
        lines[at] += text[cut : cut + random.randint(0, 9)]
    else:
        other = random.randrange(len(lines))
        lines[at], lines[other] = lines[other], lines[at]
    return "\n".join(lines) + "\n"


KIND: Kind = Texts()
