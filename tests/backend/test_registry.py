"""The one list of backends, and that each entry is one."""

import subprocess
import sys
from contextlib import suppress

import pytest

from gint.backend import registry


def test_the_order_of_priority_ends_with_what_always_works():
    assert registry.names() == tuple(registry.BACKENDS)
    assert registry.names()[-1] == registry.LAST_RESORT
    assert registry.probe(registry.LAST_RESORT).usable


def test_an_unknown_name_is_an_error_that_names_the_known_ones():
    for ask in (registry.entry, registry.backend):
        with pytest.raises(
            ValueError, match=r"no backend 'tpu'\. Known: cuda, opencl, cpp, python"
        ):
            ask("tpu")


def test_the_list_is_read_without_numpy_or_any_backend():
    """A configuration can be written before anything is installed."""
    script = (
        "import sys; sys.modules['numpy'] = None\n"
        "from gint.backend import registry\n"
        "print(*registry.names(), registry.entry('cpp').folder)\n"
        "assert not any(e.folder in sys.modules for e in registry.BACKENDS.values())"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [*registry.names(), registry.BACKENDS["cpp"].folder]


def test_the_backend_that_serves_a_device_reaches_its_memory():
    assert registry.serving("cpu") == ("cpp",)
    assert registry.serving("cuda") == ("cuda",)
    assert registry.serving("mps") == ()
    for name, known in registry.BACKENDS.items():
        with suppress(ModuleNotFoundError):  # of a device's own package
            assert known.serves in (None, registry.backend(name).device)


def test_a_backend_whose_package_is_missing_answers_with_a_reason(monkeypatch):
    monkeypatch.setitem(registry.BACKENDS, "cpp", registry.Entry("gint_is_not_installed"))
    for ask in (registry.backend, registry.probe):
        ask.cache_clear()
    try:
        answer = registry.probe("cpp")
        assert not answer.usable
        assert not answer.built
        assert answer.reason == "this installation lacks gint_is_not_installed."
        assert "cpp" not in registry.usable()
    finally:
        for ask in (registry.backend, registry.probe):
            ask.cache_clear()
