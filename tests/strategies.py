"""Hypothesis strategies of what generation.py makes."""

from __future__ import annotations

from hypothesis import strategies as st

from gint.isa import dtype
from gint.program import Program, VerifiedProgram

from .generation import Launch, constant, random_launch, random_program

#: Whose choices Hypothesis makes, records and shrinks.
RANDOMS = st.randoms(use_true_random=False)


def programs(max_steps: int = 10) -> st.SearchStrategy[VerifiedProgram]:
    """Valid programs."""
    return RANDOMS.map(lambda random: random_program(random, max_steps))


def launches(program: Program) -> st.SearchStrategy[Launch]:
    """Launches of a program that the verifier must accept."""
    return RANDOMS.map(lambda random: random_launch(random, program))


def constants(type_name: str) -> st.SearchStrategy[int | float | bool]:
    """Immediates of a type, with its extremes."""
    return RANDOMS.map(lambda random: constant(random, dtype(type_name)))
