"""The device form of programs: which codes they become. What they mean is tested on devices."""

import pytest

from gint.host.frontend import Builder
from gint.isa.device import CODES, MAX_REGISTERS
from gint.kernel.interpreter.device.encoder import encode, word_bits
from gint.program import assemble, verify

_NAMES = {number: name for name, number in CODES.items()}
HORNER = """
axis n parallel
slot x f32 in (n)
slot y f32 out (n)
map
  load.f32 r[0] <- s[x]
  const.f32 r[1] <- 0.5
  mul.f32 r[2] <- r[0] * r[1]
  add.f32 r[3] <- r[2] + r[1]
  mul.f32 r[4] <- r[3] * r[0]
  add.f32 r[5] <- r[4] + r[1]
  store.f32 s[y] <- r[5]
"""


def codes(verified, bits=32, registers=6):
    return [_NAMES[row[0]] for row in encode(verified, bits, registers).code]


def test_every_code_has_its_own_number_and_those_of_32_bit_words_come_first():
    assert sorted(CODES.values()) == list(range(len(CODES)))
    wide = [n for code, n in CODES.items() if code.split("_")[-1] in ("i64", "f64")]
    narrow = [CODES[c] for c in ("END", "ADD_f32_R2", "FMA_f32", "CAST_i32_f32", "TREE_SUM_f32")]
    assert max(narrow) < min(wide)


def test_a_step_of_a_polynomial_is_two_rows():
    """x is copied to a register once; each product and sum then reads its operand where it is."""
    assert codes(verify(assemble(HORNER))) == [
        "TILES", "LOAD", "PUT_2", "MUL_f32_IMM", "ADD_f32_IMM", "MUL_f32_R2", "ADD_f32_IMM",
        "STORE", "NEXT", "END",
    ]  # fmt: skip


def test_what_is_known_at_launch_is_patched_in_and_not_computed():
    verified = verify(
        assemble("""
axis n parallel
slot y f32 out (n)
param scale f64
map
  param.f64 r[0] <- p[scale]
  cast.f32 r[1] <- f32(r[0])
  extent.i64 r[2] <- extent(n)
  cast.f32 r[3] <- f32(r[2])
  div.f32 r[4] <- r[1] / r[3]
  store.f32 s[y] <- r[4]
""")
    )
    assert word_bits(verified) == 32
    assert codes(verified) == ["TILES", "SET", "STORE", "NEXT", "END"]
    assert encode(verified, 32, 6).patches == ((1, 4),)


@pytest.mark.parametrize("registers", range(3, MAX_REGISTERS + 1))
def test_more_live_values_than_registers_are_spilled_once_each(registers):
    b = Builder("live")
    n = b.parallel("n")
    values = [b.input(f"x{k}", "f32", n) for k in range(12)]
    halves = [v * 0.5 for v in values]
    total = halves[0]
    for half in reversed(halves[1:]):
        total = total + half
    b.output("y", "f32", (n,), total)
    program = encode(b.build(), 32, registers)
    names = [_NAMES[row[0]] for row in program.code]
    stored = sum(name.startswith(("SPILL_", "PUT_SPILL")) for name in names)
    assert program.spills == stored == max(0, 11 - (registers - 2))


def test_a_spill_is_used_again_after_its_last_use():
    b = Builder("waves")
    n = b.parallel("n")
    total = b.input("x", "f32", n)
    for _ in range(5):
        values = [b.exp(total * k) for k in (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)]
        total = values[0]
        for v in reversed(values[1:]):
            total = total * v
    b.output("y", "f32", (n,), total)
    assert encode(b.build(), 32, 4).spills <= 5


def test_loads_wait_together_if_registers_suffice():
    verified = verify(
        assemble("""
axis n parallel
slot x f32 in (n)
slot y f32 in (n)
slot z f32 out (n)
map
  load.f32 r[0] <- s[x]
  load.f32 r[1] <- s[y]
  exp.f32 r[2] <- exp(r[1])
  add.f32 r[3] <- r[2] + r[0]
  store.f32 s[z] <- r[3]
""")
    )
    assert codes(verified)[1:5] == ["LOAD_R_2", "LOAD", "EXP_f32", "ADD_f32_R2"]


def test_accumulators_of_floats_stay_in_registers_others_fold_in_spills():
    verified = verify(
        assemble("""
axis n reduced
slot x f32 in (n)
slot y f32 out ()
slot z i32 out ()
reduce
  load.f32 r[0] <- s[x]
  sum.f32 acc[1] <- acc[1] + r[0]
  cast.i32 r[2] <- i32(r[0])
  amax.i32 acc[3] <- max(acc[3], r[2])
scalar
  store.f32 s[y] <- r[1]
  store.i32 s[z] <- r[3]
""")
    )
    names = codes(verified)
    assert "FOLD_SUM_f32_2" in names
    assert "FOLD_AMAX_i32" in names
    program = encode(verified, 32, 6)
    assert [len(s.accumulators) for s in program.sections] == [2, 0]
    assert (program.thread_words, program.row_words) == (2, 2)


@pytest.mark.parametrize(
    ("types", "bits"),
    [(("f32", "f32"), 32), (("i64", "f32"), 64), (("f16", "bf16"), 32), (("f32", "f64"), 64)],
)
def test_words_are_as_wide_as_the_widest_type_computed_per_point(types, bits):
    b = Builder("width")
    n = b.parallel("n")
    x = b.input("x", types[0], n)
    y = "f32" if types[1] in ("f16", "bf16") else types[1]
    b.output("y", types[1], (n,), x if x.type.name == y else b.cast(x, y))
    assert word_bits(b.build()) == bits
