"""Reading tensors: where the elements of a NumPy array, a torch tensor or an array on a GPU lie.

Nothing is copied. torch tensors and other libraries' arrays are recognised by what they offer; no
library but NumPy is imported. Does not know programs, backends, launches.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gint.isa import DType, dtype
from gint.program import regions

from .memory import address

#: Names of element types as NumPy (and ml_dtypes) and torch have them -> ours.
TYPE_NAMES = {
    "bool": "bool", "uint8": "u8", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64",
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16",
}  # fmt: skip


class TensorView(NamedTuple):
    """What a binding needs to know of one tensor. Strides and offset count elements.

    `ordinal` says which device of the type `device`, `stream` what its owner's work runs on there.
    """

    dtype: str
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int
    pointer: int
    storage_bytes: int
    device: str
    writable: bool
    ordinal: int = 0
    stream: int = 0


def view_of(tensor: Any) -> TensorView:
    """Where the elements of a NumPy array, a torch tensor or an array on a GPU lie.

    Raises TypeError for anything else, and for a torch tensor that is not strided.
    """
    if isinstance(tensor, np.ma.MaskedArray):
        raise TypeError("A masked array's mask would be lost; pass array.filled(value).")
    if isinstance(tensor, np.ndarray):
        return _view_of_array(tensor)
    if is_torch(tensor):
        return _view_of_torch(tensor)
    if hasattr(tensor, "__cuda_array_interface__"):
        return _view_of_cuda_array(tensor)
    raise TypeError(f"Expected a NumPy array or a torch tensor, not {type(tensor).__name__}.")


def view_of_layout(
    type_name: str,
    shape: tuple[int, ...],
    steps: Sequence[int],
    first: int = 0,
    device: str = "cpu",
    writable: bool = True,
    ordinal: int = 0,
    stream: int = 0,
) -> TensorView:
    """The view of an array whose first element lies at `first`; `steps` are its strides in bytes.

    Its storage is what lies between its lowest and its highest byte.
    """
    size = dtype(type_name).itemsize
    strides = tuple([step // size for step in steps])
    back, count = regions.span(shape, strides)
    return TensorView(
        type_name, shape, strides, back, first - back * size, count * size, device, writable,
        ordinal, stream,
    )  # fmt: skip


def is_torch(tensor: Any) -> bool:
    """Whether it is a torch tensor, by what it offers."""
    return hasattr(tensor, "untyped_storage") and hasattr(tensor, "data_ptr")


def name_of_type(dtype: Any) -> str:
    """The name of an element type of NumPy's, ml_dtypes' or torch's: "float32", "bfloat16", ..."""
    return getattr(dtype, "name", None) or str(dtype).removeprefix("torch.")


def torch_type(t: DType) -> Any:
    """torch's element type for a data type; torch has been imported."""
    name = next(theirs for theirs, ours in TYPE_NAMES.items() if ours == t.name)
    return getattr(sys.modules["torch"], name)


def is_aligned(a: np.ndarray) -> bool:
    """Whether an array's address and strides are multiples of its element's size."""
    return bool(a.flags.aligned) and not any(s % a.itemsize for s in a.strides)


def overlaps_itself(array: Any) -> bool:
    """Whether elements of an array, of NumPy's or like it, may share memory."""
    if array.size == 0 or array.flags.c_contiguous:
        return False
    return regions.overlaps_itself(regions.Region(0, array.itemsize, array.shape, array.strides))


def _view_of_array(a: np.ndarray) -> TensorView:
    if a.dtype.name not in TYPE_NAMES and a.dtype.name != "uint16":
        raise TypeError(f"NumPy arrays of {a.dtype} cannot be bound to a slot.")
    if not a.dtype.isnative:
        raise TypeError(f"The array's byte order, {a.dtype.str}, is not this machine's.")
    if not is_aligned(a):
        raise TypeError(
            f"The array's address or strides {a.strides} are not multiples of the {a.itemsize} "
            f"bytes of {a.dtype}; pass array.copy()."
        )
    # An array of uint16 stands for bfloat16 bits: NumPy has no bfloat16 of its own.
    name = TYPE_NAMES.get(a.dtype.name, "bf16")
    return view_of_layout(name, a.shape, a.strides, address(a), "cpu", bool(a.flags.writeable))


def _view_of_cuda_array(a: Any) -> TensorView:
    facts = a.__cuda_array_interface__
    t, shape = np.dtype(facts["typestr"]), tuple(facts["shape"])
    if t.name not in TYPE_NAMES and t.name != "uint16":
        raise TypeError(f"Arrays of {facts['typestr']} cannot be bound to a slot.")
    if facts.get("mask") is not None:
        raise TypeError("A masked array's mask would be lost.")
    steps = facts.get("strides") or np.empty(shape, t).strides
    if any(s % t.itemsize for s in steps):
        raise TypeError(f"The array's strides {steps} are not multiples of its element's size.")
    pointer, read_only = facts["data"]
    ordinal = getattr(getattr(a, "device", None), "id", 0)  # as CuPy says it
    # Stream 1 is the legacy default stream, for which the driver also takes 0, as torch does.
    stream = facts.get("stream") or 0
    return view_of_layout(
        TYPE_NAMES.get(t.name, "bf16"), shape, steps, pointer or 0, "cuda", not read_only,
        ordinal, 0 if stream == 1 else stream,
    )  # fmt: skip


def _view_of_torch(t: Any) -> TensorView:
    name = name_of_type(t.dtype)
    if name not in TYPE_NAMES:
        raise TypeError(f"torch tensors of {t.dtype} cannot be bound to a slot.")
    if t.requires_grad:
        raise TypeError("The tensor requires grad; pass tensor.detach() to run a program on it.")
    if str(t.layout) != "torch.strided":
        raise TypeError(f"A tensor of layout {t.layout} has no strides; use a strided tensor.")
    if t.is_neg():
        raise TypeError("The tensor is a view that negates lazily; pass tensor.resolve_neg().")
    storage, ordinal = t.untyped_storage(), t.device.index or 0
    stream = 0
    if t.device.type == "cuda":
        stream = sys.modules["torch"].cuda.current_stream(t.device).cuda_stream
    return TensorView(
        TYPE_NAMES[name], tuple(t.shape), tuple(t.stride()), t.storage_offset(),
        storage.data_ptr(), storage.nbytes(), t.device.type, True, ordinal, stream,
    )  # fmt: skip
