"""Running programs on NumPy arrays, on every usable backend."""

from __future__ import annotations

import numpy as np
import pytest

from gint.backend import protocol, registry
from gint.host.executor import load, run
from gint.host.frontend import Builder
from gint.program import VerificationError, assemble
from tests.program.test_text import RMS_NORM

SCALE = """
program scale
axis m parallel
axis n parallel
slot x f32 in (m, n)
slot w f32 in (n)
slot y f32 out (m, n)
param a f64
map
  load.f32 r[0] <- s[x]
  load.f32 r[1] <- s[w]
  mul.f32 r[2] <- r[0] * r[1]
  param.f64 r[3] <- p[a]
  cast.f32 r[4] <- f32(r[3])
  mul.f32 r[5] <- r[2] * r[4]
  store.f32 s[y] <- r[5]
"""
X, W = np.arange(12, dtype=np.float32).reshape(3, 4), np.array([1, 2, 3, 4], np.float32)


@pytest.fixture
def scale(backend):
    return load(assemble(SCALE), backend)


def test_outputs_are_allocated_or_given(scale):
    (y,) = scale(x=X, w=W, a=2.0)
    np.testing.assert_array_equal(y, X * W * 2)
    mine = np.zeros((3, 4), np.float32)
    assert scale(x=X, w=W, a=2.0, y=mine)[0] is mine
    np.testing.assert_array_equal(mine, y)


def test_a_kernel_runs_any_shape(scale):
    for shape in ((0, 4), (3, 0), (0, 0), (1, 1), (70, 3), (2, 5000)):
        x, w = np.ones(shape, np.float32), np.full(shape[1], 3, np.float32)
        np.testing.assert_array_equal(scale(x=x, w=w, a=1)[0], np.full(shape, 3))


def test_views_of_every_kind(scale):
    wide = np.arange(48, dtype=np.float32).reshape(6, 8)
    for x in (wide[::2, ::2], wide[::-2, ::-2], wide.T[::2, :3].T, wide[3:, 4:], X[:, ::-1]):
        np.testing.assert_array_equal(scale(x=x, w=W[::-1], a=1)[0], x * W[::-1])


def test_writing_into_views_touches_nothing_else(scale):
    wide = np.full((6, 8), 7, np.float32)
    scale(x=X, w=W, a=1, y=wide[::2, ::-2])
    np.testing.assert_array_equal(wide[::2, ::-2], X * W)
    assert np.all(wide[1::2] == 7)
    assert np.all(wide[:, ::2] == 7)


def test_lengths_of_one_broadcast(scale):
    row, one = X[:1], np.array([2], np.float32)
    np.testing.assert_array_equal(scale(x=row, w=one, a=1)[0], row * 2)
    y = np.empty((3, 4), np.float32)
    np.testing.assert_array_equal(scale(x=row, w=one, a=1, y=y)[0], np.repeat(row * 2, 3, 0))
    assert scale(x=np.ones((1, 1), np.float32), w=np.ones(0, np.float32), a=1)[0].shape == (1, 0)
    np.testing.assert_array_equal(scale(x=np.broadcast_to(one, (3, 4)), w=W, a=1)[0], [2 * W] * 3)


def test_in_place(scale):
    x = X.copy()
    scale(x=x, y=x, w=W, a=1)
    np.testing.assert_array_equal(x, X * W)


def test_extents_nobody_shows_are_given(backend):
    kernel = load(assemble("""
axis n parallel
slot y i64 out (n)
map
  index.i64 r[0] <- index(n)
  store.i64 s[y] <- r[0]
"""), backend)  # fmt: skip
    assert kernel(extents={"n": np.int64(4)})[0].tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="No tensor shows the length of axis 'n': give extents="):
        kernel()
    with pytest.raises(TypeError, match="has no axis 'm'; it has: n"):
        kernel(extents={"n": 1, "m": 2})
    with pytest.raises(ValueError, match="Axis 'n' cannot have the length -1"):
        kernel(extents={"n": -1})


def test_programs_without_axes_take_0_d_arrays(backend):
    kernel = load(assemble("""
slot x bf16 in ()
slot y bf16 out ()
map
  load.bf16 r[0] <- s[x]
  add.f32 r[1] <- r[0] + r[0]
  round_bf16.f32 r[2] <- f32(bf16(r[1]))
  store.bf16 s[y] <- r[2]
"""), backend)  # fmt: skip
    (y,) = kernel(x=np.array(0x3FC0, np.uint16))
    assert y.shape == ()
    assert y == 0x4040


def test_rms_norm_with_bfloat16_weights(backend):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    random = np.random.default_rng(1)
    x = random.normal(size=(5, 300)).astype(np.float32)
    w = random.normal(size=300).astype(ml_dtypes.bfloat16)
    (y,) = run(assemble(RMS_NORM), backend, x=x, w=w, eps=1e-6)
    exact = x / np.sqrt((x.astype(np.float64) ** 2).mean(1, keepdims=True) + 1e-6) * w.astype(float)
    # Eight roundings besides the sum, whose terms are positive.
    np.testing.assert_allclose(y, exact.T, rtol=30 * np.finfo(np.float32).eps)
    assert np.array_equal(
        run(assemble(RMS_NORM), backend, x=x, w=w.view(np.uint16), eps=1e-6)[0], y
    )


@pytest.mark.parametrize("type_name", ["bool", "u8", "i8", "i16", "i32", "i64", "f64", "f16"])
def test_every_type_goes_through(backend, type_name):
    b = Builder("copy")
    n = b.parallel("n")
    b.output("y", type_name, (n,), b.input("x", type_name, n))
    x = np.array([0, 1, 100, 0, 1], {"f16": "float16"}.get(type_name, b.slots[0].dtype.numpy))
    (y,) = run(b.build(), backend, x=x)
    assert y.dtype == x.dtype
    np.testing.assert_array_equal(y, x)


def test_any_byte_may_lie_where_a_bool_is_expected(backend):
    b = Builder("bools")
    n = b.parallel("n")
    x = b.input("x", "bool", n)
    b.output("same", "bool", (n,), x)
    b.output("not_", "bool", (n,), ~x)
    b.output("number", "i32", (n,), b.cast(x, "i32"))
    b.output("equal", "bool", (n,), b.eq(x, True))
    raw = np.array([0, 1, 2, 128, 255], np.uint8).view(bool)
    same, not_, number, equal = run(b.build(), backend, x=raw)
    truth = [0, 1, 1, 1, 1]
    assert same.view(np.uint8).tolist() == truth
    assert not_.view(np.uint8).tolist() == [1, 0, 0, 0, 0]
    assert number.tolist() == truth
    assert equal.view(np.uint8).tolist() == truth


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"x": X.astype(np.float64)}, TypeError, "Slot 'x' holds f32 and was bound to .* f64"),
        ({"x": X[0]}, ValueError, r"Slot 'x' has 2 dimensions \(m, n\) .* shape \(4,\)"),
        ({"x": None}, TypeError, "Expected a NumPy array or a torch tensor, not NoneType"),
        ({"x": [[1.0]]}, TypeError, "not list"),
        ({"x": X.astype(">f4")}, TypeError, "byte order"),
        ({"x": np.ma.masked_array(X)}, TypeError, "mask would be lost"),
        ({"x": X.astype(np.complex64)}, TypeError, "complex64 cannot be bound"),
        ({"w": W[:3]}, ValueError, "Slot 'w': axis 'n' has the length 4, .* has 3 there"),
        ({"z": W}, TypeError, "scale has no slot or parameter 'z': x, w, y, a"),
        ({"a": "2"}, TypeError, "Parameter 'a' is f64, not '2'"),
        ({"a": [2]}, TypeError, r"Parameter 'a' is f64, not \[2\]"),
        ({"y": np.empty((3, 1), np.float32)}, ValueError, "Slot 'y': axis 'n' has the length 4"),
        ({"y": np.broadcast_to(X, (3, 4))}, ValueError, "Slot 'y' is written; the array is read-"),
        ({"y": X[::-1].copy().astype(np.int32)}, TypeError, "Slot 'y' holds f32"),
        ({"extents": {"n": 5}}, ValueError, "axis 'n' has the length 5"),
    ],
    ids=range(15),
)
def test_wrong_tensors_are_sentences(scale, changes, error, message):
    named = {"x": X, "w": W, "a": 1.0} | changes
    with pytest.raises(error, match=message):
        scale(**named)


def test_missing_tensors_and_parameters(scale):
    with pytest.raises(TypeError, match="scale needs a tensor for slot 'w'"):
        scale(x=X, a=1)
    with pytest.raises(TypeError, match="scale needs the parameter 'a'"):
        scale(x=X, w=W)


def test_misaligned_arrays_are_refused(scale):
    raw = np.zeros(60, np.uint8)[1:49].view(np.float32).reshape(3, 4)
    records = np.zeros((3, 4), np.dtype([("pad", "u1"), ("v", "f4")]))["v"]
    for x in (raw, records):
        with pytest.raises(TypeError, match="not multiples of the 4 bytes"):
            scale(x=x, w=W, a=1)


def test_outputs_that_overlap_are_refused(scale):
    line = np.zeros(20, np.float32)
    rows = np.lib.stride_tricks.as_strided(line, (3, 4), (4, 4))
    with pytest.raises(VerificationError, match="Slot 'y' is written with strides"):
        scale(x=X, w=W, a=1, y=rows)
    x = line[:12].reshape(3, 4)
    with pytest.raises(VerificationError, match=r"Slot 'x'|Slot 'y' is written and overlaps"):
        scale(x=x, w=W, a=1, y=line[4:16].reshape(3, 4))
    assert not line.any()


def test_one_array_for_two_outputs_is_refused(backend):
    b = Builder("two")
    n = b.parallel("n")
    x = b.input("x", "f32", n)
    b.output("y", "f32", (n,), x)
    b.output("z", "f32", (n,), -x)
    same = np.empty(4, np.float32)
    with pytest.raises(VerificationError, match="'y' is written and overlaps slot 'z'"):
        run(b.build(), backend, x=W, y=same, z=same)


def test_an_error_of_the_program_is_eagers(backend):
    b = Builder("divide")
    n = b.parallel("n")
    b.output("y", "i32", (n,), b.input("x", "i32", n) // b.input("d", "i32", n))
    x = np.arange(4, dtype=np.int32)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        run(b.build(), backend, x=x, d=x)
    assert run(b.build(), backend, x=x, d=x + 1)[0].tolist() == [0, 0, 0, 0]


def test_a_program_too_large_for_the_backend_is_a_sentence(backend):

    most = registry.backend(backend).capabilities.max_slots
    b = Builder("wide")
    total = b.const(0, "f32")
    for i in range(most):
        total = total + b.input(f"x{i}", "f32")
    b.output("y", "f32", (), total)
    with pytest.raises(
        ValueError, match=f"wide has {most + 1} slots; the backend '{backend}' takes"
    ):
        load(b.build(), backend)


def test_what_is_known_at_launch_may_be_of_a_type_the_backend_lacks(monkeypatch):
    cpp = registry.backend("cpp")
    without = protocol.Capabilities(types=protocol.ALL_TYPES - {"f64"})
    monkeypatch.setattr(type(cpp), "capabilities", without)
    if not registry.probe("cpp").usable:
        pytest.skip(registry.probe("cpp").reason)
    scale = Builder("scale")
    n = scale.parallel("n")
    x = scale.input("x", "f32", n)
    scale.output("y", "f32", (n,), x * scale.cast(scale.param("by", "f64"), "f32"))
    (y,) = load(scale.build(), "cpp")(x=np.ones(3, np.float32), by=2.5)
    np.testing.assert_array_equal(y, np.full(3, 2.5, np.float32))
    wide = Builder("wide")
    n = wide.parallel("n")
    wide.output("y", "f64", (n,), wide.input("x", "f64", n))
    with pytest.raises(ValueError, match="wide computes in f64, which the backend 'cpp' does not"):
        load(wide.build(), "cpp")


def test_a_call_is_described_without_running_it(scale):
    mine = np.full((3, 4), 7, np.float32)
    text = scale.describe(x=X, w=W, a=2.0, y=mine)
    assert text == scale.describe(x=X, w=W, a=2.0)
    assert text.endswith("\n")
    assert (mine == 7).all()
    with pytest.raises(ValueError, match="axis 'n' has the length 4"):
        scale.describe(x=X, w=W[:3], a=2.0)
