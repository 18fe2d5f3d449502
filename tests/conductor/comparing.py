"""Compiling one traced graph without Dynamo, and comparing its results with eager's.

An operator is traced once with fake tensors, as AOTAutograd leaves it to the conductor, and handed
to GintCompiler: milliseconds where torch.compile takes tenths of a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch._subclasses.functional_tensor import dispatch_functionalize
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from gint.conductor import GintCompiledSubgraph, GintCompiler, gint_backend, statistics
from gint.conductor.options import Options
from gint.conductor.trace.decompositions import decompositions

#: The types programs are made of, as torch has them.
DTYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16,
    torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
)  # fmt: skip
HALVES = (torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Call:
    """A function with arguments; the tensors among them are the graph's inputs."""

    function: Callable
    args: tuple = ()
    kwargs: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, function: Callable, *args: Any, **kwargs: Any) -> Call:
        return cls(function, args, tuple(kwargs.items()))

    def eager(self) -> Any:
        return self.function(*self.args, **dict(self.kwargs))

    def split(self) -> tuple[list[torch.Tensor], Callable]:
        """The input tensors, and the call as a function of them."""
        leaves, spec = pytree.tree_flatten((self.args, dict(self.kwargs)))
        places = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.Tensor)]

        def flat(*tensors: torch.Tensor) -> Any:
            filled = list(leaves)
            for place, tensor in zip(places, tensors, strict=True):
                filled[place] = tensor
            args, kwargs = pytree.tree_unflatten(filled, spec)
            return self.function(*args, **kwargs)

        return [leaves[i] for i in places], flat

    def converted(self, dtype: torch.dtype) -> Call:
        """The same call with its floating-point tensors in another type."""
        convert = lambda t: t.to(dtype) if t.is_floating_point() else t  # noqa: E731
        args, kwargs = pytree.tree_map_only(torch.Tensor, convert, (self.args, self.kwargs))
        return Call(self.function, args, kwargs)

    def __str__(self) -> str:
        def show(leaf: Any) -> str:
            if isinstance(leaf, torch.Tensor):
                return f"{str(leaf.dtype)[6:]}{list(leaf.shape)}/{list(leaf.stride())}"
            return repr(leaf)

        args = [str(pytree.tree_map(show, a)) for a in self.args]
        args += [f"{k}={pytree.tree_map(show, v)}" for k, v in self.kwargs]
        return f"({', '.join(args)})"


@cache
def compiler(backend: str) -> GintCompiler:
    return GintCompiler(Options(backend=backend, check=True))


@dataclass
class Traced:
    """A call as a graph of ATen operators, compiled for any backend."""

    call: Call

    def __post_init__(self) -> None:
        self.inputs, flat = self.call.split()
        structure: list[Any] = []

        def leaves(*tensors: torch.Tensor) -> list[Any]:
            results, spec = pytree.tree_flatten(flat(*tensors))
            structure.append(spec)
            return results

        functional = dispatch_functionalize(leaves)
        table = decompositions()
        self.module = make_fx(functional, decomposition_table=table, tracing_mode="fake")(
            *self.inputs
        )
        self.module.graph.eliminate_dead_code()
        self.structure = structure[-1]

    def compile(self, backend: str) -> GintCompiledSubgraph:
        return compiler(backend).compile(self.module)

    def run(self, graph: GintCompiledSubgraph) -> Any:
        return pytree.tree_unflatten(list(graph(list(self.inputs))), self.structure)


def assert_same(
    found: Any, expected: Any, *, exact: Any = None, scale: float = 0.0, units: float = 4.0
) -> None:
    """Values, dtypes, shapes and strides as eager's.

    Integers and bools are equal. Floats err against `exact` (the results in float64; without it
    eager's) at most as much as eager does plus one unit of storage type for the halves, `units` for
    float32 and float64. A unit is that of the value, or of `scale` where that is larger: operators
    that subtract err by units of what they subtract, not of what is left.
    """
    found, expected = pytree.tree_leaves(found), pytree.tree_leaves(expected)
    exacts = expected if exact is None else pytree.tree_leaves(exact)
    assert len(found) == len(expected)
    for f, e, x in zip(found, expected, exacts, strict=True):
        if not isinstance(e, torch.Tensor):
            assert f == e
            continue
        assert (f.dtype, f.shape) == (e.dtype, e.shape)
        assert same_strides(f, e), f"strides {f.stride()}, eager's {e.stride()}"
        if e.dtype.is_floating_point:
            _assert_close(f, e, x.double(), scale, 1 if e.dtype in HALVES else units)
        else:
            assert torch.equal(f, e), f"{f}\neager: {e}"


def same_strides(f: torch.Tensor, e: torch.Tensor) -> bool:
    """Strides agree wherever they tell anything: not along dimensions of one element."""
    if e.numel() == 0:
        return True
    pairs = zip(f.shape, f.stride(), e.stride(), strict=True)
    return all(size == 1 or ours == theirs for size, ours, theirs in pairs)


def _assert_close(found, expected, exact, scale: float, units: float) -> None:
    info = torch.finfo(expected.dtype)
    found, expected = found.double(), expected.double()
    unit = exact.abs().clamp_min(max(scale, info.smallest_normal)) * info.eps
    allowed = (expected - exact).abs().nan_to_num(0.0, 0.0) + units * unit
    # Equal to eager or near the exact value: eager overflows in places, and gelu(inf) is NaN there.
    same = (found == expected) | (found.isnan() & expected.isnan())
    good = same | (found == exact) | ((found - exact).abs() <= allowed)
    if not bool(good.all()):
        bad = (~good).nonzero()[0].tolist()
        at = tuple(bad)
        raise AssertionError(
            f"{int((~good).sum())} of {good.numel()} values differ; the first at {bad}: "
            f"{found[at].item()!r}, eager {expected[at].item()!r}, exact {exact[at].item()!r}"
        )


def check(call: Call, backends: Iterable[str], **tolerance: float) -> None:
    """Run a call compiled, nothing of it left to ATen, and eagerly; compare results or errors."""
    try:
        expected, error = call.eager(), None
    except RuntimeError as raised:
        expected, error = None, raised
    leaves = [t for t in pytree.tree_leaves(expected) if isinstance(t, torch.Tensor)]
    is_float = any(t.dtype.is_floating_point for t in leaves)
    exact = call.converted(torch.float64).eager() if is_float else None
    traced = Traced(call)
    for backend in backends:
        graph = traced.compile(backend)
        assert graph.record.fallbacks == (), graph.record.fallbacks
        assert graph.record.externs == {}, graph.record.externs
        if error is not None:
            with pytest.raises(RuntimeError, match=re.escape(str(error).partition("\n")[0])):
                traced.run(graph)
            continue
        try:
            assert_same(traced.run(graph), expected, exact=exact, **tolerance)
        except AssertionError as difference:
            raise AssertionError(f"{backend}, {call}: {difference}") from difference


def compiled(function, options: dict, **more):
    return torch.compile(function, backend=gint_backend, options=options, **more)


def assert_like_eager(function, options: dict, *args, **more):
    """Call on the same arguments compiled and eagerly; the records of what was compiled."""
    before = len(statistics())
    found = compiled(function, options, **more)(*args)
    torch.testing.assert_close(found, function(*args))
    return statistics()[before:]
