"""A schedule as text: the same for the same program and layout, whatever the CPU.

python -m tests.kernel.interpreter.cpp.schedule.test_describe     prints what is compared
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gint.backend import registry as backends
from gint.host.executor import Executable
from gint.program import VerificationError, assemble, verify
from tests.programs import DOUBLE, SOFTMAX

pytestmark = [
    pytest.mark.cpp,
    pytest.mark.skipif(
        not backends.probe("cpp").usable, reason=f"cpp: {backends.probe('cpp').reason}"
    ),
]
ROOT = Path(__file__).resolve().parents[5]

RMS_NORM = """
program rms_norm
axis batch parallel
axis rows parallel
axis cols reduced
slot x f32 in (batch, rows, cols)
slot w f16 in (cols)
slot y f32 out (batch, rows, cols)
param eps f64
scalar
  extent.i64 r[0] <- extent(cols)
  cast.f32 r[1] <- f32(r[0])
  param.f64 r[2] <- p[eps]
  cast.f32 r[3] <- f32(r[2])
  const.f32 r[16] <- 0.5
reduce
  load.f32 r[4] <- s[x]
  mul.f32 r[5] <- r[4] * r[4]
  sum.f32 acc[6] <- acc[6] + r[5]
scalar
  div.f32 r[7] <- r[6] / r[1]
  add.f32 r[8] <- r[7] + r[3]
  rsqrt.f32 r[9] <- rsqrt(r[8])
map
  load.f32 r[10] <- s[x]
  mul.f32 r[11] <- r[10] * r[9]
  load.f16 r[12] <- s[w]
  mul.f32 r[13] <- r[11] * r[12]
  mul.f32 r[14] <- r[13] * r[16]
  store.f32 s[y] <- r[14]
"""
TRANSPOSED = """
program transposed
axis rows parallel
axis cols parallel
slot x f32 in (cols, rows)
slot y f32 out (rows, cols)
slot at i64 out (rows, cols)
map
  load.f32 r[0] <- s[x]
  store.f32 s[y] <- r[0]
  index.i64 r[1] <- index(cols)
  store.i64 s[at] <- r[1]
"""
REVERSED = """
program reversed
axis outer parallel
axis middle parallel
axis inner parallel
slot x f32 in (inner, middle, outer)
slot y f32 out (outer, middle, inner)
map
  load.f32 r[0] <- s[x]
  store.f32 s[y] <- r[0]
"""
COLUMNS = """
program columns
axis cols parallel
axis rows reduced
slot x f32 in (rows, cols)
slot y i64 out (cols)
reduce
  load.f32 r[0] <- s[x]
  index.i64 r[1] <- index(rows)
  argmax.f32 acc[2] <- (r[0], r[1]) if r[0] > acc[2]
scalar
  store.i64 s[y] <- r[2]
"""


def described(text: str, **named) -> str:
    return Executable(verify(assemble(text)), backends.backend("cpp")).describe(**named)


def floats(*shape: int) -> np.ndarray:
    return np.empty(shape, np.float32)


def rms_norm() -> str:
    return described(RMS_NORM, x=floats(2, 64, 512), w=np.empty(512, np.float16), eps=1e-6)


def transposed() -> str:
    return described(TRANSPOSED, x=floats(200, 300))


def softmax() -> str:
    """A few long rows, more of them at once than there are blocks."""
    return described(SOFTMAX, x=floats(2, 200_000))


def columns() -> str:
    return described(COLUMNS, x=floats(1000, 300))


def test_a_chain_that_ends_in_a_fold():
    assert (
        rms_norm()
        == """\
axis  extent  kind      of           strides:    x  w    y
   0     128  parallel  batch, rows            512  0  512
   1     512  reduced   cols                     1  1    1
tile   1 x 512 along axis 1
grid   128 blocks of 1 tile
frame  1472 bytes a worker
work   1114112
once per launch
  APPLY       1x1    cast.f32       pool+8     <- 512
  APPLY       1x1    cast.f32       pool+24    <- p[eps]
reduce, per tile
  frame+0 folds lines, 1 tile at a time
  CHAIN_FOLD  1x512  mul_self, sum  frame+0    <- s[x]
scalar, per block
  APPLY       1x1    div.f32        frame+384  <- frame+0, pool+8
  APPLY       1x1    add.f32        frame+384  <- frame+384, pool+24
  APPLY       1x1    rsqrt.f32      frame+64   <- frame+384
map, per tile
  CHAIN       1x512  mul, mul, mul  s[y]       <- s[x]; frame+64, s[w], 0.5
"""
    )


def test_a_transpose():
    assert (
        transposed()
        == """\
axis  extent  kind      of    strides:    x    y   at
   0     300  parallel  rows              1  200  200
   1     200  parallel  cols            300    1    1
tile   32 x 128 along axes 0 and 1
grid   20 blocks of 1 tile
frame  33792 bytes a worker
work   780000
map, per tile
  TRANSPOSE    32x128    s[y]        <- s[x], lines 200 and 300 apart
  IOTA         1x128     frame+0     <- position along axis 1
  REPEAT_COLS  32x128    frame+1024  <- frame+0
  SCATTER      32x128    s[at]       <- frame+1024, strides 200 and 1
"""
    )


def test_short_sides_of_a_transpose_make_no_tile():
    short, long = described(REVERSED, x=floats(6, 1000, 4)), described(REVERSED, x=floats(6, 9, 40))
    assert "along axes 1 and 2" in short
    assert "along axes 0 and 2" in long


def test_rows_that_threads_share():
    assert (
        softmax()
        == """\
axis  extent  kind      of    strides:       x       y
   0       2  parallel  rows            200000  200000
   1  200000  reduced   cols                 1       1
tile   1 x 4096 along axis 1
grid   2 blocks of 49 tiles; threads may share a block, 16 tiles at a time
frame  2304 bytes a worker
work   27200000
reduce, per tile
  frame+0 folds lines, 1 tile at a time
  REDUCE      1x4096  amax.f32       frame+0   <- s[x]
reduce, per tile
  frame+64 folds lines, 1 tile at a time
  CHAIN_FOLD  1x4096  sub, exp, sum  frame+64  <- s[x]; frame+0
map, per tile
  CHAIN       1x4096  sub, exp, div  s[y]      <- s[x]; frame+0, frame+64
"""
    )


def test_columns_folded_in_tiles_of_lines():
    assert (
        columns()
        == """\
axis  extent  kind      of    strides:    x  y
   0     300  parallel  cols              1  1
   1    1000  reduced   rows            300  0
tile   16 x 300 along axes 1 and 0
grid   1 block of 63 tiles; threads may share a block, 4 tiles at a time
frame  35264 bytes a worker
work   3600900
reduce, per tile
  frame+0 folds columns, 1 tile at a time
  REDUCE  16x300  argmax.f32  frame+0  <- s[x], where it lies
scalar, per block
  COPY    1x300               s[y]     <- frame+0
"""
    )


def test_indices_that_are_computed():
    computed = "index(rows)\n  bitwise_xor.i64 r[3] <- r[1] ^ r[1]\n"
    program = COLUMNS.replace("index(rows)\n", computed).replace("(r[0], r[1])", "(r[0], r[3])")
    text = described(program, x=floats(1000, 300))
    assert "folds columns, 16 tiles at a time" in text
    assert "FILL    1x300" in text


def test_a_row_that_is_kept_for_later_sections():
    text = described(SOFTMAX, x=floats(4, 1000))
    assert "sub, exp, keep, sum" in text
    assert "s[y]      <- kept+" in text


def test_short_rows_are_folded_a_tile_at_a_time():
    text = described(SOFTMAX, x=floats(4000, 32))
    assert "CHAIN_FOLD" not in text
    steps = [line.split()[:3] for line in text.splitlines()]
    assert ["CHAIN", "125x32", "sub,"] in steps
    assert ["REDUCE", "125x32", "sum.f32"] in steps


def test_outputs_past_the_caches():
    text = described(DOUBLE, x=floats(1 << 23))
    assert "CHAIN  1x8192  add_self  s[y]  <- s[x], past the caches" in text
    assert "asks ahead" not in text  # one stream, which the CPU itself asks for


def test_inputs_asked_for_ahead():
    once_more = DOUBLE.replace("slot y", "slot z f32 in (n)\nslot y").replace(
        "  add.f32 r[1] <- r[0] + r[0]", "  load.f32 r[2] <- s[z]\n  add.f32 r[1] <- r[0] + r[2]"
    )
    large, small = floats(1 << 23), floats(1 << 22)
    assert "asks ahead for s[x], 32768 bytes on" in described(once_more, x=large, z=large)
    assert "asks ahead" not in described(once_more, x=small, z=small)


def test_a_single_point_and_none():
    assert described(TRANSPOSED, x=floats(1, 1)).startswith("one point\ntile   1 x 1\n")
    assert "0 blocks of 1 tile" in described(TRANSPOSED, x=floats(0, 5))


def test_what_may_not_run_is_not_described():
    kernel = backends.backend("cpp").load(verify(assemble(COLUMNS)))
    with pytest.raises(VerificationError, match="would touch bytes 0 to 64"):
        kernel.describe((4, 4), (), ((8, 0, (4, 1)), (32, 0, (1,))))


def test_the_text_does_not_depend_on_the_instruction_set():
    import gint.native.loader

    native = gint.native.loader.load_native()
    usable = [name for name, supported in native.instruction_sets() if supported]
    texts = {
        subprocess.check_output(
            [sys.executable, "-m", "tests.kernel.interpreter.cpp.schedule.test_describe"],
            cwd=ROOT, env={**os.environ, "GINT_CPP_ISA": name}, text=True,
        )
        for name in usable
    }  # fmt: skip
    assert texts == {rms_norm() + transposed() + softmax() + columns()}


if __name__ == "__main__":
    print(rms_norm() + transposed() + softmax() + columns(), end="")
