"""Listing OpenCL devices, and choosing those to try."""

import pytest

from gint.backend import registry
from gint.kernel.interpreter.opencl.devices import NoDeviceError, candidates, list_platforms

pytest.importorskip("pyopencl")
pytestmark = pytest.mark.opencl


def test_every_candidate_is_listed():
    listed = [words for p in list_platforms().platforms for words in p.devices]
    assert all(p.name.startswith("platform ") for p in list_platforms().platforms)
    for _, device in candidates(""):
        assert any(words.startswith(device.name.strip()) for words in listed)


def test_a_device_may_be_named_by_number_or_in_part():
    number, device = candidates("")[0]
    assert candidates(number)[0][1] == device
    assert device in [d for _, d in candidates(device.platform.name[:4].lower())]
    with pytest.raises(NoDeviceError, match="asks for '99:0'"):
        candidates("99:0")


def test_the_probe_names_the_device_by_its_number():
    answer = registry.probe("opencl")
    assert answer.device in [number for number, _ in candidates("")]
    assert answer.description.endswith(f"({answer.device})")
