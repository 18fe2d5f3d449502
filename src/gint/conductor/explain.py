"""What the conductor makes of a function: programs, their bytecode, and what is left to eager."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from .records import GraphRecord, statistics


@dataclass(frozen=True)
class Explanation:
    """The graphs one call of a function was compiled to; `str` prints them."""

    graphs: tuple[GraphRecord, ...]

    def __str__(self) -> str:
        parts = [_describe(i, g) for i, g in enumerate(self.graphs)]
        return "\n".join(parts) if parts else "No graph was compiled: nothing was left to do.\n"


def explain(function: Callable, *args: Any, **kwargs: Any) -> Explanation:
    """Compile `function` anew, call it once with these arguments, and tell what became of it."""
    torch._dynamo.reset()
    before = len(statistics())
    from .backend import gint_backend

    torch.compile(function, backend=gint_backend)(*args, **kwargs)
    return Explanation(tuple(statistics()[before:]))


def _describe(number: int, g: GraphRecord) -> str:
    externs = ", ".join(f"{n} x {name}" for name, n in sorted(g.externs.items())) or "none"
    lines = [
        f"graph {number}: {g.programs} programs, {g.instructions} instructions on {g.backend}",
        f"  externs: {externs}",
        f"  left to eager: {len(g.fallbacks) or 'none'}",
    ]
    lines += [f"    {r.node} ({r.op}): {r.reason}" for r in g.fallbacks]
    for i, text in enumerate(g.listings):
        lines += ["", f"  program {i}"]
        lines += [f"    {line}" for line in text.splitlines()[1:]]
    return "\n".join(lines) + "\n"
