"""Arrays in, arrays out: what operations accept, and how results become what the inputs were.

Every operand is looked at as a NumPy array without a copy; bfloat16, which NumPy does not have, as
its bits (uint16). Knows NumPy, ml_dtypes' bfloat16 and DLPack producers; torch is recognised by
what it offers and not imported.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from gint.host.memory import empty

#: Names of the element types accepted -> gint's.
_FLOATING = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_BITS = {"f32": np.dtype("f4"), "f16": np.dtype("f2"), "bf16": np.dtype("u2")}
_F32 = np.dtype("f4")
_DLPACK_CPU = 1


class Operand:
    """A tensor handed to an operation.

    `array` shows its elements, `type` is gint's name of their type, `restore` makes of a result
    with that element type what the tensor was.
    """

    __slots__ = ("array", "restore", "type")

    def __init__(
        self, array: np.ndarray, type: str, restore: Callable[[np.ndarray], Any] | None = None
    ) -> None:
        self.array, self.type, self.restore = array, type, restore

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def empty_like(self, shape: tuple[int, ...] | None = None) -> Operand:
        """A new result of the same type and kind, by default of the same shape."""
        shape = self.array.shape if shape is None else shape
        return Operand(empty(shape, _BITS[self.type]), self.type, self.restore)

    def float32(self) -> np.ndarray:
        """The values in float32: the array itself where it is that."""
        if self.type == "f32":
            return self.array
        if self.type == "f16":
            return self.array.astype(_F32)
        return (self.array.astype(np.uint32) << 16).view(_F32)

    def result(self) -> Any:
        """What the caller gets."""
        return self.array if self.restore is None else self.restore(self.array)


def take(name: str, tensor: Any) -> Operand:
    """The argument called `name` as an operand. Raises TypeError for what is no float tensor."""
    if type(tensor) is np.ndarray and tensor.dtype is _F32 and tensor.flags.aligned:
        return Operand(tensor, "f32")
    if isinstance(tensor, np.ndarray):
        return _take_array(name, tensor)
    if hasattr(tensor, "untyped_storage") and hasattr(tensor, "data_ptr"):
        return _take_torch(name, tensor)
    if hasattr(tensor, "__dlpack__"):
        return _take_dlpack(name, tensor)
    raise TypeError(f"{name} must be an array, not {type(tensor).__name__}.")


def view(name: str, tensor: Any) -> np.ndarray:
    """Any array argument, of whatever element type, as NumPy shows it. Raises TypeError."""
    if isinstance(tensor, np.ndarray):
        if isinstance(tensor, np.ma.MaskedArray):
            raise TypeError(f"{name} is a masked array: pass {name}.filled(value).")
        return np.asarray(tensor)
    if hasattr(tensor, "untyped_storage") and hasattr(tensor, "data_ptr"):
        return _numpy_of_torch(name, tensor)
    if hasattr(tensor, "__dlpack__"):
        return _from_dlpack(name, tensor)
    raise TypeError(f"{name} must be an array, not {type(tensor).__name__}.")


def restorer(name: str, tensor: Any) -> Callable[[np.ndarray], Any]:
    """What makes an array of any other element type be what the argument called `name` is."""
    if hasattr(tensor, "untyped_storage") and hasattr(tensor, "data_ptr"):
        return sys.modules["torch"].from_numpy
    if hasattr(tensor, "__dlpack__") and not isinstance(tensor, np.ndarray):
        return _from_array(name, tensor)
    return lambda result: result


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
    if not found.array.flags.writeable:
        raise ValueError("out is read-only.")
    if isinstance(out, np.ndarray) and out.size and not np.may_share_memory(found.array, out):
        raise ValueError("out is not aligned, or not in this machine's byte order.")
    found.restore = lambda _: out
    return found


def check_shape(name: str, found: tuple[int, ...], wanted: tuple[int, ...], why: str = "") -> None:
    """Raises ValueError naming the argument, the shape it has and the shape it needs."""
    if found != wanted:
        raise ValueError(f"{name} has the shape {found} and needs {wanted}{why}.")


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
    found = _FLOATING.get(a.dtype.name)
    if found is None:
        raise TypeError(_wrong_type(name, a.dtype.name))
    given = a.dtype
    a = np.asarray(a, dtype=given.newbyteorder("="))
    if not a.flags.aligned or any(s % a.itemsize for s in a.strides):
        a = a.copy()
    if found == "bf16":
        return Operand(a.view(np.uint16), found, lambda result: result.view(given))
    return Operand(a, found)


def _take_torch(name: str, t: Any) -> Operand:
    found = _FLOATING.get(str(t.dtype).removeprefix("torch."))
    if found is None:
        raise TypeError(_wrong_type(name, str(t.dtype)))
    torch = sys.modules["torch"]
    if found != "bf16":
        return Operand(_numpy_of_torch(name, t), found, torch.from_numpy)
    bits = _numpy_of_torch(name, t, as_type=torch.uint16)
    return Operand(bits, found, lambda result: torch.from_numpy(result).view(torch.bfloat16))


def _numpy_of_torch(name: str, t: Any, as_type: Any = None) -> np.ndarray:
    if t.requires_grad:
        raise TypeError(f"{name} requires grad, which is lost here: pass {name}.detach().")
    if str(t.layout) != "torch.strided":
        raise TypeError(f"{name} is a tensor of layout {t.layout}; pass {name}.to_dense().")
    if t.device.type != "cpu":
        raise TypeError(_wrong_device(name, t.device))
    t = t.resolve_neg().detach()
    return (t if as_type is None else t.view(as_type)).numpy()


def _take_dlpack(name: str, producer: Any) -> Operand:
    a = _from_dlpack(name, producer)
    found = _FLOATING.get(a.dtype.name)
    if found is None:
        raise TypeError(_wrong_type(name, a.dtype.name))
    return Operand(a, found, _from_array(name, producer))


def _from_array(name: str, producer: Any) -> Callable[[np.ndarray], Any]:
    namespace = producer.__array_namespace__() if hasattr(producer, "__array_namespace__") else None
    convert = getattr(namespace or sys.modules[_package(producer)], "from_dlpack", None)
    if convert is None:
        raise TypeError(f"{name} comes from {_package(producer)}, which has no from_dlpack.")
    return convert


def _from_dlpack(name: str, producer: Any) -> np.ndarray:
    if producer.__dlpack_device__()[0] != _DLPACK_CPU:
        raise TypeError(_wrong_device(name, getattr(producer, "device", "a device")))
    try:
        return np.from_dlpack(producer)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(f"{name} cannot be read through DLPack: {error}") from error


def _package(producer: Any) -> str:
    return type(producer).__module__.partition(".")[0]


def _wrong_type(name: str, found: str) -> str:
    return f"{name} holds {found}; float32, float16 and bfloat16 are accepted."


def _wrong_device(name: str, device: Any) -> str:
    return f"{name} lives on {device}, which the active backend does not reach: pass {name}.cpu()."
