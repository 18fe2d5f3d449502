"""What torch may keep of a compiled function: where it saves one, or has its precompile cache on.

Knows graphs of Dynamo's, compiled subgraphs and torch's settings. Does not know the form of what is
kept (gint.precompile).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from gint.runtime.tensors.surroundings import forward_ad, in_fake_mode, modes

if TYPE_CHECKING:
    from .compiler import GintCompiledSubgraph, GintCompiler
    from .options import Options

log = logging.getLogger(__name__)


def compiles_ahead() -> bool:
    """Whether this is `aot_compile`, whose result is to be saved."""
    from torch._functorch import config  # which torch itself imports with Dynamo alone

    return bool(getattr(config, "force_autograd_cache", False))


def is_caching() -> bool:
    """Whether Dynamo's precompile cache is on (TORCH_CACHING_PRECOMPILE=1)."""
    return bool(getattr(torch._dynamo.config, "caching_precompile", False))


def compiled_function(
    gm: fx.GraphModule,
    compiled: GintCompiledSubgraph,
    operators: Callable[..., Any],
    options: Options,
) -> Callable[..., Any]:
    """What Dynamo calls for its graph `gm`. `operators` does the same in torch's own."""
    if not compiles_ahead() and not is_caching():
        # A function is called some 0.2 us faster than an object.
        return _plain(compiled.function, operators)
    try:
        from gint.precompile.function import CompiledFunction, record
    except ImportError:  # a torch that saves no functions of other backends
        return _plain(compiled.function, operators)
    from gint.precompile.contents import Unsaved

    contents = partial(_contents, compiled, options)
    name = getattr(gm, "_backend_id", None)
    if name is not None and is_caching():
        try:
            record(name, contents())
        except Unsaved as reason:
            log.warning("not in the precompile cache: %s", reason)
    return CompiledFunction(compiled.function, operators, contents)


def _plain(run: Callable[[list], Any], operators: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        if forward_ad._current_level >= 0 or (modes() and in_fake_mode()):
            return operators(*args)
        return run(list(args))

    return call


def _contents(compiled: GintCompiledSubgraph, options: Options, is_backward: bool = False) -> bytes:
    from gint.precompile.contents import Unsaved, graph_bytes  # what few processes need

    if compiled.built is None:
        raise Unsaved("gint cannot save a graph that it leaves to eager.")
    built = compiled.built
    kept = {"backend": options.backend, "is_backward": is_backward}
    return graph_bytes(built.plan, built.constants, kept)


def kept_compiler(compiler: GintCompiler) -> Callable[..., Any]:
    """`compiler.compile` with arguments bound, as AOTAutograd calls it; where torch keeps what
    comes of it, as something that can be kept."""
    if not compiles_ahead() and not is_caching():
        return partial(partial, compiler.compile)
    try:
        from torch._functorch.aot_autograd import SerializableAOTDispatchCompiler

        from gint.precompile.autograd import CompiledGraph, OutputCode
    except ImportError:
        return partial(partial, compiler.compile)

    def kept(**how: Any) -> Callable[..., Any]:
        def compile_graph(module: fx.GraphModule, example_inputs: Any) -> CompiledGraph:
            compiled = compiler.compile(module, example_inputs, **how)
            contents = partial(_contents, compiled, compiler.options, how.get("is_backward", False))
            return CompiledGraph(compiled.function, contents)

        return SerializableAOTDispatchCompiler(OutputCode, compile_graph)

    return kept
