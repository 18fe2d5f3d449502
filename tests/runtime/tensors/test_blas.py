"""On which processors torch's dense products are slow."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from gint.runtime.tensors import blas

pytestmark = pytest.mark.torch


@pytest.fixture
def asked_anew():
    blas.is_slow.cache_clear()
    yield
    blas.is_slow.cache_clear()


def test_the_maker_of_the_processor():
    assert blas.vendor() == "" or blas.vendor().isalnum()


def test_where_there_is_no_cpuinfo_python_is_asked(monkeypatch):
    def missing(*arguments, **how):
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    for said, maker in (("AMD64 Family 25 Model 33, AuthenticAMD", "AuthenticAMD"), ("arm", "")):
        monkeypatch.setattr(platform, "processor", lambda said=said: said)
        assert blas.vendor() == maker


@pytest.mark.usefixtures("asked_anew")
@pytest.mark.parametrize(
    ("maker", "has_mkl", "slow"),
    [("AuthenticAMD", True, True), ("AuthenticAMD", False, False), ("GenuineIntel", True, False),
     ("", True, False)],
)  # fmt: skip
def test_mkl_on_a_processor_of_amds_is_slow(maker, has_mkl, slow, monkeypatch):
    monkeypatch.setattr(blas, "vendor", lambda: maker)
    monkeypatch.setattr(torch.backends.mkl, "is_available", lambda: has_mkl)
    assert blas.is_slow() is slow
