"""Padding, gradients of slices: pieces of any size and start, alone and with what adds them up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from ..comparing import Call, Traced

pytestmark = pytest.mark.torch
aten = torch.ops.aten
DTYPES = (torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool)


def _check(call, backends):
    """Equal to eager on every backend."""
    traced, expected = Traced(call), call.eager()
    for backend in backends:
        assert torch.equal(traced.run(traced.compile(backend)), expected)


def _piece(*shape, dtype=torch.float32):
    return torch.randint(0, 2 if dtype is torch.bool else 9, shape).to(dtype)


@st.composite
def pieces(draw):
    """Arguments of slice_backward, a gradient of the slice's size among them."""
    sizes = draw(st.lists(st.integers(0, 7), min_size=1, max_size=3))
    dim = draw(st.integers(-len(sizes), len(sizes) - 1))
    start, step = draw(st.integers(-9, 9)), draw(st.sampled_from([1, 1, 1, 2, 3]))
    end = draw(st.integers(-9, 9) | st.just(2**63 - 1))
    dtype = draw(st.sampled_from(DTYPES))
    shape = aten.slice.Tensor(torch.empty(sizes), dim, start, end, step).shape
    return _piece(*shape, dtype=dtype), sizes, dim, start, end, step


@given(pieces())
def test_slices(interpreters, arguments):
    _check(Call.of(aten.slice_backward.default, *arguments), interpreters)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_selected_lines(interpreters, dtype):
    for sizes, dim, index in (((3, 5), 0, 1), ((3, 5), -1, -2), ((2, 1, 4), 1, 0), ((6,), 0, 5)):
        grad = _piece(*(n for d, n in enumerate(sizes) if d != dim % len(sizes)), dtype=dtype)
        call = Call.of(aten.select_backward.default, grad, sizes, dim, index)
        _check(call, interpreters)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(1,), (5,), (3, 4), (0,), (2, 1, 130)], ids=str)
def test_diagonals(interpreters, shape, dtype):
    source = _piece(*shape, dtype=dtype)
    for offset, dims in ((0, (-2, -1)), (3, (0, -1)), (-2, (-1, 0)), (-1, (0, 1)), (1, (1, 0))):
        _check(Call.of(torch.diag_embed, source, offset, *dims), interpreters)


def test_a_diagonal_is_part_of_what_reads_it(interpreters):
    call = Call.of(lambda x, y: torch.diag_embed(x * 2, 1) + y, _piece(4), _piece(5, 5))
    _check(call, interpreters)


def test_pieces_join_what_adds_them_up(interpreters):
    def total(a, b):
        first = aten.slice_backward.default(a, [8, 5], 0, 1, 4, 1)
        return first + aten.slice_backward.default(b, [8, 5], 0, 2, 8, 1)

    call = Call.of(total, _piece(3, 5), _piece(6, 5))
    _check(call, interpreters)
    graph = Traced(call).compile(interpreters[0])
    assert (graph.record.programs, graph.record.externs, graph.record.fallbacks) == (1, {}, ())


def test_a_slice_with_gaps_is_written_into_zeros(interpreters):
    call = Call.of(aten.slice_backward.default, _piece(4, 5), [8, 5], 0, 0, 8, 2)
    _check(call, interpreters)
    record = Traced(call).compile(interpreters[0]).record
    assert (record.programs, record.externs) == (2, {})


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pad", [(0, 0, 1, 2), (0, 0, 0, 3, 2, 1), (0, 0, -1, 2), (0, 0, -2, -1)])
def test_lines_before_and_after_are_a_program(interpreters, dtype, pad):
    for x in (_piece(3, 5, 7, dtype=dtype), _piece(3, 5, 1, dtype=dtype), _piece(0, 5, 7)):
        for value in (0, 1):
            call = Call.of(lambda x, v=value: aten.constant_pad_nd.default(x, pad, v), x)
            _check(call, interpreters)
    call = Call.of(lambda x: aten.constant_pad_nd.default(x, pad), _piece(3, 5, 7))
    assert Traced(call).compile(interpreters[0]).record.externs == {}


def test_elements_before_and_after_are_left_to_aten(interpreters):
    call = Call.of(lambda x: aten.constant_pad_nd.default(x, (1, 2)), _piece(3, 5, 7))
    _check(call, interpreters)
    externs = Traced(call).compile(interpreters[0]).record.externs
    assert externs == {"aten.constant_pad_nd": 1}
    last = _piece(2, 3, 5, 7).contiguous(memory_format=torch.channels_last)
    call = Call.of(lambda x: aten.constant_pad_nd.default(x, (1, 2, 0, 1)) + 1, last)
    _check(call, interpreters)
    assert Traced(call).compile(interpreters[0]).record.externs == {}
