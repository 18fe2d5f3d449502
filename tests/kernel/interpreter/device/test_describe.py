"""The device form of programs and their launches as text."""

from math import prod

import pytest
from hypothesis import given

from gint.kernel.interpreter.device.build import Build
from gint.kernel.interpreter.device.kernel import DeviceKernel, NoDevice
from gint.program import VerificationError, VerifiedProgram, assemble, verify
from tests.programs import SOFTMAX
from tests.strategies import programs

SCALE = """
axis n parallel
slot x f16 in (n)
slot y f32 out (n)
param scale f64
map
  load.f16 r[0] <- s[x]
  param.f64 r[1] <- p[scale]
  cast.f32 r[2] <- f32(r[1])
  mul.f32 r[3] <- r[0] * r[2]
  index.i64 r[4] <- index(n)
  cast.f32 r[5] <- f32(r[4])
  add.f32 r[6] <- r[3] + r[5]
  store.f32 s[y] <- r[6]
"""
ARGMAX = """
axis rows parallel
axis cols reduced
slot x f32 in (rows, cols)
slot y i64 out (rows)
reduce
  load.f32 r[0] <- s[x]
  index.i64 r[1] <- index(cols)
  argmax.f32 acc[2] <- (r[0], r[1]) if r[0] > acc[2]
scalar
  store.i64 s[y] <- r[2]
"""


def packed(verified: VerifiedProgram, extents: tuple[int, ...]) -> tuple:
    """Slots in C order, as `Kernel.prepare` takes them."""
    slots = []
    for slot in verified.program.slots:
        shape = [extents[axis] for axis in slot.axes]
        strides = tuple(prod(shape[k + 1 :]) for k in range(len(shape)))
        slots.append((prod(shape) * slot.dtype.itemsize, 0, strides))
    return tuple(slots)


def described(text: str | VerifiedProgram, *extents: int, params=(), builds=None) -> str:
    verified = verify(assemble(text)) if isinstance(text, str) else text
    kernel = DeviceKernel(verified, NoDevice(builds))
    return kernel.describe(extents, params, packed(verified, extents))


def test_a_map_with_a_parameter_of_64_bit_words():
    assert (
        described(SCALE, 5000, params=(0.5,))
        == """\
device form: words of 64 bits, 6 registers, 0 spills
known at launch
  param.f64 r[1] <- p[scale]  = 0.5
  cast.f32 r[2] <- f32(r[1])  = 0.5
map
    0  TILES            9
    1  LOAD             s[x] f16
    2  MUL_f32_IMM      r[2]
    3  PUT_2
    4  INDEX            index(n)
    5  CAST_f32_i64
    6  ADD_f32_FROM_R2
    7  STORE            s[y] f32
    8  NEXT             1
    9  END
dispatches
  axes   extent  of  bytes:  x  y
  inner    5000  n           2  4
  lane axis n, along threads; 1 row of 5000 points
  a group: 1 row, 256 threads for each, 8 elements a thread
  gint_run  3 groups  map  3 chunks of 1 tile
  scratch memory: 0 bytes
"""
    )


def test_few_long_rows_are_dealt():
    assert (
        described(SOFTMAX, 3, 100_000)
        == """\
device form: words of 32 bits, 6 registers, 0 spills
reduce
    0  NEUTRAL_AMAX_f32
    1  PUT_2
    2  TILES             6
    3  LOAD              s[x] f32
    4  FOLD_AMAX_f32_2
    5  NEXT              3
    6  GET_2
    7  TREE_AMAX_f32
    8  PUT_THREAD        thread[0]
    9  END
  row[0] <- every thread[0] by TREE_AMAX_f32, 1 word
reduce
   10  NEUTRAL_SUM_f32
   11  PUT_2
   12  TILES             18
   13  LOAD              s[x] f32
   14  SUB_f32_ROW       row[0]
   15  EXP_f32
   16  FOLD_SUM_f32_2
   17  NEXT              13
   18  GET_2
   19  TREE_SUM_f32
   20  PUT_THREAD        thread[0]
   21  END
  row[1] <- every thread[0] by TREE_SUM_f32, 1 word
map
   22  TILES             30
   23  LOAD              s[x] f32
   24  SUB_f32_ROW       row[0]
   25  EXP_f32
   26  ROW_R0            row[1]
   27  DIV_f32
   28  STORE             s[y] f32
   29  NEXT              23
   30  END
dispatches
  axes   extent  of    bytes:       x       y
  outer       3  rows          400000  400000
  inner  100000  cols               4       4
  lane axis cols, along threads; 3 rows of 100000 points
  a group: 1 row, 256 threads for each, 8 elements a thread
  gint_run      147 groups  reduce  49 chunks of 1 tile
  gint_combine  3 groups    reduce  their results
  gint_run      147 groups  reduce  49 chunks of 1 tile
  gint_combine  3 groups    reduce  their results
  gint_run      147 groups  map     49 chunks of 1 tile
  scratch memory: 151140 bytes
"""
    )


def test_many_rows_are_one_launch():
    assert described(SOFTMAX, 4096, 512).endswith("""
  gint_run  1024 groups  reduce, reduce, map  whole rows
  scratch memory: 3145728 bytes
""")


def test_spills_and_the_pair_of_an_index():
    assert (
        described(ARGMAX, 600, 100)
        == """\
device form: words of 64 bits, 6 registers, 2 spills
reduce
    0  NEUTRAL_ARGMAX_f32
    1  PUT_SPILL           spill[0]
    2  SET                 9223372036854775807
    3  PUT_SPILL           spill[1]
    4  TILES               12
    5  LOAD_R_2            s[x]
    6  INDEX               index(cols)
    7  PUT_0
    8  PUT_3
    9  GET_2
   10  FOLD_ARGMAX_f32     spill[0]
   11  NEXT                5
   12  TREE_ARGMAX_f32     spill[0]
   13  PUT_THREAD          thread[0]
   14  GET_0
   15  PUT_THREAD          thread[1]
   16  END
  row[0] <- every thread[0] by TREE_ARGMAX_f32, 2 words
scalar
   17  GET_ROW             row[1]
   18  STORE               s[y] i64
   19  END
dispatches
  axes   extent  of    bytes:    x  y
  outer     600  rows          400  8
  inner     100  cols            4  0
  lane axis cols, along threads; 600 rows of 100 points
  a group: 16 rows, 16 threads for each, 8 elements a thread
  gint_run  38 groups  reduce, scalar  whole rows
  scratch memory: 1556480 bytes
"""
    )


def test_the_build_decides():
    few = described(SOFTMAX, 4096, 512, builds={32: Build(32, elements=4, registers=3, block=64)})
    assert few.startswith("device form: words of 32 bits, 3 registers, 1 spill\n")
    assert "4 elements a thread" in few


def test_positions_that_32_bits_do_not_hold_are_planned_in_wider_words():
    text = described(SOFTMAX, 1, 1 << 31)
    assert text.startswith("device form: words of 64 bits")


def test_nothing_to_do_is_no_launch():
    assert described(SOFTMAX, 0, 5).endswith("\ndispatches: none\n")


def test_a_binding_that_may_not_run_is_not_described():
    kernel = DeviceKernel(verify(assemble(SOFTMAX)), NoDevice())
    with pytest.raises(VerificationError, match="would touch bytes 0 to 64"):
        kernel.describe((4, 4), (), ((8, 0, (4, 1)), (64, 0, (4, 1))))


@given(programs())
def test_every_program_can_be_described(verified):
    p = verified.program
    extents = tuple(3 + n for n in range(len(p.axes)))
    text = described(verified, *extents, params=(1,) * len(p.params))
    assert text.count("\n") > 3
    assert all(line == line.rstrip() for line in text.splitlines())
