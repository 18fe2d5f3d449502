"""Partitioning as the specification names it: FX graphs to programs within a backend's limits."""

from __future__ import annotations

from gint.backend.protocol import ALL_TYPES

from .graph.nodes import Graph
from .partition.partitioning import Limits, Partition, partition


class GraphPartitioner:
    """Partitions an FX graph into programs within a backend's constraints, and the nodes between.

    `max_tensors` bounds the tensor slots of one program, `max_registers` its registers, `types`
    what it computes in; the conductor passes what the backend can. `check` re-raises exceptions of
    lowering rules that are bugs rather than refusals.
    """

    def __init__(
        self,
        max_tensors: int = 8,
        check: bool = False,
        max_registers: int = 4096,
        types: frozenset[str] = ALL_TYPES,
    ) -> None:
        self.max_tensors, self.max_registers, self.types = max_tensors, max_registers, types
        self.check = check

    def partition(self, graph: Graph) -> Partition:
        """The units in an order in which they can run."""
        limits = Limits(self.max_tensors, self.max_registers, self.types, self.check)
        return partition(graph, limits)
