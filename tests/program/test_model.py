"""What a program says about itself without running: registers, slots, what is known at launch."""

from __future__ import annotations

from hypothesis import given

from gint.isa import Form
from gint.isa.instruction import decode
from gint.program import Access, AxisKind, Binding, Program, SlotBinding, assemble
from tests.strategies import programs

TEXT = """
axis rows parallel
axis cols reduced
slot x f16 in (rows, cols)
slot unused f32 in (rows)
slot y f32 out (rows)
param scale f64
reduce
  load.f16 r[0] <- s[x]
  sum.f32 acc[1] <- acc[1] + r[0]
scalar
  extent.i64 r[2] <- extent(cols)
  cast.f64 r[3] <- f64(r[2])
  param.f64 r[4] <- p[scale]
  div.f64 r[5] <- r[4] / r[3]
  cast.f32 r[6] <- f32(r[5])
  mul.f32 r[7] <- r[1] * r[6]
  store.f32 s[y] <- r[7]
"""


def instructions(program: Program):
    return [i for section in program.sections for i in section.instructions]


def test_axes_by_their_kind():
    program = assemble(TEXT)
    assert (program.parallel_axes, program.reduced_axes) == ((0,), (1,))


def test_counts():
    program = assemble(TEXT)
    assert (program.instruction_count, program.register_count) == (9, 8)
    assert program.slots_used == {0, 2}
    empty = Program("empty", (), (), (), ())
    assert (empty.instruction_count, empty.register_count, empty.encode()) == (0, 0, b"")


def test_what_needs_no_slot_and_no_position_is_known_at_launch():
    """The host computes the mean's factor, in float64 that the device may lack."""
    program = assemble(TEXT)
    assert list(program.uniforms) == [2, 3, 4, 5, 6]
    assert program.computed_types == {"f16", "f32"}


def test_a_position_is_not_known_at_launch_and_neither_is_a_fold_of_what_is():
    program = assemble("""
axis n reduced
slot y i64 out ()
reduce
  index.i64 r[0] <- index(n)
  const.i64 r[1] <- 2
  mul.i64 r[2] <- r[0] * r[1]
  sum.i64 acc[3] <- acc[3] + r[1]
scalar
  add.i64 r[4] <- r[3] + r[1]
  store.i64 s[y] <- r[4]
""")
    assert list(program.uniforms) == [1]


def test_access_says_who_may_read_and_write():
    assert [(a.reads, a.writes) for a in Access] == [(True, False), (False, True), (True, True)]


def test_bindings_are_compared_by_what_they_hold():
    """Kernels keep them as keys."""

    def binding(offset):
        return Binding((3,), (1.0,), (SlotBinding(4096, 12, offset, (1,)),))

    assert binding(0) == binding(0)
    assert hash(binding(0)) == hash(binding(0))
    assert binding(0) != binding(1)


@given(programs())
def test_generated_programs(verified):
    program = verified.program
    code = instructions(program)
    assert decode(program.encode()) == tuple(code)
    assert program.instruction_count == len(code)
    assert program.register_count == 1 + max(i.d for i in code if i.writes is not None)
    kinds = {axis: program.axes[axis].kind for axis in range(len(program.axes))}
    assert set(program.parallel_axes) == {a for a, k in kinds.items() if k is AxisKind.PARALLEL}
    assert sorted((*program.parallel_axes, *program.reduced_axes)) == list(program.iterated_axes)
    assert sorted((*program.iterated_axes, *program.indexed_axes)) == list(kinds)
    assert _grows_to(program.uniforms.keys(), code)


def _grows_to(uniforms, code) -> bool:
    """Whether the uniforms are all that can be computed from constants, parameters and extents,
    by adding until nothing more can be."""
    known: set[int] = set()
    while True:
        more = {
            i.d for i in code
            if i.op.form in (Form.CONST, Form.PARAM) or i.op.name == "extent"
            or (i.op.form in (Form.POINTWISE, Form.CAST) and known.issuperset(i.reads))
        }  # fmt: skip
        if more == known:
            return known == set(uniforms)
        known = more
