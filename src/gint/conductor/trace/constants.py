"""Which inputs of Dynamo's graph are a module's own tensors, and whether one has changed since.

Dynamo lifts parameters and buffers to inputs. It guards their shapes and types, and neither their
values nor which tensors they are; so what was made of a weight has to be told when somebody writes
to it, or puts another in its place.

Knows Dynamo's graph and tensors. Does not know what is made of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import compress
from operator import is_, itemgetter
from typing import Any, NamedTuple

import torch
from torch import fx

#: A step from a module to what it holds, in the expression by which Dynamo finds a tensor.
_STEP = re.compile(r"\._(modules|parameters|buffers)\['([^']*)'\]")
_version = torch.Tensor._version.__get__
_address = torch.Tensor.data_ptr


class Constant(NamedTuple):
    """A module's tensor among the inputs of a graph."""

    position: int  # among the inputs
    name: (
        str  # "model.layers.0.mlp.up_proj.weight", from the module that the function reaches first
    )
    tensor: torch.Tensor
    is_parameter: bool  # and no buffer


def constants_of(graph: fx.Graph) -> dict[fx.Node, Constant]:
    """The inputs of a graph of Dynamo's that are parameters or buffers, with the tensors.

    To be called while Dynamo compiles: it drops the tensors afterwards. A tensor that two modules
    share is one input, and goes by the name that was met first. A buffer, or a parameter under
    `no_grad`, may be written by the graph itself: that is for the caller to see.
    """
    found = {}
    for position, node in enumerate(n for n in graph.nodes if n.op == "placeholder"):
        argument = node.meta.get("grapharg")
        if argument is None or argument.source is None:
            continue
        steps = _STEP.findall(argument.source.name)
        tensor = argument.example
        if steps and steps[-1][0] != "modules" and isinstance(tensor, torch.Tensor):
            name = ".".join(step for _, step in steps)
            found[node] = Constant(position, name, tensor, steps[-1][0] == "parameters")
    return found


class Unchanged:
    """Sees at a call whether constants are the same tensors, in the same memory, with no writes.

    Some 0.1 us a constant. A tensor made in inference mode counts no writes, and what goes through
    `tensor.data`, or past torch, is counted nowhere: that is not seen.
    """

    def __init__(self, constants: Sequence[Constant], purpose: str, holds: bool = True) -> None:
        """`purpose` ends the sentence "The value of 'lm_head.weight' was taken ". Unless it `holds`
        the tensors, the caller sees to it that those given are the same ones."""
        self._constants, self._purpose = tuple(constants), purpose
        # Of one position itemgetter gives no tuple: the first one, which is often none of ours, is
        # taken along and skipped.
        self._pick = itemgetter(0, *(c.position for c in self._constants))
        tensors = [c.tensor for c in self._constants]
        counts = [not t.is_inference() for t in tensors]
        self._counting = counts if not all(counts) else None
        self._versions = list(map(_version, self._counted(tensors)))
        self._addresses = list(map(_address, tensors))
        self._tensors = tuple(tensors) if holds else None
        if not holds:
            self._constants = tuple(c._replace(tensor=None) for c in constants)

    def _counted(self, tensors: Sequence[torch.Tensor]) -> Iterable[torch.Tensor]:
        """Those that count their writes."""
        return tensors if self._counting is None else compress(tensors, self._counting)

    def check(self, args: Sequence[Any]) -> None:
        """Raise RuntimeError, naming the constant, if one among the graph's inputs has changed."""
        if not self._constants:
            return
        _, *given = self._pick(args)
        if (
            (self._tensors is None or all(map(is_, given, self._tensors)))
            and list(map(_version, self._counted(given))) == self._versions
            and list(map(_address, given)) == self._addresses
        ):
            return
        raise RuntimeError(self._sentence(given))

    def _sentence(self, given: Sequence[Any]) -> str:
        before = self._tensors or given
        versions = iter(self._versions)
        counts = self._counting or [True] * len(given)
        for n, (c, tensor, address) in enumerate(
            zip(self._constants, given, self._addresses, strict=True)
        ):
            version = next(versions) if counts[n] else None
            is_same = tensor is before[n]
            written = is_same and version is not None and tensor._version != version
            if not is_same or written or tensor.data_ptr() != address:
                what = "written to" if written else "replaced"
                return (
                    f"{c.name!r} was {what} after its value was taken {self._purpose}.\n"
                    "Compile the model again to take the new value (torch._dynamo.reset() forgets "
                    "what was compiled)."
                )
        raise AssertionError("nothing has changed")


def refuse_training(graph: fx.Graph, option: str) -> None:
    """Raise RuntimeError, naming the input and the option, where gradients are wanted."""
    if not torch.is_grad_enabled():
        return
    constants = constants_of(graph)
    for node in graph.nodes:
        value = node.meta.get("example_value")
        if node.op == "placeholder" and isinstance(value, torch.Tensor) and value.requires_grad:
            name = repr(constants[node].name) if node in constants else f"the input {node.name}"
            raise RuntimeError(
                f"The option {option!r} is for inference, and {name} requires gradients.\n"
                "Call the compiled model under torch.no_grad() or torch.inference_mode(), or "
                "turn its gradients off: model.requires_grad_(False)."
            )
