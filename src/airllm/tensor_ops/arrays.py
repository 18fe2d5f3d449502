"""Arrays in, arrays out: what operations accept, and how results become what the inputs were.

Every operand is looked at without a copy: as a NumPy array, or where it lies on a GPU that the
active backend reaches, as a CuPy array, which does what NumPy's do. bfloat16, which neither has, is
its bits (uint16). torch is recognised by what it offers; only CuPy is imported, where it is needed.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gint.host import memory
from gint.host.tensors import TYPE_NAMES, is_aligned, is_torch, name_of_type, overlaps_itself

from .backend import active

_BITS: dict[str, np.dtype] = {
    "f32": np.dtype("f4"), "f16": np.dtype("f2"), "bf16": np.dtype("u2"),
}  # fmt: skip
_F32 = np.dtype("f4")
#: DLPack's numbers of devices -> torch's names of their types.
_DLPACK_DEVICES = {1: "cpu", 2: "cuda"}


class Operand:
    """A tensor handed to an operation.

    `array` shows its elements, `type` is gint's name of their type, `restore` makes of a result
    with that element type what the tensor was.
    """

    __slots__ = ("array", "restore", "type")

    def __init__(self, array: Any, type: str, restore: Callable[[Any], Any] | None = None) -> None:
        self.array, self.type, self.restore = array, type, restore

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def empty_like(self, shape: tuple[int, ...] | None = None) -> Operand:
        """A new result of the same type and kind, by default of the same shape."""
        shape = self.array.shape if shape is None else shape
        return Operand(empty(shape, _BITS[self.type], self.array), self.type, self.restore)

    def float32(self) -> Any:
        """The values in float32: the array itself where it is that."""
        if self.type == "f32":
            return self.array
        if self.type == "f16":
            return self.array.astype(_F32)
        wide = self.array.astype(np.uint32)
        wide <<= 16
        return wide.view(_F32)

    def result(self) -> Any:
        """What the caller gets."""
        return self.array if self.restore is None else self.restore(self.array)


def take(name: str, tensor: Any) -> Operand:
    """The argument called `name` as an operand. Raises TypeError for what is no float tensor."""
    if type(tensor) is np.ndarray and tensor.dtype is _F32 and tensor.flags.aligned:
        return Operand(tensor, "f32")
    if isinstance(tensor, np.ndarray):
        return _take_array(name, tensor)
    if is_torch(tensor):
        return _take_torch(name, tensor)
    a = view(name, tensor)
    return Operand(a, _floating(name, a.dtype), restorer(name, tensor))


def view(name: str, tensor: Any) -> Any:
    """Any array argument, of whatever element type, as NumPy or CuPy shows it. Raises TypeError."""
    if isinstance(tensor, np.ndarray):
        if isinstance(tensor, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array: pass {name}.filled(value).")
        return np.asarray(tensor)
    if is_torch(tensor):
        return _array_of_torch(name, tensor)
    if hasattr(tensor, "__dlpack__"):
        return _from_dlpack(name, tensor)
    raise TypeError(f"{name} must be an array, not {type(tensor).__name__}.")


def restorer(name: str, tensor: Any) -> Callable[[Any], Any]:
    """What makes an array of any element type be what the argument called `name` is."""
    if isinstance(tensor, np.ndarray) or not hasattr(tensor, "__dlpack__"):
        return lambda result: result
    if is_torch(tensor):
        return sys.modules["torch"].from_dlpack
    namespace = tensor.__array_namespace__() if hasattr(tensor, "__array_namespace__") else None
    convert = getattr(namespace or sys.modules[_package(tensor)], "from_dlpack", None)
    if convert is None:
        raise TypeError(f"{name} comes from {_package(tensor)}, which has no from_dlpack.")
    return convert


def empty(shape: tuple[int, ...], dtype: np.dtype, like: Any) -> Any:
    """An uninitialised array in C order where the array `like` lies, on the host from the pool."""
    if isinstance(like, np.ndarray):
        return memory.empty(shape, dtype)
    cupy = _cupy()
    with like.device:
        return cupy.empty(shape, dtype)


def beside(array: np.ndarray, like: Any) -> Any:
    """The array where the array `like` lies: itself, or a copy on its device."""
    if isinstance(like, np.ndarray) or not isinstance(array, np.ndarray):
        return array
    with like.device:
        return _cupy().asarray(array)


def on_host(array: Any) -> np.ndarray:
    """The array, or a copy of one on a GPU."""
    return array if isinstance(array, np.ndarray) else array.get()


def take_out(out: Any, shape: tuple[int, ...], like: Operand) -> Operand:
    """The operand to write a result to: `out`, or a new one where it is None.

    Raises TypeError or ValueError where `out` cannot hold a result of `shape` and `like`'s type.
    """
    if out is None:
        return like.empty_like(shape)
    found = take("out", out)
    if found.type != like.type:
        raise TypeError(f"out holds {found.type}; the result is {like.type}, as x is.")
    check_shape("out", found.shape, shape)
    if not getattr(found.array.flags, "writeable", True):
        raise ValueError("out is read-only.")
    if isinstance(out, np.ndarray) and out.size and not np.may_share_memory(found.array, out):
        raise ValueError("out is not aligned, or not in this machine's byte order.")
    if is_torch(out) and out.is_neg():
        raise ValueError("out is a view that negates lazily; pass a tensor of its own.")
    if overlaps_itself(found.array):
        raise ValueError(f"out has elements that share memory: strides {found.array.strides}.")
    found.restore = lambda _: out
    return found


def check_shape(name: str, found: tuple[int, ...], wanted: tuple[int, ...], why: str = "") -> None:
    """Raises ValueError naming the argument, the shape it has and the shape it needs."""
    if found != wanted:
        raise ValueError(f"{name} has the shape {found} and needs {wanted}{why}.")


def integer_of(name: str, value: Any) -> int:
    """An argument that is an integer. Raises TypeError."""
    try:
        return int(operator.index(value))  # of True, too
    except TypeError:
        raise TypeError(f"{name} must be an integer, not {value!r}.") from None


def number(name: str, value: Any) -> float:
    """An argument that is a real number. Raises TypeError."""
    try:
        return float(value.__float__())  # float() itself would read strings
    except (AttributeError, TypeError, ValueError):
        raise TypeError(f"{name} must be a number, not {value!r}.") from None


def check_rank(name: str, operand: Operand, least: int, most: int | None = None) -> None:
    """Raises ValueError for an argument of too few or too many dimensions."""
    rank = operand.array.ndim
    if rank < least or (most is not None and rank > most):
        wanted = str(least) if most == least else f"at least {least}"
        raise ValueError(
            f"{name} has the shape {operand.shape}, {rank} dimensions, and needs {wanted}."
        )


def _take_array(name: str, a: np.ndarray) -> Operand:
    if isinstance(a, np.ma.MaskedArray):
        raise TypeError(f"{name} is a masked array: pass {name}.filled(value).")
    found, given = _floating(name, a.dtype), a.dtype
    a = np.asarray(a, dtype=given.newbyteorder("="))
    if not is_aligned(a):
        a = a.copy()
    if found == "bf16":
        return Operand(a.view(np.uint16), found, lambda result: result.view(given))
    return Operand(a, found)


def _take_torch(name: str, t: Any) -> Operand:
    found, torch = _floating(name, t.dtype), sys.modules["torch"]
    if found != "bf16":
        return Operand(_array_of_torch(name, t), found, torch.from_dlpack)
    bits = _array_of_torch(name, t, as_type=torch.uint16)
    return Operand(bits, found, lambda result: torch.from_dlpack(result).view(torch.bfloat16))


def _array_of_torch(name: str, t: Any, as_type: Any = None) -> Any:
    if t.requires_grad:
        raise TypeError(f"{name} requires grad, which is lost here: pass {name}.detach().")
    if t.is_nested:
        raise TypeError(f"{name} is a nested tensor; pass its tensors one by one.")
    if str(t.layout) != "torch.strided":
        raise TypeError(f"{name} is a tensor of layout {t.layout}; pass {name}.to_dense().")
    _check_device(name, t.device.type, t.device)
    t = t.resolve_neg().detach()
    t = t if as_type is None else t.view(as_type)
    try:
        return t.numpy() if t.device.type == "cpu" else _cupy(name).from_dlpack(t)
    except (RuntimeError, TypeError) as error:
        raise TypeError(f"{name} holds {t.dtype}, which NumPy has not: {error}") from error


def _from_dlpack(name: str, producer: Any) -> Any:
    number = producer.__dlpack_device__()[0]
    device = _DLPACK_DEVICES.get(number, f"a device that DLPack numbers {number}")
    _check_device(name, device, getattr(producer, "device", device))
    try:
        return (np if device == "cpu" else _cupy(name)).from_dlpack(producer)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(f"{name} cannot be read through DLPack: {error}") from error


def _check_device(name: str, device: str, where: Any) -> None:
    if device not in ("cpu", active().device):
        raise TypeError(
            f"{name} lives on {where}, which the active backend {active().name!r} does not reach: "
            f"pass {name}.cpu()."
        )


def _cupy(name: str = "The tensor") -> Any:
    try:
        import cupy
    except ImportError:
        raise TypeError(
            f"{name} lies on a GPU; tensors there need CuPy: pip install cupy-cuda13x (or pass "
            f"NumPy arrays, which are carried there)."
        ) from None
    return cupy


def _package(producer: Any) -> str:
    return type(producer).__module__.partition(".")[0]


def _floating(name: str, dtype: Any) -> str:
    """gint's name of an element type that operations accept. Raises TypeError."""
    found = TYPE_NAMES.get(name_of_type(dtype))
    if found not in _BITS:
        held = getattr(dtype, "name", dtype)
        raise TypeError(f"{name} holds {held}; float32, float16 and bfloat16 are accepted.")
    return found
