"""How a plan's source says things."""

from __future__ import annotations

import re

from ..graph.sizes import Key, source


def tuple_source(key: Key | tuple) -> str:
    """Source of a key, or of nested tuples of keys."""
    if not isinstance(key, tuple):
        return source(key)
    return "(" + "".join([f"{tuple_source(k)}, " for k in key]) + ")"


def path_source(path: tuple, name: str) -> str:
    """Source for what a pytree path finds in the variable `name`."""
    from torch.fx.experimental.symbolic_shapes import ConvertIntKey

    for step in path:
        name = f"int({name})" if isinstance(step, ConvertIntKey) else f"{name}{step}"
    return name


def with_deletions(blocks: list[list[str]], result: str) -> list[str]:
    """The lines, each variable deleted after the block that uses it last."""
    pattern = re.compile(r"\b[av]\d+\b")
    last: dict[str, int] = {}
    for i, block in enumerate(blocks):
        for line in block:
            last.update(dict.fromkeys(pattern.findall(line), i))
    kept = set(pattern.findall(result))
    dead: list[list[str]] = [[] for _ in blocks]
    for name, end in last.items():
        if name not in kept:
            dead[end].append(name)
    lines = []
    for i, block in enumerate(blocks):
        lines += block
        if dead[i] and i < len(blocks) - 1:
            lines.append(f"del {', '.join(sorted(dead[i]))}")
    return lines
