"""The bandwidth probe: every way moves what it says it moves. Nothing is timed."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
bandwidth = pytest.importorskip("benchmarks.bandwidth")
pytestmark = [pytest.mark.checkout, pytest.mark.torch]


@pytest.mark.parametrize("threads", [1, 2])
def test_every_copy_copies_all_of_it(threads: int) -> None:
    probe = bandwidth.Bandwidth(threads, elements=3 * 4096)
    _, ways = probe._ways()["copy"]
    for name, way in ways.items():
        probe._source.copy_(torch.randn(3 * 4096))
        probe._target.zero_()
        way()
        assert torch.equal(probe._source, probe._target), name


def test_every_write_writes_all_of_it() -> None:
    probe = bandwidth.Bandwidth(2, elements=3 * 4096)
    _, ways = probe._ways()["write"]
    for name, way in ways.items():
        probe._target.fill_(1.0)
        way()
        assert not probe._target.any(), name


def test_measure_gives_each_kind_a_rate() -> None:
    found = bandwidth.Bandwidth(1, elements=4096).measure(seconds=0)
    assert set(found) == {"read", "write", "copy"}
    assert all(rate > 0 for rate in found.values())
