"""How commands are typed here, and what makes a backend usable."""

from __future__ import annotations

import pytest

from airllm.cpp_ext.commands import command_line, way_out
from gint.backend.protocol import Probe
from gint.host import configuration

UNBUILT = Probe(False, "it is not built.", built=False)
NAMED = Probe(
    False, "it is not built.", built=False, remedy="Build it: python setup.py build_cuda."
)


@pytest.mark.parametrize(
    ("checkout", "typed"), [(True, "python setup.py"), (False, "python -m airllm.cpp_ext")]
)
def test_commands_are_typed_as_they_work_here(monkeypatch, checkout, typed):
    monkeypatch.setattr(configuration, "is_checkout", lambda sources: checkout)
    assert command_line("build_cuda") == f"{typed} build_cuda"
    assert way_out("cpp", UNBUILT) == f"Build it: {typed} build_ext --inplace."
    assert way_out("cuda", NAMED) == f"Build it: {typed} build_cuda."


def test_what_is_built_has_the_remedy_that_the_backend_knows():
    assert way_out("cuda", Probe(False, "no device.", remedy="Plug one in.")) == "Plug one in."
    assert way_out("cuda", Probe(False, "no device.")) == ""
    assert way_out("python", UNBUILT) == ""
