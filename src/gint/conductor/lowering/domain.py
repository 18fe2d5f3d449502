"""The axes of one program, and the dimensions they make up.

Knows sizes, index maps and the builder's axes. Does not know FX nodes or what is computed.
"""

from __future__ import annotations

from collections.abc import Sequence

from gint.dataclass import frozen
from gint.host.frontend import Builder

from ..graph.indexing import (
    FIXED,
    Index,
    Map,
    ReversalNeededError,
    SplitNeededError,
    axes_of,
)
from ..graph.sizes import Key


@frozen
class Dim:
    """A logical dimension of the program: one axis, or several where views split it. The index of
    a value that runs along it is `index`."""

    size: Key
    axes: tuple[int, ...]
    index: Index


class Domain:
    """The program's axes (their `extents`) and the dimensions they make up. `order` lists the
    dimensions as those of a value that varies over all of them come; `reduced` are reduced.

    `splits` says which dimensions are made up of several axes, outermost first, `backwards` along
    which ones positions are counted from the end.
    """

    def __init__(
        self,
        builder: Builder,
        splits: dict[int, tuple[Key, ...]],
        backwards: frozenset[int] = frozenset(),
    ) -> None:
        self.builder, self.splits, self.backwards = builder, splits, backwards
        self.extents: list[Key] = []
        self.dims: list[Dim] = []
        self.reduced: list[int] = []
        self.order: list[int] = []
        #: By size and number: axes that only memory has, where positions along it are computed.
        self.indexed: dict[tuple[Key, int], int] = {}

    def begin(self, shape: tuple[Key, ...]) -> None:
        """Parallel dimensions for a stored value of this shape."""
        self.order += [self._add(size, reduced=False) for size in shape if size != 1]

    def _add(self, size: Key, reduced: bool) -> int:
        """A new dimension, of as many axes as the splits ask for; its number."""
        extents = self.splits.get(len(self.dims), (size,))
        axes, terms, weight = [], [], 1
        for extent in reversed(extents):
            name = f"x{len(self.extents)}"
            axis = self.builder.reduced(name) if reduced else self.builder.parallel(name)
            self.extents.append(extent)
            axes.append(axis)
            terms.append((axis, weight))
            weight = weight * extent
        index = Index(0, tuple(sorted(terms)))
        if len(self.dims) in self.backwards:
            index = index.scaled(-1, size - 1)
        self.dims.append(Dim(size, tuple(axes), index))
        return len(self.dims) - 1

    def indexed_axes(self, sizes: Sequence[Key]) -> list[int]:
        """Indexed axes of these sizes, each another; slots share them."""
        found: list[int] = []
        for size in sizes:
            number = sum(self.extents[axis] == size for axis in found)
            if (size, number) not in self.indexed:
                self.indexed[size, number] = self.builder.indexed(f"x{len(self.extents)}")
                self.extents.append(size)
            found.append(self.indexed[size, number])
        return found

    def split(self, wanted: SplitNeededError) -> None:
        """Note in `splits` that an axis has to be two, for the next attempt."""
        for number, dim in enumerate(self.dims):
            if wanted.axis in dim.axes:
                extents: list[Key] = []
                for axis in dim.axes[::-1]:
                    extent = self.extents[axis]
                    is_wanted = axis == wanted.axis
                    extents += [extent // wanted.inner, wanted.inner] if is_wanted else [extent]
                self.splits[number] = tuple(extents)

    def reverse(self, wanted: ReversalNeededError) -> None:
        """Note in `backwards` a dimension that has to be, for the next attempt."""
        here = {number for number, dim in enumerate(self.dims) if wanted.axis in dim.axes}
        self.backwards |= here

    def map_for(self, shape: tuple[Key, ...]) -> Map | None:
        """The map of a stored value of this shape: over all axes, or over the parallel ones."""
        wanted = [s for s in shape if s != 1]
        parallel = [d for d in self.order if d not in self.reduced]
        for dims in (self.order, parallel):
            if [self.dims[d].size for d in dims] == wanted:
                rest = iter(dims)
                return tuple(FIXED if s == 1 else self.dims[next(rest)].index for s in shape)
        return None

    def reduction_map(self, shape: tuple[Key, ...], dims: list[int], kept: Map) -> Map | None:
        """The map of a reduction's input: `kept` for the dimensions that stay (in order), reduced
        axes for `dims`. None where the program's axes cannot carry it."""
        is_affine = all(index.computed is None for index in kept)
        found = self._reduced_for(shape, dims, kept) if is_affine else None
        if found is None:
            return None
        reduced, stay = iter(found), iter(kept)
        full: list[Index] = []
        for d, size in enumerate(shape):
            if d not in dims:
                full.append(next(stay))
            else:
                full.append(FIXED if size == 1 else self.dims[next(reduced)].index)
        return tuple(full)

    def _reduced_for(self, shape: tuple[Key, ...], dims: list[int], kept: Map) -> list[int] | None:
        """The dimensions to reduce: those of an earlier reduction, or the first one's own."""
        sizes = [shape[d] for d in dims if shape[d] != 1]
        if not sizes:
            return []
        kept_axes = axes_of(kept)
        if len(set(kept_axes)) != len(kept_axes):
            return None
        others = [d for d in self.order if not set(self.dims[d].axes) <= set(kept_axes)]
        if [self.dims[d].size for d in others] != sizes:
            if others or self.reduced:
                return None
            others = [self._add(size, reduced=True) for size in sizes]
            self._insert_in_order(others, shape, dims)
        if any(set(self.dims[d].axes) & set(kept_axes) for d in others):
            return None
        if not self.reduced:
            self.reduced[:] = others
            for axis in (a for d in others for a in self.dims[d].axes):
                self.builder.make_reduced(axis)
        return others if self.reduced == others else None

    def _insert_in_order(self, new: list[int], shape: tuple[Key, ...], dims: list[int]) -> None:
        """New dimensions take their place among the old ones as in the source's shape."""
        rest, stay = iter(new), iter(self.order)
        wanted = [d in dims for d, size in enumerate(shape) if size != 1]
        if wanted.count(False) == len(self.order):
            self.order[:] = [next(rest if is_new else stay) for is_new in wanted]
        else:
            self.order += new
