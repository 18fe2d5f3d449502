"""What the conductor made of each graph, kept for `explain`, the demo and tests."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from .graph.nodes import Refusal
from .plan.launch_record import LaunchRecord


class GraphRecord(NamedTuple):
    """One compiled graph. `externs` counts the ATen operators left whole; `fallbacks` are the
    nodes left to eager, with the reason; `listings` the programs as text; `covers` the nodes each
    of them computes; `plan` the function; `launches` what it launches, in the order of `listings`.

    For `explain` alone are made: `nodes`, each with its kind; `units`, in order, with what the
    slots of programs show; `values`, what each program asked for, and where.
    """

    programs: int
    instructions: int
    externs: dict[str, int]
    fallbacks: tuple[Refusal, ...]
    listings: tuple[str, ...] = ()
    plan: str = ""
    backend: str = ""
    covers: tuple[tuple[str, ...], ...] = ()
    launches: tuple[LaunchRecord, ...] = ()
    nodes: str = ""
    units: str = ""
    values: tuple[str, ...] = ()


def left_to_eager(reason: str) -> GraphRecord:
    """The record of a graph that is left to eager as it is."""
    refusal = Refusal("(the graph)", "", reason)
    return GraphRecord(programs=0, instructions=0, externs={}, fallbacks=(refusal,))


#: The latest graphs of this process; bounded, since a server compiles for as long as it lives.
_RECORDS: deque[GraphRecord] = deque(maxlen=1024)


def remember(record: GraphRecord) -> None:
    _RECORDS.append(record)


def statistics() -> list[GraphRecord]:
    """A record per graph compiled in this process, oldest first (the latest 1,024)."""
    return list(_RECORDS)


def clear() -> None:
    _RECORDS.clear()
