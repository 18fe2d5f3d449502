"""Views followed by their maps, against what torch shows: every element of every view.

A view is made of `torch.arange`, so that an element is its own position in the base: the map of the
base must point at it from every position of the view. Axes are split where a map asks for it, as
the emitter does.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from torch import fx

from gint.conductor.graph import views
from gint.conductor.graph.indexing import FIXED, Index, SplitNeededError, along
from gint.conductor.graph.views import is_view, map_through, viewed

pytestmark = pytest.mark.torch
aten = torch.ops.aten


class Chain:
    """Views of views of `torch.arange` in some shape, as a graph."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.graph = fx.Graph()
        self.base = self.node = self.graph.placeholder("base")
        self.node.meta["val"] = torch.arange(math.prod(shape)).view(tuple(shape))

    @property
    def shown(self) -> torch.Tensor:
        return self.node.meta["val"]

    def then(self, target: Any, *args: Any, item: int | None = None) -> Chain:
        """Look through one more view; `item` is which one of several it makes."""
        made = self.graph.call_function(target, (self.node, *args))
        # A value that is only computed may be viewed in any shape: it lies nowhere yet.
        look = torch.reshape if target is aten.view.default else target
        made.meta["val"] = look(self.shown, *args)
        if item is not None:
            several, made = made, self.graph.call_function(operator.getitem, (made, item))
            made.meta["val"] = several.meta["val"][item]
        self.node = made
        return self

    def followed(self) -> tuple[tuple[Index, ...], tuple[Index, ...], list[int]] | None:
        """The map of the base and of the last view, and the extents of their axes."""
        splits = {d: [n] for d, n in enumerate(self.shown.shape) if n != 1}
        while True:
            extents = [n for d in sorted(splits) for n in splits[d]]
            m = _map_over(self.shown.shape, splits)
            try:
                found = self._through(m, extents)
            except SplitNeededError as split:
                _split(splits, split)
                continue
            return None if found is None else (found, m, extents)

    def _through(self, m, extents):
        node = self.node
        while node is not self.base and m is not None:
            m, node = map_through(node, m, extents), viewed(node)
        return m


def _map_over(shape: Sequence[int], splits: dict[int, list[int]]) -> tuple[Index, ...]:
    """A map along axes of their own, the slowest first; fixed along dimensions of one element."""
    axis, m = itertools.count(), []
    for d, size in enumerate(shape):
        terms, weight = [], size
        for extent in splits.get(d, ()):
            weight //= extent or 1
            terms.append((next(axis), weight))
        m.append(Index(0, tuple(terms)))
    return tuple(m)


def _split(splits: dict[int, list[int]], wanted: SplitNeededError) -> None:
    first = 0
    for parts in (splits[d] for d in sorted(splits)):
        if wanted.axis < first + len(parts):
            k = wanted.axis - first
            parts[k : k + 1] = [parts[k] // wanted.inner, wanted.inner]
            return
        first += len(parts)


def at(m: Sequence[Index], position: Sequence[int]) -> tuple[int, ...]:
    return tuple(i.offset + sum(c * position[axis] for axis, c in i.terms) for i in m)


def assert_shows_what_torch_shows(chain: Chain) -> None:
    followed = chain.followed()
    assert followed is not None, "the view is affine"
    base, view, extents = followed
    for p in itertools.product(*map(range, extents)):
        assert chain.base.meta["val"][at(base, p)] == chain.shown[at(view, p)]


CASES = {
    "permute": ((2, 3, 5), aten.permute.default, [2, 0, 1]),
    "permute from the end": ((2, 3, 5), aten.permute.default, [-1, 0, -2]),
    "transpose": ((2, 3, 5), aten.transpose.int, 0, 2),
    "transpose from the end": ((2, 3, 5), aten.transpose.int, -1, -3),
    "transpose of a number": ((), aten.transpose.int, 0, -1),
    "t": ((3, 5), aten.t.default),
    "t of a row": ((5,), aten.t.default),
    "expand": ((3, 1), aten.expand.default, [2, 3, 4]),
    "expand to the same": ((1, 3), aten.expand.default, [-1, -1]),
    "expand a number": ((), aten.expand.default, [3]),
    "alias": ((2, 3), aten.alias.default),
    "detach": ((2, 3), aten.detach.default),
    "lift_fresh": ((2, 3), aten.lift_fresh.default),
    "slice": ((7, 3), aten.slice.Tensor, 0, 2, 5),
    "slice with a step": ((3, 7), aten.slice.Tensor, 1, 1, 7, 3),
    "slice from the end": ((3, 7), aten.slice.Tensor, -1, -5, -1, 2),
    "slice from before the beginning": ((7,), aten.slice.Tensor, 0, -9, 3),
    "slice to beyond the end": ((7,), aten.slice.Tensor, 0, 4, 2**63 - 1),
    "slice without bounds": ((7,), aten.slice.Tensor, 0, None, None, 2),
    "slice of the first dimension": ((7, 2), aten.slice.Tensor),
    "slice of nothing": ((3, 7), aten.slice.Tensor, 1, 9, 12),
    "select": ((2, 5, 3), aten.select.int, 1, 3),
    "select from the end": ((2, 5, 3), aten.select.int, -2, -1),
    "view": ((4, 6), aten.view.default, [8, 3]),
    "view with a size to be inferred": ((4, 6), aten.view.default, [2, -1]),
    "_unsafe_view": ((2, 3, 4), aten._unsafe_view.default, [6, 4]),
    "unsqueeze": ((2, 3), aten.unsqueeze.default, 1),
    "unsqueeze at the end": ((2, 3), aten.unsqueeze.default, -1),
    "squeeze": ((2, 1, 3), aten.squeeze.dim, 1),
    "squeeze what is not 1": ((2, 1, 3), aten.squeeze.dim, 0),
    "squeeze of dimensions": ((1, 2, 1, 3), aten.squeeze.dims, [0, -2]),
    "squeeze all": ((1, 2, 1), aten.squeeze.default),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_a_view(name):
    shape, target, *args = CASES[name]
    assert_shows_what_torch_shows(Chain(shape).then(target, *args))


SEVERAL = {
    "split": ((7, 2), aten.split.Tensor, 3),
    "split of a dimension": ((2, 7), aten.split.Tensor, 4, -1),
    "split with sizes": ((7, 2), aten.split_with_sizes.default, [1, 4, 2]),
    "split with sizes of a dimension": ((2, 7), aten.split_with_sizes.default, [3, 0, 4], 1),
    "unbind": ((3, 5), aten.unbind.int),
    "unbind of a dimension": ((3, 5, 2), aten.unbind.int, -2),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
def test_each_of_several_views(name):
    shape, target, *args = SEVERAL[name]
    for item in range(len(target(torch.empty(shape), *args))):
        assert_shows_what_torch_shows(Chain(shape).then(target, *args, item=item))


def test_every_rule_is_tried():
    tried = {case[1] for case in (*CASES.values(), *SEVERAL.values())}
    assert tried == {*views._RULES, *views._RESHAPES}
    assert all(map(is_view, tried))


@pytest.mark.parametrize(
    ("shape", "target", "args"),
    [
        ((3, 5), aten.diagonal.default, ()),
        ((3, 5), aten.as_strided.default, ([2, 2], [5, 1])),
        ((3, 8), aten.unfold.default, (1, 4, 2)),
        ((3, 4), aten.view.default, ([4, 3],)),  # 4 positions in rows of 3
    ],
)
def test_views_that_no_map_follows(shape, target, args):
    """They need their base in memory; then strides show them."""
    assert is_view(target)
    assert Chain(shape).then(target, *args).followed() is None


def test_symbolic_sizes_are_followed_where_nothing_has_to_be_known_of_them():
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

    mode = FakeTensorMode(shape_env=ShapeEnv())
    x = mode.from_tensor(torch.empty(5, 7), static_shapes=False)
    graph = fx.Graph()
    base, number = graph.placeholder("base"), graph.placeholder("number")
    base.meta["val"], number.meta["val"] = x, x.shape[0] - 2

    def through(target, *args):
        node = graph.call_function(target, (base, *args))
        node.meta["val"] = target(x, *(a.meta["val"] if a is number else a for a in args))
        return map_through(node, tuple(map(along, range(node.meta["val"].dim()))), ())

    size = x.shape[0].node.expr
    assert through(aten.slice.Tensor, 0, 1) == (Index(1, ((0, 1),)), along(1))
    assert through(aten.slice.Tensor, 0, -1) is None  # or from 0, if there is one row
    assert through(aten.slice.Tensor, 0, number) is None
    assert through(aten.select.int, 0, -1) == (Index(size - 1), along(0))
    assert through(aten.select.int, 0, number) is None


# Views of views


@st.composite
def chains(draw) -> Chain:
    shape = draw(st.lists(st.sampled_from((1, 2, 3, 4, 5, 6, 7)), min_size=1, max_size=4))
    chain = Chain(shape)
    for _ in range(draw(st.integers(1, 5))):
        if chain.shown.numel() and chain.shown.dim() < 7:
            _view(draw, chain)
    return chain


def _view(draw, chain: Chain) -> None:
    """One more view; of what has no dimension, one that adds some."""
    shape = chain.shown.shape
    rank = len(shape)
    kinds = ["reshape", "expand", "unsqueeze", "squeeze"]
    if rank:
        kinds += ["permute", "slice", "select", "split", "unbind", "transpose"]
        dim = draw(st.integers(-rank, rank - 1))
    kind = draw(st.sampled_from(kinds))
    if kind == "reshape":
        chain.then(aten.view.default, draw(_reshapes(list(shape))))
    elif kind == "expand":
        sizes = [draw(st.sampled_from((1, 2, 3))) if s == 1 else s for s in shape]
        chain.then(aten.expand.default, [*draw(st.sampled_from(([], [2]))), *sizes])
    elif kind == "unsqueeze":
        chain.then(aten.unsqueeze.default, draw(st.integers(-rank - 1, rank)))
    elif kind == "squeeze":
        chain.then(aten.squeeze.default)
    elif kind == "permute":
        chain.then(aten.permute.default, draw(st.permutations(range(-rank, 0))))
    elif kind == "slice":
        start, end = (draw(st.none() | st.integers(-8, 8)) for _ in range(2))
        chain.then(aten.slice.Tensor, dim, start, end, draw(st.integers(1, 3)))
    elif kind == "select":
        chain.then(aten.select.int, dim, draw(st.integers(-shape[dim], shape[dim] - 1)))
    elif kind == "split":
        size = draw(st.integers(1, shape[dim]))
        item = draw(st.integers(0, -(-shape[dim] // size) - 1))
        chain.then(aten.split.Tensor, size, dim, item=item)
    elif kind == "unbind":
        chain.then(aten.unbind.int, dim, item=draw(st.integers(0, shape[dim] - 1)))
    elif kind == "transpose":
        chain.then(aten.transpose.int, dim, draw(st.integers(-rank, rank - 1)))


@st.composite
def _reshapes(draw, shape: list[int]) -> list[int]:
    """The same elements, two neighbouring dimensions made one, then one dimension made two."""
    if len(shape) > 1:
        d = draw(st.integers(0, len(shape) - 2))
        shape[d : d + 2] = [shape[d] * shape[d + 1]]
    if shape:
        d = draw(st.integers(0, len(shape) - 1))
        inner = draw(st.sampled_from([k for k in range(1, shape[d] + 1) if shape[d] % k == 0]))
        shape[d : d + 1] = [shape[d] // inner, inner]
    return shape


@given(chains())
def test_views_of_views(chain):
    reshaped = any(node.target is aten.view.default for node in chain.graph.nodes)
    if chain.followed() is None:
        is_empty = not chain.shown.numel()  # an axis without positions where one was
        assert reshaped or is_empty, "any other view is affine"
    else:
        assert_shows_what_torch_shows(chain)


def test_a_view_of_a_broadcast_value_stays_where_the_value_is():
    chain = Chain((3, 1)).then(aten.expand.default, [3, 4]).then(aten.select.int, 1, 2)
    found, _, _ = chain.followed()
    assert found == (along(0), FIXED)


def test_source_of_an_item_is_what_was_split():
    chain = Chain((6,)).then(aten.split.Tensor, 2, item=1)
    assert viewed(chain.node) is chain.base
