"""`options={"cuda_graphs": True}`: a plan captured once as a CUDA graph, and replayed.

A captured graph reads and writes fixed addresses. Two things follow. An input that the caller keeps
at one address (a weight) is read there; any other is copied into memory of the graph's. And a
result lies in memory that the next replay would overwrite: so a captured graph is replayed only
when nobody holds what it returned before; where somebody does, another one is captured, up to a
bound, and beyond it the plan runs as it is.

Knows calls, tensors and torch's graphs. Does not know FX, programs or backends.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import cache
from sys import getrefcount
from threading import Lock
from typing import Any, Protocol

import torch

#: Captured graphs per plan and stream; each has results and intermediate memory of its own. Graphs
#: that share a pool would not do: what one leaves free, another's results are put into, and those
#: would be overwritten when the first is replayed again.
_MAX_CAPTURED = 4

_use_count = torch._C._storage_Use_Count


class Replayable(Protocol):
    def replay(self) -> None:
        """Do again, on the current stream, what was captured."""


class Captured:
    """A captured call: the graph, the inputs it reads and the results it writes.

    A result that is an input, as those are which a backward graph needs again, is the caller's own.
    """

    def __init__(self, graph: Replayable, inputs: list[Any], results: tuple) -> None:
        self.graph, self.inputs, self.results = graph, inputs, results
        numbers = {id(t): n for n, t in _tensors(inputs)}
        self.given = [numbers.get(id(r)) for r in results]
        places = {_place(t) for _, t in _tensors(inputs)}
        own = [t for _, t in _tensors(results) if _place(t) not in places]
        self.storages = [t.untyped_storage() for t in own]
        self.holders = self.count_holders()

    def count_holders(self) -> list[tuple[int, int]]:
        """As in memory.py: tensors that share a storage, and Python objects for it."""
        return [(_use_count(s._cdata), getrefcount(s)) for s in self.storages]

    def is_free(self) -> bool:
        return self.count_holders() == self.holders

    def run(self, args: list[Any], moving: list[int]) -> tuple:
        """Results for `args`, of which those at `moving` are copied to where the graph reads."""
        if moving:
            sources = [args[n] for n in moving]
            torch._foreach_copy_([self.inputs[n] for n in moving], sources)
        self.graph.replay()
        return tuple(
            args[n] if n is not None else r.data if isinstance(r, torch.Tensor) else r
            for n, r in zip(self.given, self.results, strict=True)
        )


class Replay:
    """A plan, called like it. The first call runs the plan, the second captures it.

    `capture` makes a graph of a call: (call, inputs) -> (graph, results). `stream` tells the
    current stream; what is captured for one is replayed on no other, so that two never write the
    same memory at a time. `written` are the inputs the plan writes into. `is_captured` says whether
    the caller captures this very call: then it is the plan that belongs into the caller's graph.
    """

    def __init__(
        self,
        call: Callable[[list], Any],
        capture: Callable[..., tuple[Replayable, tuple]],
        stream: Callable[[], int],
        written: frozenset[int],
        is_captured: Callable[[], bool] = lambda: False,
    ) -> None:
        self.call, self.capture, self.stream, self.written = call, capture, stream, written
        self.is_captured = is_captured
        self.captured: dict[int, list[Captured]] = defaultdict(list)
        #: The inputs of the first call, kept until the second: equal addresses then mean that the
        #: caller keeps them, and not that the allocator gave the same memory again.
        self.first: list[Any] | None = None
        self.fixed: dict[int, int] = {}
        self.moving: list[int] = []
        self.why_not: str | None = None
        self.lock = Lock()

    def __call__(self, args: list) -> Any:
        if self.why_not is not None or self.is_captured():
            return self.call(args)
        with self.lock:
            found = self._find(args)
            if found is not None:
                results = found.run(args, self.moving)
                args.clear()
                return results
        return self.call(args)

    def _find(self, args: list) -> Captured | None:
        """A captured call that may be replayed now, or None where the plan has to run."""
        if not self._is_settled(args):
            return None
        here = self.captured[self.stream()]
        for captured in here:
            if captured.is_free():
                return captured
        if len(here) >= _MAX_CAPTURED:
            return None
        made = self._capture(args)
        if made is not None:
            here.append(made)
        return made

    def _is_settled(self, args: list) -> bool:
        """Whether it is known which inputs stay where they are; finds out from two calls."""
        if self.first is None:
            self.first = list(args)
            return False
        if self.first:
            kept = {n for n, _ in _tensors(args) if _same_place(args[n], self.first[n])}
            self.fixed = {n: t.data_ptr() for n, t in _tensors(args) if n in kept}
            self.moving = [n for n, _ in _tensors(args) if n not in kept]
            self.first = []
        moved = [n for n, pointer in self.fixed.items() if args[n].data_ptr() != pointer]
        for n in moved:
            del self.fixed[n]
            self.moving.append(n)
        if moved:
            self.captured.clear()
        if self.written & set(self.moving):
            self._give_up("it writes into an input that is not always at the same address")
            return False
        return True

    def _capture(self, args: list) -> Captured | None:
        inputs = list(args)
        try:
            # What is made here outlives the call: no inference tensors.
            with torch.inference_mode(False), torch.no_grad():
                for n in self.moving:
                    inputs[n] = _copy(args[n])
                graph, results = self.capture(self.call, list(inputs))
        except RuntimeError as error:
            self._give_up(f"capturing it failed: {error}")
            return None
        made = Captured(graph, inputs, results)
        copied = {_place(inputs[n]) for n in self.moving}
        views = (t for n, t in _tensors(results) if made.given[n] is None)
        if any(_place(t) in copied for t in views):
            self._give_up("a result is a view of an input")
            return None
        return made

    def _give_up(self, reason: str) -> None:
        self.why_not = reason
        self.captured.clear()
        say_not_replayed(reason)


def _tensors(values: Any) -> Iterator[tuple[int, torch.Tensor]]:
    return ((n, v) for n, v in enumerate(values) if isinstance(v, torch.Tensor))


def _place(t: torch.Tensor) -> int:
    return t.untyped_storage().data_ptr()


def _same_place(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.data_ptr() == b.data_ptr()


def _copy(t: torch.Tensor) -> torch.Tensor:
    """A tensor of the same layout; raises RuntimeError where elements share memory."""
    made = torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=t.device)
    return made.copy_(t)


def capture_on_cuda(call: Callable[[list], Any], inputs: list) -> tuple:
    """The call as a CUDA graph with memory of its own, and its results."""
    graph = torch.cuda.CUDAGraph()
    device = next(t.device for _, t in _tensors(inputs))
    # Other threads may go on: their calls are no part of this, and theirs may be captured too. The
    # stream that torch would take is one for all threads, and on the device that was first.
    with (
        torch.cuda.device(device),
        torch.cuda.stream(torch.cuda.current_stream(device)),  # for the way out after an error
        torch.cuda.graph(
            graph, stream=torch.cuda.Stream(device), capture_error_mode="thread_local"
        ),
    ):
        results = call(inputs)
    return graph, results


@cache
def say_not_replayed(reason: str) -> None:
    warnings.warn(f"gint runs a graph without CUDA graphs: {reason}", RuntimeWarning, stacklevel=2)
