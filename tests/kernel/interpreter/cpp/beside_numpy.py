"""Programs run by the C++ interpreter and by NumPy's, and how far their results may differ."""

from __future__ import annotations

import numpy as np

from gint.host.executor import load
from gint.host.frontend import Builder
from gint.host.tensors import view_of
from gint.isa import dtype
from gint.isa.dtypes import Kind
from gint.program import Binding, SlotBinding
from tests.memory import launch_once

#: Where the table says that backends may differ: the allowed distance in units in the last place.
#: NumPy's float32 functions are within 4 of the true value, ours within 4 (docs/accuracy.md).
ULP = 8


def random_values(t: str, shape, rng, special: bool = True) -> np.ndarray:
    """Values of a data type, with the special ones among them. bf16 as bits (uint16)."""
    d = dtype(t)
    count = int(np.prod(shape, dtype=np.int64))
    if d.kind is Kind.BOOL:
        return rng.integers(0, 2, shape).astype(bool)
    if d.kind is Kind.INT:
        info = np.iinfo(d.numpy)
        flat = rng.integers(info.min, info.max, count, dtype=d.numpy, endpoint=True)
        flat[::3] = rng.integers(0 if info.min == 0 else -9, 9, len(flat[::3])).astype(d.numpy)
        ends = np.array([info.min, info.max, 0, 1], dtype=d.numpy)
    else:
        flat = rng.standard_normal(count).astype(np.float64) * rng.choice([1e-3, 1, 20], count)
        ends = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 1e-40, 0.5, 2.5])
    if special and count:
        at = rng.permutation(count)[: max(1, count // 4)]
        flat[at] = np.resize(rng.permutation(ends), len(at))
    if t == "bf16":
        return (flat.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16).reshape(shape)
    return flat.astype(d.numpy).reshape(shape)


def assert_same(ours: np.ndarray, wanted: np.ndarray, ulp: int = 0, signs: bool = False) -> None:
    assert ours.dtype == wanted.dtype
    assert ours.shape == wanted.shape
    if wanted.dtype.kind != "f" or wanted.size == 0:
        np.testing.assert_array_equal(ours, wanted)
        return
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(wanted))
    with np.errstate(all="ignore"):
        finite = np.isfinite(wanted) & (ours != wanted)
        distance = np.abs(ours.astype(np.float64) - wanted.astype(np.float64))
        unit = np.spacing(np.abs(wanted)).astype(np.float64)
        assert not np.any(distance[finite] > ulp * unit[finite]), (
            f"{np.max(distance[finite] / unit[finite])} units in the last place"
        )
        infinite = np.isinf(wanted) & (ours != wanted)
        assert not infinite.any() or ulp
    if signs:
        number = ~np.isnan(wanted)
        np.testing.assert_array_equal(np.signbit(ours)[number], np.signbit(wanted)[number])


def both(verified, **named):
    return load(verified, "cpp")(**named), load(verified, "python")(**named)


def pointwise_program(op, t, scalars=()):
    b = Builder(f"{op.name}_{t}")
    i = b.parallel("i")
    wanted = op.operand_types(dtype(t))
    values = [b.input(f"x{n}", w, *(() if n in scalars else (i,))) for n, w in enumerate(wanted)]
    value = b.emit(op.name, *values)
    b.output("y", value.type, (i,), value)
    return b.build()


def launch(executable, inputs, shape, threads=None):
    """Outputs and error flag of a launch with all axes given by `shape`, guard bytes around every
    output."""
    program = executable.program
    slots, outputs, guarded = [], [], []
    for slot in program.slots:
        if slot.name in inputs:
            view = view_of(inputs[slot.name])
            slots.append(SlotBinding(view.pointer, view.storage_bytes, view.offset, view.strides))
            continue
        extents = tuple(shape[a] for a in slot.axes)
        size = int(np.prod(extents, dtype=np.int64))
        item = slot.dtype.itemsize
        raw = np.full(size * item + 256, 0xA5, np.uint8)
        array = raw[128 : 128 + size * item].view(slot.dtype.numpy).reshape(extents)
        strides = tuple(s // item for s in array.strides)
        pointer = raw.__array_interface__["data"][0] + 128
        slots.append(SlotBinding(pointer, size * item, 0, strides))
        outputs.append(array)
        guarded.append(raw)
    binding = Binding(tuple(shape), (), tuple(slots))
    flag = launch_once(executable.kernel, binding, threads)
    for raw in guarded:
        assert (raw[:128] == 0xA5).all()
        assert (raw[-128:] == 0xA5).all()
    return outputs, flag


def strided(array: np.ndarray, kind: str, rng) -> np.ndarray:
    """The same values, other strides."""
    if kind == "reversed":
        return np.ascontiguousarray(array[(slice(None, None, -1),) * array.ndim])[
            (slice(None, None, -1),) * array.ndim
        ]
    if kind == "permuted":
        order = rng.permutation(array.ndim)
        return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))
    if kind == "sliced":
        wide = np.zeros([2 * n + 3 for n in array.shape], array.dtype)
        view = wide[tuple(slice(2, 2 + 2 * n, 2) for n in array.shape)]
        view[...] = array
        return view
    if kind == "broadcast" and array.ndim:
        axis = int(rng.integers(array.ndim))
        line = array[tuple(slice(0, 1) if a == axis else slice(None) for a in range(array.ndim))]
        return np.broadcast_to(np.ascontiguousarray(line), array.shape)
    return array


def softmax(b, x):
    """Recorded: the softmax over the reduced axis of x."""
    e = b.exp(x - b.amax(x))
    return e / b.sum(e)
