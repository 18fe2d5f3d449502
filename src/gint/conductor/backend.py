"""The door: `torch.compile(..., backend="gint")`. The compiler is imported with the first graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import fx

from gint.runtime.tensors.convolutions import is_own_convolution
from gint.runtime.tensors.forks import compute_alone_after_fork
from gint.runtime.tensors.surroundings import forward_ad, in_fake_mode, modes

from . import keeping
from .trace.dropouts import pass_through_dropouts
from .trace.floats import settle_floats_of_modules
from .trace.inference import trace_inference, wants_gradients
from .trace.memory_format import convolve_in_channels_last
from .trace.surroundings import why_eager, why_not_traced
from .trace.written_lists import write_one_after_the_other

if TYPE_CHECKING:
    from .compiler import GintCompiler
    from .weights.rewrite import Quantized

NAME = "gint"


def gint_backend(
    gm: fx.GraphModule,
    example_inputs: Sequence[Any],
    *,
    options: dict[str, Any] | None = None,
    mode: str | None = None,
) -> Callable[..., Any]:
    """Compile a graph Dynamo captured; the contract of a torch.compile backend.

    `options` are those of gint.conductor.options.Options. `mode` is accepted for compatibility
    and changes nothing: there is no tuning at run time.

    Raises ValueError for an unknown option or a wrong value.
    """
    from torch._dynamo.eval_frame import cached_backends

    from .compiler import GintCompiler
    from .options import Options

    # Dynamo forgets in a reset which backends to tell of the next one.
    cached_backends.setdefault(id(gint_backend), gint_backend)
    return compile_with(GintCompiler(Options.of(options)), gm, example_inputs)


def _give_back_memory() -> None:
    from gint.host.memory import POOL
    from gint.runtime.tensors.frames import clear

    POOL.clear()
    clear()


# Dynamo calls it for a backend that was used, in torch._dynamo.reset().
gint_backend.reset = _give_back_memory  # type: ignore[attr-defined]


def compile_with(
    compiler: GintCompiler, gm: fx.GraphModule, example_inputs: Sequence[Any]
) -> Callable[..., Any]:
    """As `gint_backend`, by this compiler."""
    compute_alone_after_fork()
    reason = why_eager(example_inputs)
    if reason is not None:
        return _left_to_eager(gm, reason)
    settle_floats_of_modules(gm)
    pass_through_dropouts(gm.graph)
    write_one_after_the_other(gm.graph)
    # Gradients of a convolution are oneDNN's, and so is the cost of packing weights for them.
    is_training = wants_gradients(example_inputs)
    convolve_in_channels_last(gm, (lambda _: False) if is_training else is_own_convolution)
    weights = compiler.options.weights
    for option, kind in (("weights", "quantised"), ("freeze", "packed")):
        if getattr(compiler.options, option) and keeping.compiles_ahead():
            raise ValueError(
                f"A function with {kind} weights cannot be saved: they are of this process. Leave "
                f"out the option {option!r}, or call the function without saving it."
            )
    if weights is None:
        return _frozen_or_compiled(compiler, gm, example_inputs)
    # The operators are registered with torch where somebody uses them.
    from .weights.model import cpu_products
    from .weights.rewrite import quantize_constants

    options = compiler.options
    products = cpu_products(options.backend)
    quantized = quantize_constants(gm, weights, products, options.quantize_activations)
    return partial(_checked, quantized, _frozen_or_compiled(compiler, gm, example_inputs))


def _left_to_eager(gm: fx.GraphModule, reason: str) -> Callable[..., Any]:
    from .records import left_to_eager, remember

    remember(left_to_eager(reason))
    return gm.forward


def _frozen_or_compiled(
    compiler: GintCompiler, gm: fx.GraphModule, example_inputs: Sequence[Any]
) -> Callable[..., Any]:
    frozen = None
    if compiler.options.freeze:
        from .freeze.function import freeze

        frozen = freeze(gm, lambda module: compiler.compile(module).function)
    return _compiled(compiler, gm, example_inputs) if frozen is None else frozen


def _checked(quantized: Quantized, function: Callable[..., Any], *args: Any) -> Any:
    quantized.unchanged.check(args)
    return function(*args)


def _compiled(
    compiler: GintCompiler, gm: fx.GraphModule, example_inputs: Sequence[Any]
) -> Callable[..., Any]:
    traced = trace_inference(gm)
    if traced is None:
        reason = why_not_traced(gm.graph)
        if reason is not None:
            return _left_to_eager(gm, reason)
        return _through_aot_autograd(gm, example_inputs, compiler)
    compiled = compiler.compile(traced)
    # The code alone, without the graph: it names no attribute of the graph's.
    eager = partial(type(gm).forward, None)
    return keeping.compiled_function(gm, compiled, eager, compiler.options)


def _through_aot_autograd(
    gm: fx.GraphModule, example_inputs: Sequence[Any], compiler: GintCompiler
) -> Callable[..., Any]:
    # AOTAutograd is imported with the first graph that needs it, not with gint.
    from torch._dynamo.backends.common import aot_autograd
    from torch._dynamo.eval_frame import innermost_fn

    from .plan.foreign import Saving
    from .trace.decompositions import decompositions

    kept, saving = keeping.kept_compiler(compiler), Saving()
    compiled = aot_autograd(
        fw_compiler=kept(saving=saving),
        bw_compiler=kept(saving=saving, is_backward=True),
        inference_compiler=kept(),
        decompositions=decompositions(),
        partition_fn=_partition_joint,
        keep_inference_input_mutations=True,
    )(gm, example_inputs)
    # Dynamo disables itself in what it is given: one layer of that is enough.
    compiled, eager, shared = innermost_fn(compiled), gm.forward, _shared_storages(example_inputs)

    def call(*args: Any) -> Any:
        if forward_ad._current_level >= 0 or (modes() and in_fake_mode()):
            return eager(*args)
        if shared and any(_lies_otherwise(args[n], size) for n, size in shared):
            return eager(*args)
        return compiled(*args)

    # torch saves it by this, where it is to be saved.
    call.serialize = getattr(compiled, "serialize", None)  # type: ignore[attr-defined]
    return call


def _shared_storages(inputs: Sequence[Any]) -> list[tuple[int, int]]:
    """Which inputs lie in one storage with others, and its bytes: AOTAutograd makes a graph of all
    of it where one of them is written, and no guard asks for its size."""
    tensors = {n: t for n, t in enumerate(inputs) if isinstance(t, torch.Tensor)}
    strided = {n: t for n, t in tensors.items() if t.layout is torch.strided}
    places = {n: t.untyped_storage()._cdata for n, t in strided.items()}
    together = [n for n, place in places.items() if list(places.values()).count(place) > 1]
    sizes = [(n, strided[n].untyped_storage().nbytes()) for n in together]
    return [(n, size) for n, size in sizes if type(size) is int]


def _lies_otherwise(t: torch.Tensor, nbytes: int) -> bool:
    """Whether a graph of the whole storage would be wrong: it is of another size, or the tensor
    is its negative or conjugate, which a tensor made from the storage anew is not."""
    return t.untyped_storage().nbytes() != nbytes or t.is_neg() or t.is_conj()


def _partition_joint(joint: fx.GraphModule, *args: Any, **kwargs: Any) -> Any:
    from torch._functorch.partitioners import min_cut_rematerialization_partition

    _save_copies_of_written_inputs(joint.graph)
    return min_cut_rematerialization_partition(joint, *args, **kwargs)


def _save_copies_of_written_inputs(graph: fx.Graph) -> None:
    """AOTAutograd copies an input before it is written, so that a backward graph has it as it was.
    The input itself must not be saved in the place of its copy: autograd refuses it once written.
    Nor must others that lie in the memory of its storage: a view counts the writes of all.
    """
    from torch.utils.checkpoint import CheckpointPolicy

    results = graph.output_node().meta.get("desc", ())
    changed = [r.mutated_input for r in results if hasattr(r, "mutated_input")]
    if not changed:
        return
    placeholders = graph.find_nodes(op="placeholder")
    tensors = [n for n in placeholders if isinstance(n.meta["val"], torch.Tensor)]
    written = [n for n in tensors if n.meta.get("desc") in changed]
    storages = {_storage(n) for n in written}
    beside = [n for n in tensors if n not in written and _storage(n) in storages]
    # as_strided counts from where a storage begins, and a copy's is another: it is copied itself.
    strided = graph.find_nodes(op="call_function", target=torch.ops.aten.as_strided.default)
    copies = [_copied(n, n) for n in strided if _read_from_storage_of(n, beside)]
    copies += [_copied(node, placeholders[-1]) for node in beside]
    for node in (*(user for n in written for user in n.users), *copies):
        if node.target is torch.ops.aten.clone.default:
            node.meta["recompute"] = CheckpointPolicy.MUST_SAVE


def _storage(node: fx.Node) -> int | None:
    value = node.meta["val"]
    return value.untyped_storage()._cdata if value.layout is torch.strided else None


def _read_from_storage_of(strided: fx.Node, inputs: Sequence[fx.Node]) -> bool:
    """Whether an as_strided is of one of these inputs, of which it then is at once, without the
    views between: they decide nothing but an offset that is left out."""
    source = strided.args[0]
    while source.op == "call_function" and source.target.is_view:
        source = source.args[0]
    if source not in inputs:
        return False
    view, size, strides, *offset = strided.args
    if not offset or offset[0] is None:
        offset = [view.meta["val"].storage_offset()] if view is not source else []
    strided.args = (source, size, strides, *offset)
    return True


def _copied(node: fx.Node, last: fx.Node) -> fx.Node:
    """A copy of a value, made behind the `last` node, that is read in its place."""
    with node.graph.inserting_after(last):
        copied = node.graph.call_function(torch.ops.aten.clone.default, (node,))
    copied.meta["val"] = node.meta["val"].clone()
    strided = torch.ops.aten.as_strided.default
    node.replace_all_uses_with(
        copied, lambda u: u is not copied and u.op != "output" and u.target is not strided
    )
    return copied


def register_backend() -> None:
    """Make `backend="gint"` known to torch.compile.

    The installed package is known by its entry point already; calling this as well, in any order
    and any number of times, changes nothing.
    """
    from torch._dynamo.backends import registry

    if NAME not in registry._COMPILER_FNS:
        with suppress(AssertionError):  # another thread has done it meanwhile
            registry.register_backend(gint_backend, name=NAME)
