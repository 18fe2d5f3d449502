"""A compiled graph as bytes, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from gint.plan import Plan, Use
from gint.plan.codec import ForeignError
from gint.plan.file import Saved, open_bytes, saved_bytes
from gint.plan.signature import Signature
from gint.plan.verifier import PlanError, verify_plan
from gint.runtime.function import Running
from gint.runtime.tensors.layouts import memory_of, resolved
from gint.runtime.tensors.surroundings import need_operators
from gint.runtime.tensors.values import Tensors

#: A graph as torch calls it: with the list of its inputs. The results are a tuple.
Boxed = Callable[[list], Any]


class Unsaved(RuntimeError):
    """A compiled graph that no bytes can hold; the message says why.

    A RuntimeError, which torch takes for a cache that it does without.
    """


class Unloaded(RuntimeError):
    """Bytes that are no compiled graph, or none that runs here; the message says why. As above."""


class _Every:
    """All operators: whoever loads torch's envelope trusts it with all that Python can do."""

    def __contains__(self, name: object) -> bool:
        return True


def graph_bytes(plan: Plan, constants: Sequence[Any], options: Mapping[str, Any]) -> bytes:
    """A plan with the tensors it holds, and the options that matter where it runs: `backend`, a
    name or None, and `is_backward`. Raises Unsaved."""
    if not all(isinstance(value, torch.Tensor) for value in constants):
        raise Unsaved("gint cannot save a graph that holds another one.")
    uses = tuple([Use(n) for n in range(len(plan.inputs))])
    names = tuple([given.name for given in plan.inputs])
    result = tuple([Use(n) for n in range(len(plan.result))])
    try:
        verify_plan(plan, _Every())
        held = tuple([memory_of(t) for t in constants])
        return saved_bytes(Saved(plan, Signature(uses, names, {}, result), held, options))
    except (ForeignError, PlanError) as error:
        raise Unsaved(f"gint cannot save this graph: {error}") from None


def load_graph(data: bytes) -> Boxed:
    """The graph in these bytes. Raises Unloaded: for bytes that were cut short or altered, or
    written by a newer gint; for operators or a backend that are not here."""
    try:
        opened = open_bytes(data, _Every())
        opened.check_constants()
        backend, is_backward = opened.options["backend"], opened.options["is_backward"]
        run = Running(opened, Tensors(), backend)
    except (ValueError, LookupError, ImportError) as error:
        reason = f"options lack {error}" if isinstance(error, KeyError) else str(error)
        raise Unloaded(f"What gint saved of a compiled function cannot be used: {reason}") from None

    def call(args: list) -> tuple:
        inputs = list(args)
        args.clear()
        _refuse_tangents(inputs)
        return run(inputs)

    def call_backward(args: list) -> tuple:
        # No guard has seen gradients.
        args[:] = [_plain(x) for x in args]
        return call(args)

    return call_backward if is_backward else call


def _plain(x: Any) -> Any:
    is_lazy = isinstance(x, torch.Tensor) and (x.is_neg() or x.is_conj())
    return resolved(x) if is_lazy else x


def _refuse_tangents(inputs: Sequence[Any]) -> None:
    if need_operators(*inputs):
        raise RuntimeError(
            "A saved function computes numbers: it carries no forward-mode tangents along, and "
            "makes no fake tensors. Call the function that it was compiled from."
        )
