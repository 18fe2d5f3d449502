"""A shorter road from Dynamo's graph to ATen operators, for plain inference.

AOTAutograd traces a graph twice and wraps every call, to get gradients, mutations and aliases
right. A graph that needs none of those is traced once, here, and called directly. Whatever is not
surely plain takes AOTAutograd's road.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import fx
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from .decompositions import decompositions

log = logging.getLogger(__name__)

#: Modules of functions that change how others run (transforms, gradients), which a trace without
#: gradients would get wrong in silence. Operators are in torch, torch._C._nn, ...
_MODES = (
    "torch._functorch", "torch._C._functorch", "torch.autograd", "torch._C._autograd",
    "torch.ops.higher_order", "torch.utils",
)  # fmt: skip
#: No hindrance among them: the casts of autocast within a graph become part of the trace.
_HARMLESS = (
    torch.amp.autocast_mode._enter_autocast,
    torch.amp.autocast_mode._exit_autocast,
    torch._C._log_api_usage_once,
)
_RESTRIDE = torch.ops.aten.as_strided_.default
_NUMBERS = (int, float, bool, torch.SymInt, torch.SymFloat, torch.SymBool)


def trace_inference(gm: fx.GraphModule) -> fx.GraphModule | None:
    """The graph in functional ATen operators, or None for one that needs AOTAutograd."""
    inputs = [n.meta.get("example_value") for n in gm.graph.nodes if n.op == "placeholder"]
    mode = _fake_mode(inputs)
    if mode is None or not _is_plain(gm, inputs):
        return None
    try:
        # make_fx counts a method's `self` among its arguments, unless they are any number.
        traced = trace_operators(lambda *args: gm.forward(*args), inputs, mode)
        written = [_base(n) for n in traced.graph.nodes if _writes(n)]
        if written and all(n.op == "call_function" for n in written):
            functional = torch.func.functionalize(lambda *args: gm.forward(*args))
            traced = trace_operators(lambda *args: functional(*args), inputs, mode)
            _restride_apart(traced)
    except Exception as error:
        # AOTAutograd traces what this road cannot, or says what is wrong with the graph.
        log.debug("left to AOTAutograd: %s: %s", type(error).__name__, error)
        return None
    return None if mutates(traced) else traced


def _fake_mode(inputs: list[Any]) -> FakeTensorMode | None:
    modes = [x.fake_mode for x in inputs if isinstance(x, FakeTensor)]
    return modes[0] if modes else None


def _is_plain(gm: fx.GraphModule, inputs: list[Any]) -> bool:
    """No gradients, no autocast, no transforms, no subclasses, no sizes that depend on data."""
    needs_grad = any(_requires_grad(x) for x in inputs)
    if wants_gradients(inputs):
        return False
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        return False
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return False
    if any(type(x) is not FakeTensor and not isinstance(x, _NUMBERS) for x in inputs):
        return False
    # A graph within, or a tensor that is no input (an optimizer's state): that one is real, and
    # tracing would already write into it.
    if any(n.op == "get_attr" for n in gm.graph.nodes):
        return False
    if any(_changes_mode(n, needs_grad) for n in gm.graph.nodes):
        return False
    return not any("unbacked_bindings" in n.meta for n in gm.graph.nodes)


def _changes_mode(node: fx.Node, needs_grad: bool) -> bool:
    target = node.target
    if target in _HARMLESS:
        return False
    if target is torch._C._set_grad_enabled:
        return needs_grad and bool(node.args[0])
    module = getattr(target, "__module__", None) or ""
    return module == "torch._C" or module.startswith(("torch.amp", *_MODES))


def wants_gradients(inputs: Sequence[Any]) -> bool:
    """Whether a graph of these inputs, traced now, is to have gradients."""
    return torch.is_grad_enabled() and any(_requires_grad(x) for x in inputs)


def _requires_grad(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.requires_grad


def trace_operators(
    call: Callable[..., Any], inputs: list[Any], mode: FakeTensorMode
) -> fx.GraphModule:
    """The ATen operators that a call with fake inputs comes down to, without gradients."""
    from torch._dispatch.python import enable_python_dispatcher
    from torch.fx.experimental.proxy_tensor import make_fx

    trace = make_fx(call, decomposition_table=decompositions(), tracing_mode="real")
    with torch.no_grad(), mode, torch.random.fork_rng(devices=()):
        if not any(map(_has_symbols, inputs)):
            return trace(*inputs)
        # Composite operators' C++ would turn symbolic sizes into numbers. (In Python a few are
        # decomposed before the table is asked.)
        with enable_python_dispatcher():
            return trace(*inputs)


def _has_symbols(x: Any) -> bool:
    if isinstance(x, torch.Tensor):
        return x._has_symbolic_sizes_strides
    return isinstance(x, (torch.SymInt, torch.SymFloat, torch.SymBool))


def _restride_apart(traced: fx.GraphModule) -> None:
    """Make new views of values that are told other strides, where nothing else sees the values.

    Pooling to one position does that in channels-last memory, below what functionalises."""
    for node in traced.graph.nodes:
        if node.target is _RESTRIDE and len(node.args[0].users) == 1:
            node.target = torch.ops.aten.as_strided.default


def mutates(traced: fx.GraphModule) -> bool:
    """Whether an operator writes into an argument: into an input, mostly, which is AOTAutograd's
    business."""
    return any(map(_writes, traced.graph.nodes))


def _writes(node: fx.Node) -> bool:
    return isinstance(node.target, torch._ops.OpOverload) and node.target._schema.is_mutable


def _base(node: fx.Node) -> fx.Node:
    """What a node that writes, or what it is a view of, leads back to by its first arguments."""
    while node.op == "call_function":
        aliases = (
            any(r.alias_info for r in getattr(node.target, "_schema", node).returns)
            if (isinstance(node.target, torch._ops.OpOverload))
            else True
        )
        source = node.args[0] if node.args else None
        if not aliases or not isinstance(source, fx.Node):
            return node
        node = source
    return node
