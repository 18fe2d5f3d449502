"""Plans on NumPy arrays: without torch, its operators from the table of host operators."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from gint.backend.protocol import Backend, BoundLaunch
from gint.host import memory, selection
from gint.operators import OPERATORS
from gint.plan import Named, Plan, Step
from gint.plan.dtypes import ELEMENT_TYPES, Layout, span
from gint.plan.operators import COPIES, SCATTERS

from .values import Prepared

_BFLOAT16 = "bfloat16"


class Arrays:
    noun = "NumPy array"

    def backend(self, name: str | None) -> Backend:
        demand = selection.demanded(name)
        if demand is not None and (found := selection.select(demand[0])).device != "cpu":
            raise ValueError(
                f"The backend {found.name!r} does not reach NumPy arrays; 'cpp' and 'python' do."
            )
        # As tensors on the CPU: no driver is asked, unless a backend was.
        return selection.choose_for_torch("cpu", name).backend or selection.select("python")

    def is_value(self, x: Any) -> bool:
        return isinstance(x, np.ndarray)

    def shown(self, x: Any) -> str:
        return f"a {type(x).__name__}"

    def dtype_of(self, name: str) -> np.dtype:
        if name == _BFLOAT16:
            return _bfloat16()
        # NumPy reads more than these names: objects, and "f4,(2,3)f8" as a type of records. Types
        # that some import has given it are not its own: whether they are there would depend on it.
        if name in ELEMENT_TYPES or name == "complex128":
            with suppress(TypeError):
                found = np.dtype(name)
                if found.isbuiltin == 1:
                    return found
        raise LookupError(f"NumPy has no element type {name}.")

    def size(self, x: np.ndarray) -> tuple[int, ...]:
        return x.shape

    def strides(self, x: np.ndarray) -> tuple[int, ...]:
        size = x.itemsize
        return tuple([s // size for s in x.strides])

    def offset(self, x: np.ndarray) -> int:
        return 0

    def reach(self, x: np.ndarray) -> tuple[int, int]:
        first = last = memory.address(x)
        if not x.size:
            return first, last
        for length, step in zip(x.shape, x.strides, strict=True):
            if step < 0:
                first += (length - 1) * step
            else:
                last += (length - 1) * step
        return first, last + x.itemsize

    def constant(
        self, buffer: Any, start: int, count: int, dtype: np.dtype, layout: Layout, written: bool
    ) -> np.ndarray:
        found = np.ndarray(layout[0], dtype, buffer, start, _bytes(layout[1], dtype))
        found.flags.writeable = written  # what is never written is packed once (operators/packing)
        return found

    def allocator(self, dtype: np.dtype, layout: Layout) -> Callable[[], np.ndarray]:
        size, strides = layout
        order = sorted(range(len(size)), key=lambda d: -strides[d])
        dense = tuple([size[d] for d in order])
        if not _has_no_gaps(dense, [strides[d] for d in order]):
            count, steps = span(size, strides), _bytes(strides, dtype)
            return lambda: np.ndarray(size, dtype, np.empty(count, dtype), 0, steps)
        shelf = memory.shelf(dense, dtype)
        take = shelf or (lambda: np.empty(dense, dtype))
        back = tuple(np.argsort(order))
        if back == tuple(range(len(size))):
            return take
        return lambda: take().transpose(back)

    def viewer(self, layout: Layout, offset: int) -> Callable[[np.ndarray], np.ndarray]:
        size, strides = layout

        def view(x: np.ndarray) -> np.ndarray:
            steps = tuple([s * x.itemsize for s in strides])
            if x.flags.c_contiguous:
                return np.ndarray(size, x.dtype, x, offset * x.itemsize, steps)
            if not offset:
                return as_strided(x, size, steps)
            first = as_strided(x, (offset + 1,), (x.itemsize,))[offset:]
            return as_strided(first, size, steps)

        return view

    def relaid(self, x: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
        made = self.allocator(x.dtype, (x.shape, strides))()
        made[...] = x
        return made

    def is_plain(self, x: np.ndarray) -> bool:
        return True

    def is_writable(self, x: np.ndarray) -> bool:
        return bool(x.flags.writeable)

    def launcher(self, launch: BoundLaunch) -> Callable[..., int]:
        if launch.takes_arrays:
            return launch
        address = memory.address
        return lambda *arrays: launch(*map(address, arrays))

    def on_copies(
        self, launch: BoundLaunch, xs: tuple[np.ndarray, ...], written: tuple[int, ...]
    ) -> int:
        copies = {id(x): self.relaid(x, self.strides(x)) for x in xs}
        flag = self.launcher(launch)(*[copies[id(x)] for x in xs])
        for n in written:
            xs[n][...] = copies[id(xs[n])]
        return flag

    def operator(self, name: str, into: bool) -> Callable[..., Any]:
        found = OPERATORS.get(name)
        if found is None:
            raise LookupError(f"{name} needs torch: gint has no operator of its own for it.")
        return _writing(found) if into and name in (*SCATTERS, *COPIES) else found

    def body(
        self,
        plan: Plan,
        launches: Mapping[int, BoundLaunch],
        unknown: Collection[int],
        prepare: Callable[[Step], Prepared],
    ) -> None:
        return None

    def named(self, a: Named) -> Any:
        """The host operators' own words: a dtype of NumPy's, a memory format by torch's name."""
        if a.kind == "dtype":
            return self.dtype_of(a.name)
        return f"torch.{a.name}" if a.kind == "memory_format" else None

    def is_ours(self, operator: str) -> bool:
        return True

    def running(self) -> AbstractContextManager[Any]:
        return _NOTHING


_NOTHING = nullcontext()


def _writing(function: Callable[..., np.ndarray]) -> Callable[..., None]:
    def write(*args: Any, out: np.ndarray, **kwargs: Any) -> None:
        out[...] = function(*args, **kwargs)

    return write


def _has_no_gaps(size: tuple[int, ...], strides: list[int]) -> bool:
    """Whether strides, the largest first, are those of elements side by side."""
    expected = 1
    for length, step in zip(reversed(size), reversed(strides), strict=True):
        if length != 1 and step != expected:
            return 0 in size
        expected *= length
    return True


def _bytes(strides: tuple[int, ...], dtype: np.dtype) -> tuple[int, ...]:
    return tuple([s * dtype.itemsize for s in strides])


def _bfloat16() -> np.dtype:
    try:
        import ml_dtypes
    except ImportError:
        raise LookupError(
            "NumPy has no bfloat16 of its own. Install it with `pip install ml_dtypes`."
        ) from None
    return np.dtype(ml_dtypes.bfloat16)
