"""torch's C shim is found, and done without where it is not."""

import ctypes

import pytest

torch = pytest.importorskip("torch")

from gint.runtime.tensors import torch_shim

pytestmark = pytest.mark.torch


@pytest.fixture
def asked_anew(monkeypatch):
    monkeypatch.setattr(torch_shim, "native_with_torch", torch_shim.native_with_torch.__wrapped__)
    return torch_shim


def test_this_torch_has_it(asked_anew):
    pytest.importorskip("gint.native._native")
    assert asked_anew.native_with_torch() is not None


def test_a_tensors_address_lies_where_it_is_looked_for():
    offset = torch_shim._offset_of_tensor()
    for t in (torch.empty(0), torch.nn.Parameter(torch.ones(3)), torch.ones(2, 2).t()):
        assert ctypes.c_uint64.from_address(id(t) + offset).value == t._cdata


@pytest.mark.parametrize("missing", ["FUNCTIONS", "offset"])
def test_without_it_there_is_no_native_run(missing, asked_anew, monkeypatch):
    if missing == "FUNCTIONS":
        monkeypatch.setattr(asked_anew, "FUNCTIONS", {"copy": "aoti_torch_of_no_torch"})
    else:
        monkeypatch.setattr(asked_anew, "_offset_of_tensor", lambda: None)
    assert asked_anew.native_with_torch() is None
