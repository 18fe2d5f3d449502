"""The text form: exact inverses, and errors that name the line."""

import math

import pytest
from hypothesis import given

from gint.isa import Instruction, dtype, opcode
from gint.program import Program, Section, SectionKind, assemble, disassemble, verify
from tests.strategies import programs

RMS_NORM = """\
program rms_norm
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot w bf16 in (cols)
slot y f32 out (cols, rows)
param eps f64
scalar
  param.f64 r[0] <- p[eps]
  cast.f32 r[1] <- f32(r[0])
  extent.i64 r[2] <- extent(cols)
  cast.f32 r[3] <- f32(r[2])
reduce
  load.f32 r[4] <- s[x]
  mul.f32 r[5] <- r[4] * r[4]
  sum.f32 acc[6] <- acc[6] + r[5]
scalar
  div.f32 r[7] <- r[6] / r[3]
  add.f32 r[8] <- r[7] + r[1]
  rsqrt.f32 r[9] <- rsqrt(r[8])
map
  load.f32 r[10] <- s[x]
  mul.f32 r[11] <- r[10] * r[9]
  load.bf16 r[12] <- s[w]
  mul.f32 r[13] <- r[11] * r[12]
  store.f32 s[y] <- r[13]
"""


def test_a_program_reads_as_it_is_written():
    program = assemble(RMS_NORM)
    verify(program)
    assert disassemble(program) == RMS_NORM


def test_space_and_comments_do_not_matter():
    text = RMS_NORM.replace(" ", "\t").replace("map", "\n# the last pass\nmap # here")
    assert assemble(text) == assemble(RMS_NORM)
    assert assemble(RMS_NORM.replace(" <- ", "<-").replace(" * ", "*")) == assemble(RMS_NORM)


@given(programs())
def test_assemble_and_disassemble_are_inverses(verified):
    text = disassemble(verified.program)
    assert assemble(text) == verified.program
    assert disassemble(assemble(text)) == text


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.0, 5e-324, 0.1, 1e300])
def test_immediates_keep_every_bit(value):
    code = (Instruction(opcode("const"), dtype("f64"), 0, imm=value),)
    program = Program("p", (), (), (), (Section(SectionKind.MAP, code),))
    assert assemble(disassemble(program)) == program


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "axis a sideways",
            r"Line 1, 'axis a sideways': expected 'NAME parallel\|reduced\|indexed'",
        ),
        ("axis 1a parallel", "Line 1"),
        ("axis a parallel\naxis a reduced", "Line 2.*'a' is declared twice"),
        ("slot x f33 in ()", "no data type 'f33'"),
        ("slot x f32 in (rows)", "no axis 'rows'; declared: none"),
        ("slot x f32 both ()", r"expected 'NAME TYPE in\|out\|inout \(AXES\)'"),
        ("param p", "expected 'NAME TYPE'"),
        ("nonsense", "expected program, axis, slot, param, a section"),
        ("const.f32 r[0] <- 1.0", "an instruction before the first section"),
        ("map\n  sinus.f32 r[0] <- sin(r[1])", "Line 2.*no opcode 'sinus'"),
        ("map\n  add.f32 r[0] <- r[1] - r[2]", r"expected 'r\[d\] <- r\[a\] \+ r\[b\]'"),
        ("map\n  load.f32 r[0] <- s[x]", "no slot 'x'; declared: none"),
        ("map\n  param.f64 r[0] <- p[x]", "no parameter 'x'"),
        ("map\n  extent.i64 r[0] <- extent(x)", "no axis 'x'"),
        ("map\n  const.u8 r[0] <- 256", "256 does not fit u8"),
        ("map\n  const.bool r[0] <- 1", "'1' is no bool; expected true or false"),
        ("map\n  const.f32 r[0] <- one", "could not convert"),
        ("map\n  cast.f32 r[0] <- i64(r[1])", "cast.f32 gives f32, not i64"),
        ("map\n  add.f32 r[70000] <- r[1] + r[2]", "operand 70000 is not in the range"),
        ("reduce\n  sum.f32 acc[1] <- acc[2] + r[0]", r"expected 'acc\[d\] <- acc\[d\] \+ r\[a\]'"),
    ],
    ids=range(20),
)
def test_errors_name_the_line_and_what_it_should_be(text, message):
    with pytest.raises(ValueError, match=message):
        assemble(text)
