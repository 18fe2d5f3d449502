"""Values released after their last use, so that memory is returned while a plan runs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gint.plan import Release, Step
from gint.plan.contents import uses, values_of


def with_releases(
    blocks: list[list[Step]], result: Any, held: Iterable[int] = ()
) -> tuple[Step, ...]:
    """The steps of all blocks; after the block that uses a value last it is released, unless it is
    the result's or one of those `held`, the constants. The last block releases nothing: there the
    plan ends."""
    last: dict[int, int] = {}
    for n, block in enumerate(blocks):
        for step in block:
            last.update(dict.fromkeys(values_of(step), n))
    kept = {*uses(result), *held}
    dead: list[list[int]] = [[] for _ in blocks]
    for value, n in last.items():
        if value not in kept:
            dead[n].append(value)
    steps: list[Step] = []
    for n, block in enumerate(blocks):
        steps += block
        if dead[n] and n < len(blocks) - 1:
            steps.append(Release(tuple(sorted(dead[n]))))
    return tuple(steps)
