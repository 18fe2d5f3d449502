"""Progress of long steps, on standard error: a bar on a terminal, one line a step elsewhere."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Steps(Protocol):
    """A function to call at the start of each step."""

    def __call__(self, what: str) -> None:
        """Say what begins now."""


@contextmanager
def progress(title: str, total: int) -> Iterator[Steps]:
    """Yield a function to call at the start of each of `total` steps, with the step's name."""
    if sys.stderr.isatty() and importlib.util.find_spec("rich"):
        yield from _bar(title, total)
    else:
        yield from _lines(title, total)


def _bar(title: str, total: int) -> Iterator[Steps]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("[dim]{task.fields[what]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total, what="")
        begun = 0

        def step(what: str) -> None:
            nonlocal begun
            bar.update(task, completed=begun, what=what)
            begun += 1

        yield step


def _lines(title: str, total: int) -> Iterator[Steps]:
    begun = 0

    def step(what: str) -> None:
        nonlocal begun
        begun += 1
        print(f"{title} [{begun}/{total}] {what}", file=sys.stderr, flush=True)

    yield step
