"""Plans on torch tensors: operators are ATen's own, called directly."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import torch

from gint.backend.protocol import Backend, BoundLaunch
from gint.host.selection import choose_for_torch
from gint.plan import Named, Plan, Step
from gint.plan.dtypes import Layout, span

from . import dense
from .convolutions import convolving
from .entry_points import entry_point, named_object, overload, writing_into
from .forks import compute_alone_after_fork
from .layouts import launch_on_copies, reinterpret, resolved, restride
from .memory import POOLED_BYTES, empty_strided, shelf
from .unchecked import checked, refuse_writing

_pointer = torch.Tensor.data_ptr


class Tensors:
    noun = "torch tensor on the CPU"

    def __init__(self) -> None:
        compute_alone_after_fork()

    def backend(self, name: str | None) -> Backend:
        choice = choose_for_torch("cpu", name)
        if choice.backend is None:
            because = "; ".join(f"{name!r} is {why}" for name, why in choice.reasons.items())
            raise ImportError(f"No backend runs tensors on the CPU: {because}.")
        return choice.backend

    def is_value(self, x: Any) -> bool:
        return isinstance(x, torch.Tensor) and x.layout is torch.strided and x.device.type == "cpu"

    def shown(self, x: Any) -> str:
        if not isinstance(x, torch.Tensor):
            return f"a {type(x).__name__}"
        layout = "" if x.layout is torch.strided else f" with the layout {x.layout}"
        return f"one on {x.device}{layout}"

    def dtype_of(self, name: str) -> torch.dtype:
        return named_object(Named("dtype", name))

    def size(self, x: torch.Tensor) -> tuple[int, ...]:
        return x.shape

    def strides(self, x: torch.Tensor) -> tuple[int, ...]:
        return x.stride()

    def offset(self, x: torch.Tensor) -> int:
        return x.storage_offset()

    def reach(self, x: torch.Tensor) -> tuple[int, int]:
        start = x.data_ptr()
        return start, start + span(x.shape, x.stride()) * x.itemsize

    def constant(
        self, buffer: Any, start: int, count: int, dtype: torch.dtype, layout: Layout, written: bool
    ) -> torch.Tensor:
        if not count:
            return torch.empty_strided(*layout, dtype=dtype)
        flat = torch.frombuffer(buffer, dtype=dtype, count=count, offset=start)
        return flat.as_strided(*layout)

    def allocator(self, dtype: torch.dtype, layout: Layout) -> Callable[[], torch.Tensor]:
        if span(*layout) * dtype.itemsize >= POOLED_BYTES:
            return shelf(*layout, dtype)
        return partial(empty_strided, *layout, dtype)

    def viewer(self, layout: Layout, offset: int) -> Callable[[torch.Tensor], torch.Tensor]:
        size, strides = layout
        return lambda x: reinterpret(x, size, strides, offset)

    def relaid(self, x: torch.Tensor, strides: tuple[int, ...]) -> torch.Tensor:
        return restride(resolved(x), x.shape, strides)

    def is_plain(self, x: torch.Tensor) -> bool:
        return not (x.is_neg() or x.is_conj() or x._is_zerotensor())

    def is_writable(self, x: torch.Tensor) -> bool:
        return True

    def launcher(self, launch: BoundLaunch) -> Callable[..., int]:
        return lambda *tensors: launch(*map(_pointer, tensors))

    def on_copies(
        self, launch: BoundLaunch, xs: tuple[torch.Tensor, ...], written: tuple[int, ...]
    ) -> int:
        return launch_on_copies(launch, xs, written)

    def operator(self, name: str, into: bool) -> Callable[..., Any]:
        if self.is_ours(name):
            from .quantized import OWN  # and what it needs, for plans that have such matrices

            if name in OWN:
                return OWN[name]
        if into:
            return dense.writing_into(name, writing_into(name))
        target = overload(name)
        refuse_writing(name, target)
        return convolving(name, checked(name, entry_point(target)))

    def is_ours(self, operator: str) -> bool:
        return operator.startswith("gint.")

    def body(
        self,
        plan: Plan,
        launches: Mapping[int, BoundLaunch],
        unknown: Collection[int],
        prepare: Callable[[Step], Callable[..., None]],
    ) -> Callable[..., None] | None:
        from .saved_body import native_body  # and what it needs, for plans that are run

        return native_body(plan, launches, unknown, prepare)

    def named(self, a: Named) -> Any:
        return named_object(a)

    def running(self) -> AbstractContextManager[Any]:
        return torch.no_grad()
