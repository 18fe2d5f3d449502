"""The error flag becomes what eager torch raises."""

import pytest

from gint.backend.errors import DIVISION_BY_ZERO, INDEX_OUT_OF_RANGE, raise_for


def test_nothing_is_raised_for_no_error():
    assert raise_for(0) is None


def test_each_bit_is_an_exception_of_its_own():
    assert not DIVISION_BY_ZERO & INDEX_OUT_OF_RANGE
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        raise_for(DIVISION_BY_ZERO)
    with pytest.raises(IndexError, match="out of range"):
        raise_for(INDEX_OUT_OF_RANGE)


def test_of_several_the_division_is_told():
    with pytest.raises(RuntimeError):
        raise_for(DIVISION_BY_ZERO | INDEX_OUT_OF_RANGE)


@pytest.mark.torch
def test_torch_raises_the_same():
    torch = pytest.importorskip("torch")
    with pytest.raises(RuntimeError) as division:
        torch.ones(1, dtype=torch.int64) // torch.zeros(1, dtype=torch.int64)
    with pytest.raises(RuntimeError) as ours:
        raise_for(DIVISION_BY_ZERO)
    assert str(ours.value) == str(division.value)
    with pytest.raises(IndexError) as index:
        torch.nn.functional.embedding(torch.tensor([3]), torch.zeros(2, 2))
    with pytest.raises(IndexError) as ours:
        raise_for(INDEX_OUT_OF_RANGE)
    assert str(ours.value) == str(index.value)
