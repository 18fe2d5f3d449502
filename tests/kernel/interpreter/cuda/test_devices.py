"""Listing CUDA devices without NVIDIA's bindings."""

from gint.backend.protocol import Listing
from gint.kernel.interpreter.cuda import devices


def test_without_a_driver_it_says_so(monkeypatch):
    monkeypatch.setattr(devices, "LIBRARY", "libthere-is-none.so.1")
    found = devices.list_platforms()
    assert found == Listing(reason=found.reason)
    assert found.reason.startswith("no driver: libthere-is-none.so.1")


LIST = """
from gint.kernel.interpreter.cuda.devices import list_platforms
for platform in list_platforms().platforms:
    print(platform.name, platform.reason, *platform.devices, sep="|")
"""


def test_a_driver_and_its_devices(rehearsal):
    assert rehearsal(LIST, DEVICES=2).splitlines() == [
        "driver for CUDA 13.0||Rehearsal 0 (compute capability 9.0, 16.0 GiB)"
        "|Rehearsal 1 (compute capability 9.0, 16.0 GiB)"
    ]
    said = rehearsal(LIST, DEVICES=0)
    assert said.startswith("driver for CUDA 13.0|cuInit gives ")
