"""The function of a graph whose weights are constants, and whether they still are.

Dynamo may call the function with other weights than those it was compiled with: two modules of one
class share a graph. What was made of weights is kept by which tensors they are, made anew for
others, and let go of with the first of them that is.

Knows Dynamo's graph, and what it passes. Does not know what is made of constants.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import fx

from gint.runtime.tensors.surroundings import forward_ad, in_fake_mode, modes

from ..trace.constants import Constant, Unchanged, constants_of, refuse_training
from ..trace.inference import trace_inference
from .channels import fold_channels
from .folding import fold, return_copies
from .fusing import fuse

#: A graph of ATen operators -> what runs it, given the list of its inputs.
Compile = Callable[[fx.GraphModule], Callable[[list], Any]]


def freeze(gm: fx.GraphModule, compile_graph: Compile) -> Callable[..., Any] | None:
    """The function of Dynamo's graph, whose parameters and buffers are constants from now on.

    None for a graph that cannot be frozen, which one warning says: it writes into its inputs, or
    runs under autocast. Raises RuntimeError where gradients are wanted; the function raises it
    where a constant was written to.
    """
    constants = sorted(constants_of(gm.graph).values())
    refuse_training(gm.graph, "freeze")
    traced = trace_inference(gm)
    if traced is None:
        warnings.warn(
            "gint does not freeze a graph that writes into its inputs or runs under autocast: its "
            "weights are read at every call.",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    count = sum(n.op == "placeholder" for n in traced.graph.nodes)
    frozen = _Frozen(constants, traced, count, compile_graph)
    frozen.make([c.tensor for c in constants])
    # The code alone, without the graph: it names no attribute of the graph's.
    eager = partial(type(gm).forward, None)

    def call(*args: Any) -> Any:
        if forward_ad._current_level >= 0 or (modes() and in_fake_mode()):
            return eager(*args)
        return frozen(args)

    return call


class _Made(NamedTuple):
    """What runs a graph for some constants; `refs` tell of the first of them that is gone."""

    unchanged: Unchanged
    run: Callable[[list], Any]
    refs: list[weakref.ref]


class _Frozen:
    """What was made of a graph, by the tensors that its constants are."""

    def __init__(
        self, constants: Sequence[Constant], traced: fx.GraphModule, inputs: int, compile: Compile
    ) -> None:
        # What else a constant was is for those who compile; the tensors may go.
        self._constants = [c._replace(tensor=None) for c in constants]
        self._traced, self._compile = traced, compile
        given = {c.position for c in constants}
        self._pick = _picker([c.position for c in constants])
        self._rest = _picker([n for n in range(inputs) if n not in given])
        self._made: dict[tuple[int, ...], _Made] = {}

    def __call__(self, args: tuple) -> Any:
        key = tuple(map(id, self._pick(args)))
        found = self._made.get(key)
        if found is None:
            found = self.make(self._pick(args))
        found.unchanged.check(args)
        return found.run(list(self._rest(args)))

    def make(self, tensors: Sequence[torch.Tensor]) -> _Made:
        """Compile the graph for these constants, and remember it as long as they are there."""
        constants = [c._replace(tensor=t) for c, t in zip(self._constants, tensors, strict=True)]
        given = {c.position: c.tensor for c in constants}
        with torch.inference_mode(False), torch.no_grad():
            graph = frozen_graph(self._traced, given)
        key = tuple(map(id, tensors))
        forget = partial(_forget, weakref.ref(self), key)
        refs = [weakref.ref(t, forget) for t in tensors]
        unchanged = Unchanged(constants, "to be frozen", holds=False)
        made = self._made[key] = _Made(unchanged, self._compile(graph), refs)
        return made


def _forget(frozen: weakref.ref[_Frozen], key: tuple[int, ...], _: weakref.ref) -> None:
    """Let go of what was made for constants one of which is gone: its id may be another's now."""
    if (found := frozen()) is not None:
        found._made.pop(key, None)


def frozen_graph(traced: fx.GraphModule, given: dict[int, torch.Tensor]) -> fx.GraphModule:
    """A copy of a graph that holds constants in place of the inputs at their positions."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(traced.graph, {}))
    module = fx.GraphModule(torch.nn.Module(), graph)
    constants = fold(module, given)
    return_copies(constants, given.values())
    module.graph.eliminate_dead_code()
    fold_channels(constants)
    fuse(constants)
    module.graph.eliminate_dead_code()
    return module


def _picker(positions: Sequence[int]) -> Callable[[Sequence[Any]], tuple]:
    """What gives the items at these positions as a tuple."""
    if len(positions) < 2:
        return lambda args: tuple([args[n] for n in positions])
    return itemgetter(*positions)
