"""Data types, against NumPy's."""

import numpy as np
import pytest

from gint.isa import DTYPES, dtype
from gint.isa.dtypes import BOOL, COMPUTE, FLOAT, INT, NUMBER, Kind

KINDS = {"f": Kind.FLOAT, "i": Kind.INT, "u": Kind.INT, "b": Kind.BOOL}
HALVES = {"f16", "bf16"}


def test_codes_are_positions_and_names_are_unique():
    """Encoded programs hold the codes."""
    assert [t.code for t in DTYPES] == list(range(len(DTYPES)))
    assert len({t.name for t in DTYPES}) == len(DTYPES)


@pytest.mark.parametrize("t", DTYPES, ids=str)
def test_a_type_is_numpys_of_that_name(t):
    assert np.dtype(t.numpy).itemsize == t.itemsize
    if t.name != "bf16":  # its bits
        assert KINDS[np.dtype(t.numpy).kind] is t.kind
    assert dtype(t.name) is dtype(t) is t
    assert str(t) == t.name


@pytest.mark.parametrize("t", DTYPES, ids=str)
def test_registers_hold_what_is_computed_with(t):
    """Only the halves are widened, and what is computed with is stored as it is."""
    assert t.is_storage_only == (t.name in HALVES)
    assert t.compute.name == ("f32" if t.name in HALVES else t.name)
    assert not t.compute.is_storage_only
    assert t.compute.kind is t.kind


@pytest.mark.parametrize("name", [*BOOL, *INT])
def test_ranges_of_integers(name):
    t = dtype(name)
    info = np.iinfo(t.numpy) if t.kind is Kind.INT else None
    assert t.int_range == ((info.min, info.max) if info else (0, 1))


def test_groups_are_disjoint_and_all_that_registers_hold():
    assert (*BOOL, *INT, *FLOAT) == COMPUTE
    assert INT + FLOAT == NUMBER
    assert len(set(COMPUTE)) == len(COMPUTE)
    assert set(COMPUTE) == {t.name for t in DTYPES} - HALVES


def test_an_unknown_name_is_an_error_that_names_the_known_ones():
    with pytest.raises(ValueError, match=r"no data type 'float32'\. Known: bool, u8, .*bf16"):
        dtype("float32")
