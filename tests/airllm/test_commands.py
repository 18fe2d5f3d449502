"""How commands are typed here, and what makes a backend usable."""

from __future__ import annotations

import pytest

from airllm.commands import command_line, way_out
from gint.backend.protocol import Probe
from gint.host import configuration

UNBUILT = Probe(False, "it is not built.", built=False)
#: As a backend says it, which knows no command of ours.
NAMED = Probe(False, "it is not built.", built=False, command="python -m its.own")


@pytest.mark.parametrize(
    ("checkout", "typed"), [(True, "python setup.py"), (False, "python -m airllm.cpp_ext")]
)
def test_commands_are_typed_as_they_work_here(monkeypatch, checkout, typed):
    monkeypatch.setattr(configuration, "is_checkout", lambda sources: checkout)
    assert command_line("build_cuda") == f"{typed} build_cuda"
    assert way_out("cpp", UNBUILT) == f"Build it: {typed} build_ext --inplace."
    assert way_out("cuda", NAMED) == f"Build it: {typed} build_cuda."
    stale = Probe(False, "it is of other sources.", command="python -m its.own")
    assert way_out("cpp", stale) == f"Build it again: {typed} build_ext --inplace."


def test_a_backend_that_no_command_of_ours_builds_has_its_own():
    assert way_out("blocks", NAMED) == "Build it: python -m its.own."
    assert way_out("blocks", UNBUILT) == ""


def test_what_is_built_has_the_remedy_that_the_backend_knows():
    assert way_out("cuda", Probe(False, "no device.", remedy="Plug one in.")) == "Plug one in."
    assert way_out("cuda", Probe(False, "no device.")) == ""
    assert way_out("python", UNBUILT) == ""
