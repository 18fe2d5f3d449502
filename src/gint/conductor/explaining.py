"""What the conductor makes of a function: programs, their bytecode, and what is left to eager."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch

from .plan.launch_record import LaunchRecord
from .records import GraphRecord, statistics

_WIDTH = 100


class Explanation(NamedTuple):
    """The graphs one call of a function was compiled to; `str` prints them."""

    graphs: tuple[GraphRecord, ...]

    def __str__(self) -> str:
        parts = [_describe(i, g) for i, g in enumerate(self.graphs)]
        return "\n".join(parts) if parts else "No graph was compiled: nothing was left to do.\n"

    def schedule(self) -> str:
        """What the backend decides for every launch: the C++ interpreter's layout, tile and steps,
        a device's own form of the program and its launches."""
        return self._of_launches(LaunchRecord.schedules)

    def device(self) -> str:
        """The form of every program that devices run, and its launches there, for a build of the
        default numbers; no device is needed."""
        return self._of_launches(LaunchRecord.device_forms)

    def _of_launches(self, texts: Callable[[LaunchRecord], list[str]]) -> str:
        parts = [
            f"graph {i}, program {k}{_sizes(launch, layout)}\n{textwrap.indent(text, '  ')}"
            for i, g in enumerate(self.graphs)
            for k, launch in enumerate(g.launches)
            for layout, text in zip(launch.layouts, texts(launch), strict=True)
        ]
        return "\n".join(parts) if parts else "Nothing is launched.\n"


def explain(function: Callable, *args: Any, **kwargs: Any) -> Explanation:
    """Compile `function` anew, call it once with these arguments, and tell what became of it.

    What other compiled functions have compiled stays as it is.
    """
    return explain_call(function, args, kwargs)


def explain_call(
    function: Callable,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    options: Mapping[str, Any] | None = None,
) -> Explanation:
    """As `explain`, with the options of torch.compile(backend="gint")."""
    from .backend import compile_with
    from .compiler import GintCompiler
    from .options import Options

    def backend(module: torch.fx.GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
        # A backend Dynamo has not met: it compiles the function again rather than reuse a graph.
        return compile_with(GintCompiler(Options.of(options), explains=True), module, inputs)

    before = statistics()
    torch.compile(function, backend=backend)(*args, **kwargs)
    known = {id(record) for record in before}
    return Explanation(tuple(r for r in statistics() if id(r) not in known))


def _sizes(launch: LaunchRecord, layout: tuple) -> str:
    axes = launch.verified.program.axes
    return "".join(f", {a.name} = {n}" for a, n in zip(axes, layout[0], strict=True))


def _describe(number: int, g: GraphRecord) -> str:
    where = f" on {g.backend}" if g.backend else ""
    lines = [
        f"graph {number}{where}: {_count(g.programs, 'program')}, "
        f"{_count(g.instructions, 'instruction')}",
        *_listed("left whole to ATen", _counted(g, "aten.")),
        *(_listed("quantised", own) if (own := _counted(g, "gint.")) else []),
        *_listed("left to eager", [] if not g.fallbacks else [f"{len(g.fallbacks)}, see below"]),
    ]
    if g.fallbacks:
        names = max(len(r.node) for r in g.fallbacks)
        ops = max(len(r.op) for r in g.fallbacks)
        lines += [f"    {r.node:{names}}  {r.op:{ops}}  {r.reason}" for r in g.fallbacks]
    for i, text in enumerate(g.listings):
        lines += ["", f"  program {i}"]
        if i < len(g.covers):
            lines += _wrapped("covers", ", ".join(g.covers[i]))
        lines += [f"    {line}" for line in text.splitlines()[1:]]
    return "\n".join(lines) + "\n"


def _counted(g: GraphRecord, namespace: str) -> list[str]:
    return [f"{n} x {op}" for op, n in sorted(g.externs.items()) if op.startswith(namespace)]


def _count(n: int, thing: str) -> str:
    return f"{n} {thing}{'s' * (n != 1)}"


def _listed(title: str, items: list[str]) -> list[str]:
    return _wrapped(f"{title}:", ", ".join(items) or "none", indent=2, column=22)


def _wrapped(title: str, text: str, indent: int = 4, column: int = 11) -> list[str]:
    start = f"{'':{indent}}{title}".ljust(column)
    return textwrap.wrap(
        text, _WIDTH, initial_indent=start, subsequent_indent=" " * column,
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
