"""Calls of one function, compiled and not: results, what was written, shared memory, gradients.

A compiled function answers as eager does; where `aot_eager` does not either, as `aot_eager` does.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from .comparing import same_strides

#: Contexts a call may be in, by name.
AROUND: dict[str, Callable[[], Any]] = {
    "": contextlib.nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
}


#: Of what gint says where a write would be lost.
_LOST = "reaches memory outside of the tensor it is a view of"


@dataclass
class Given:
    """What a call is made with: its arguments, and the memory that they lie in, which may be leaves
    that gradients arrive at."""

    memory: list[torch.Tensor]
    args: list[torch.Tensor]


@dataclass(frozen=True)
class Call:
    """A call, made on what `make` makes, the same each time. `tolerance` is absolute, for floats;
    of the gradients, relative to the largest."""

    make: Callable[[], Given]
    around: str = ""
    tolerance: float = 1e-4

    def fakes(self, function: Callable[..., list]) -> list[torch.Tensor]:
        """The results as torch's fake kernels have them, which compilers go by. Some have other
        strides than eager: of `torch.add(x, y, alpha=3)` where x is broadcast and not dense."""
        with AROUND[self.around](), FakeTensorMode(allow_non_fake_inputs=True) as mode:
            return function(*map(mode.from_tensor, self.make().args))


@dataclass
class Seen:
    """All there is to see after a call of a function. `error` is an exception, which ends it."""

    function: Callable[..., list]
    results: list[torch.Tensor] = field(default_factory=list)
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    error: str = ""


def numbers(seed: int, count: int, dtype: torch.dtype) -> torch.Tensor:
    """Ordinary numbers of a type."""
    generator = torch.Generator().manual_seed(seed)
    if dtype.is_complex:
        return torch.randn(count, generator=generator, dtype=dtype)
    made = torch.randn(count, generator=generator)
    if dtype is torch.bool:
        return made > 0
    if dtype.is_floating_point:
        return made.to(dtype)
    made = (made * 4).abs() if dtype is torch.uint8 else made * 4
    return made.to(dtype)


def see(function: Callable[..., list], call: Call, compiled: Callable | None = None) -> Seen:
    """Make the call, of the function or what it was compiled to, and look at everything."""
    seen, given = Seen(function), call.make()
    try:
        with AROUND[call.around]():
            results = (compiled or function)(*given.args)
        _look(seen, given, results)
        _differentiate(seen, given, results)
    except Exception as error:
        seen.error = f"{type(error).__name__}: {error}"
    return seen


def _look(seen: Seen, given: Given, results: list[torch.Tensor]) -> None:
    named = {f"memory {i}": t for i, t in enumerate(given.memory)}
    named |= {f"argument {i}": t for i, t in enumerate(given.args)}
    named |= {f"result {i}": t for i, t in enumerate(results)}
    owners: dict[int, str] = {}
    for name, t in named.items():
        seen.tensors[name] = t.detach().clone(memory_format=torch.preserve_format)
        owner = owners.setdefault(t.untyped_storage()._cdata, name)
        seen.facts[f"{name}, requires_grad"] = t.requires_grad
        # Where in its memory a result lies is to be seen only in memory that was there before.
        place = t.storage_offset() if not owner.startswith("result") and t.numel() else None
        seen.facts[f"{name}, memory"] = (owner, place)
        seen.facts[f"{name}, layout"] = (t.dtype, tuple(t.shape))
    seen.results = results
    for i, t in enumerate(results):
        seen.facts[f"result {i}, same object"] = [t is other for other in (*given.args, *results)]


def _differentiate(seen: Seen, given: Given, results: list[torch.Tensor]) -> None:
    leaves = {id(t): t for t in (*given.memory, *given.args) if t.is_leaf and t.requires_grad}
    ends = list({id(t): t for t in results if t.requires_grad}.values())
    if not leaves or not ends:
        return
    weights = [numbers(i, t.numel(), torch.float64).view(t.shape) for i, t in enumerate(ends)]
    weights = [w.to(t.dtype) for w, t in zip(weights, ends, strict=True)]
    of = list(leaves.values())
    first = torch.autograd.grad(ends, of, weights, allow_unused=True, retain_graph=True)
    again = torch.autograd.grad(ends, of, [-2 * w for w in weights], allow_unused=True)
    for i, (grad, twice) in enumerate(zip(first, again, strict=True)):
        # Zeros, or nothing: which of them says how a graph was cut, and no more.
        seen.tensors[f"gradient {i}"] = torch.zeros_like(of[i]) if grad is None else grad
        seen.tensors[f"gradient {i}, again"] = torch.zeros_like(of[i]) if twice is None else twice


def difference(found: Seen, expected: Seen, call: Call) -> str:
    """Where two calls differ, or ""."""
    if found.error or expected.error:
        same = found.error.partition(":")[0] == expected.error.partition(":")[0]
        return "" if same else f"{found.error or 'no error'}, expected {expected.error or 'none'}"
    for name, value in expected.facts.items():
        if found.facts.get(name) != value:
            return f"{name}: {found.facts.get(name)}, expected {value}"
    if found.tensors.keys() != expected.tensors.keys():
        return f"{sorted(found.tensors)}, expected {sorted(expected.tensors)}"
    for name, e in expected.tensors.items():
        if not _alike(found.tensors[name], e, call.tolerance, name.startswith("gradient")):
            return f"{name}: {found.tensors[name]}, expected {e}"
    for n, (f, e) in enumerate(zip(found.results, expected.results, strict=True)):
        if not same_strides(f, e) and not same_strides(f, call.fakes(found.function)[n]):
            return f"strides of result {n}: {f.stride()}, expected {e.stride()}"
    return ""


def _alike(f: torch.Tensor, e: torch.Tensor, tolerance: float, is_gradient: bool) -> bool:
    if f.dtype != e.dtype:
        return False
    if not e.dtype.is_floating_point and not e.is_complex():
        return torch.equal(f, e)
    kind = torch.complex128 if e.is_complex() else torch.float64
    f, e = f.detach().to(kind), e.detach().to(kind)
    if is_gradient and e.numel():
        tolerance *= max(1.0, e.abs().nan_to_num(0, 0, 0).max().item())
    rtol = max(1e-3, min(tolerance, 0.05))
    return torch.allclose(f, e, rtol=rtol, atol=tolerance, equal_nan=True)


def why_unlike_eager(
    function: Callable[..., list], calls: Iterable[Call], dynamic: bool | None = None
) -> str:
    """How calls of the function compiled with gint differ from eager, and from aot_eager too; ""
    where they do not. A call that raises in eager is left out."""
    calls = [(call, seen) for call in calls if not (seen := see(function, call)).error]
    ours = _compiled(function, "gint", calls, dynamic)
    why = [
        # Where aot_eager loses in silence what is written, gint says so.
        "" if _LOST in f.error else difference(f, e, call)
        for (call, e), f in zip(calls, ours, strict=True)
    ]
    if not any(why):
        return ""
    theirs = _compiled(function, "aot_eager", calls, dynamic)
    for n, (call, e) in enumerate(calls):
        unlike = difference(theirs[n], e, call)
        if why[n] and unlike and not theirs[n].error:
            why[n] = difference(ours[n], theirs[n], call)
        if why[n] and not theirs[n].error:
            return f"call {n}: {why[n]}"
    return ""


def _compiled(function, backend: str, calls: list, dynamic: bool | None) -> list[Seen]:
    torch._dynamo.reset()
    options = {"check": True} if backend == "gint" else None
    compiled = torch.compile(function, backend=backend, dynamic=dynamic, options=options)
    found = [see(function, call, compiled) for call, _ in calls]
    for (call, _), seen in zip(calls, found, strict=True):
        kept = "" if seen.error else _kept(compiled, call)
        if kept and not _kept(function, call):  # in circles autograd keeps them in eager too
            seen.error = kept
    return found


def _kept(compiled: Callable[..., list], call: Call) -> str:
    """The results of a call that live on when the caller has let go of them, or ""."""
    given = call.make()
    with AROUND[call.around]():
        made = {id(t): t for t in compiled(*given.args)}
    for t in (*given.args, *given.memory):
        made.pop(id(t), None)
    alive = [weakref.ref(made.popitem()[1]) for _ in range(len(made))]
    del given, t
    kept = sum(there() is not None for there in alive)
    return f"Kept: {kept} of the results live on" if kept else ""


def assert_like_eager(
    function: Callable[..., list], *calls: Call, dynamic: bool | None = None
) -> None:
    """See `why_unlike_eager`."""
    why = why_unlike_eager(function, calls, dynamic)
    assert not why, why
