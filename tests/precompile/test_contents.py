"""A compiled graph as bytes: which are refused, and what no bytes can hold."""

import pytest

torch = pytest.importorskip("torch")

from tests.precompile import functions
from tests.precompile.ahead import MARKS, ahead, bytes_of

pytestmark = MARKS


def test_bytes_that_are_not_what_was_saved_are_refused_in_words():
    data, make = bytes_of(ahead(functions.rows, torch.randn(3, 5)))
    newer = data[:4] + (99).to_bytes(4, "little") + data[8:]
    absent = data.replace(b'"backend":null', b'"backend":"none"')
    for bad, reason in (
        (data[:-1], "cut short"),
        (data[:100] + bytes([data[100] ^ 1]) + data[101:], "checksum"),
        (newer, "newer gint"),
        (b"", "does not start with"),
        (absent, "cut short or altered"),
    ):
        with pytest.raises(RuntimeError, match=f"cannot be used: .*{reason}"):
            make(bad)


def test_a_constant_that_was_altered_is_refused():
    constant = torch.arange(5.0)

    def f(x):
        return x + torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])

    data, make = bytes_of(ahead(f, constant))
    torch.testing.assert_close(make(data)(constant)[0], f(constant))
    with pytest.raises(RuntimeError, match="is not the one that was saved"):
        make(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def test_what_no_bytes_can_hold_is_refused_in_words():
    x = torch.randn(64, 64)

    def f(x):
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    with pytest.raises(RuntimeError, match="gint cannot save"):
        bytes_of(ahead(f, x))
    with pytest.raises(ValueError, match="quantised weights cannot be saved"):
        ahead(functions.rows, x, weights="q8_0")


def test_a_loaded_function_refuses_tangents_and_fake_tensors():
    x = torch.randn(3, 5)
    data, make = bytes_of(ahead(functions.rows, x))
    loaded = make(data)
    with torch.autograd.forward_ad.dual_level():
        torch.testing.assert_close(loaded(x)[0], functions.rows(x))
        dual = torch.autograd.forward_ad.make_dual(x, x)
        with pytest.raises(RuntimeError, match="carries no forward-mode tangents"):
            loaded(dual)
    with torch._subclasses.FakeTensorMode(), pytest.raises(RuntimeError, match="no fake tensors"):
        loaded(torch.empty(3, 5))
