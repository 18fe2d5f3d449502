"""What plans run on: NumPy arrays (arrays.py) or torch tensors (tensors/values.py), seen alike."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from gint.backend.protocol import Backend, BoundLaunch
from gint.plan import Named, Plan, Step
from gint.plan.dtypes import Layout

#: A prepared step: the values by number, the sizes by name.
Prepared = Callable[[list[Any], dict[str, Any]], None]


class Values(Protocol):
    """Strides and offsets count elements. Element types are named as torch names them."""

    #: What a value is called in messages.
    noun: str

    def backend(self, name: str | None) -> Backend:
        """The backend for these values. Raises ImportError or ValueError as a sentence."""

    def is_value(self, x: Any) -> bool:
        """Whether `x` is one of these."""

    def shown(self, x: Any) -> str:
        """What `x`, which is none of these, is called in messages."""

    def dtype_of(self, name: str) -> Any:
        """The element type of a name. Raises LookupError for one that is not there."""

    def size(self, x: Any) -> tuple[int, ...]: ...

    def strides(self, x: Any) -> tuple[int, ...]: ...

    def offset(self, x: Any) -> int:
        """Of the first element in the storage."""

    def reach(self, x: Any) -> tuple[int, int]:
        """The addresses of its first byte and behind its last; equal where it has no elements."""

    def constant(
        self, buffer: Any, start: int, count: int, dtype: Any, layout: Layout, written: bool
    ) -> Any:
        """`count` elements from byte `start` on, seen in a layout; nothing is copied. `written`:
        the plan writes into them."""

    def allocator(self, dtype: Any, layout: Layout) -> Callable[[], Any]:
        """What gives memory for a result of this layout."""

    def viewer(self, layout: Layout, offset: int) -> Callable[[Any], Any]:
        """What shows the memory of a value in a layout, from an offset after its first element."""

    def relaid(self, x: Any, strides: tuple[int, ...]) -> Any:
        """The same elements in these strides."""

    def is_plain(self, x: Any) -> bool:
        """Whether there is memory and it holds the values, not their negatives or conjugates."""

    def is_writable(self, x: Any) -> bool:
        """Whether its memory may be written."""

    def launcher(self, launch: BoundLaunch) -> Callable[..., int]:
        """The launch as a function of values."""

    def on_copies(self, launch: BoundLaunch, xs: tuple[Any, ...], written: tuple[int, ...]) -> int:
        """Launch on copies of values whose memory the launch refuses."""

    def operator(self, name: str, into: bool) -> Callable[..., Any]:
        """What to call for an operator; with `into` it takes `out=`. Raises LookupError."""

    def is_ours(self, operator: str) -> bool:
        """Whether an operator is one of gint's, which run on a backend, and not ATen's."""

    def body(
        self,
        plan: Plan,
        launches: Mapping[int, BoundLaunch],
        unknown: Collection[int],
        prepare: Callable[[Step], Prepared],
    ) -> Prepared | None:
        """The steps after a plan's head as one, where that is quicker than one by one. Of them
        `launches` are bound, and the calls in `unknown` ask for memory when they are made, by `id`;
        `prepare` gives a step."""

    def named(self, a: Named) -> Any:
        """What an operator is given for a name of torch's. Raises LookupError."""

    def running(self) -> AbstractContextManager[Any]:
        """Held while a plan runs."""
