"""Which backend runs a graph's tensors, and what is said where none does."""

import warnings

import pytest

pytest.importorskip("torch")

from gint.conductor import selection
from gint.conductor.selection import backend_for
from gint.host.selection import Choice

pytestmark = pytest.mark.torch


def test_tensors_on_the_cpu():
    backend, reason = backend_for("cpu", "python")
    assert (backend.name, reason) == ("python", None)


def test_a_name_of_none():
    with pytest.raises(ValueError, match="nobody"):
        backend_for("cpu", "nobody")


def test_it_is_said_once_that_everything_is_left_to_eager(monkeypatch):
    found = Choice(None, {"cpp": "not built", "opencl": "without a driver"})
    monkeypatch.setattr(selection, "choose_for_torch", lambda device, wanted: found)
    selection._say_once.cache_clear()
    because = "the backend 'cpp' is not built; the backend 'opencl' is without a driver"
    with pytest.warns(RuntimeWarning, match="gint leaves everything to eager"):
        assert backend_for("cpu", None) == (None, because)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert backend_for("cpu", None) == (None, because)
    selection._say_once.cache_clear()


def test_a_device_of_no_backend():
    with pytest.warns(RuntimeWarning, match="no backend runs tensors on meta"):
        assert backend_for("meta", None) == (None, "no backend runs tensors on meta")
    selection._say_once.cache_clear()
