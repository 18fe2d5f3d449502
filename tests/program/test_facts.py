"""Facts of a program that backends and plans ask for."""

import pytest

from gint.program import Program, assemble
from gint.program.facts import may_fail, positions_read


def quotient(t: str) -> Program:
    return assemble(f"""
program quotient
axis x parallel
axis y parallel
slot a {t} in (x, y)
slot b {t} in (x, y)
slot c {t} out (x, y)
map
  load.{t} r[0] <- s[a]
  load.{t} r[1] <- s[b]
  floor_div.{t} r[2] <- floor(r[0] / r[1])
  store.{t} s[c] <- r[2]
""")


@pytest.mark.parametrize(("t", "fails"), [("i64", True), ("u8", True), ("f32", False)])
def test_a_division_of_integers_may_fail(t: str, fails: bool) -> None:
    assert may_fail(quotient(t)) is fails


def test_what_cannot_divide_by_zero_does_not_fail() -> None:
    assert not may_fail(positions)


positions = assemble("""
program positions
axis x parallel
axis y parallel
slot c i64 out (x, y)
map
  extent.i64 r[0] <- extent(x)
  index.i64 r[1] <- index(y)
  add.i64 r[2] <- r[0] + r[1]
  store.i64 s[c] <- r[2]
""")


def test_an_extent_reads_no_position() -> None:
    assert positions_read(positions) == {1}
    assert positions_read(quotient("f32")) == frozenset()
