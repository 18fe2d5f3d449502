"""Numbers of modules as constants, where Dynamo makes every float a size that may change.

With `dynamic=True` the epsilon of each norm is an input: a tensor that Dynamo makes at every call,
a number that the plan reads back, and programs that are bound by its value. Nobody changes one.
So a float that is a module's attribute becomes a constant of the graph, with a guard: a module
whose number changed is compiled anew. Dynamo then makes no tensor of it: 2 us each, and a language
model has three a layer. Floats that are arguments stay free.
"""

from __future__ import annotations

import torch
from torch import fx
from torch._guards import Source


def settle_floats_of_modules(gm: fx.GraphModule) -> None:
    """Change a graph of Dynamo's, while Dynamo can still be given guards.

    What `aot_compile` makes is as it is: there the guards are done when a backend is asked.
    """
    settled = False
    for node in gm.graph.find_nodes(op="placeholder"):
        if (argument := node.meta.get("grapharg")) is None:
            continue
        value = getattr(node.meta.get("example_value"), "item_memo", None)
        if isinstance(value, torch.SymFloat) and (source := _of_module(value)) is not None:
            _guard(source)
            for user in [user for user in node.users if user.target == "item"]:
                user.replace_all_uses_with(value.node.hint)
                gm.graph.erase_node(user)
                settled = True
            if not node.users:  # then nobody reads what is passed, and it need not be a tensor
                argument.pass_arg_as_tensor = False
    if settled:
        gm.recompile()


def _of_module(value: torch.SymFloat) -> Source | None:
    """Where a float that is a module's attribute comes from."""
    known = value.node.shape_env.var_to_sources.get(value.node._expr, ())
    for source in known:
        if source.guard_source.is_unspecialized_nn_module():
            return source
    return None


def _guard(source: Source) -> None:
    from torch._dynamo.guards import GuardBuilder, install_guard

    install_guard(source.make_guard(GuardBuilder.CONSTANT_MATCH))
