"""`gint info`: a line for each thing installed and each backend, in the backend's own words."""

import pytest

from gint import __version__, info
from gint.backend import registry
from gint.backend.protocol import Probe
from gint.host import configuration


@pytest.fixture
def alone(monkeypatch, tmp_path):
    """No configuration, and no backend but python."""
    monkeypatch.delenv("GINT_BACKEND", raising=False)
    absent = configuration.Location(tmp_path / "backend.json")
    monkeypatch.setattr(configuration, "locate", lambda: absent)
    missing = Probe(False, "nothing there.", built=False, remedy="Build it.")
    there = Probe(True, "there", "NumPy 1.2")
    monkeypatch.setattr(registry, "probe", lambda name: there if name == "python" else missing)


def test_versions_and_backends(alone):
    found = dict(info.facts())
    assert found["gint"] == __version__
    assert found["numpy"][0].isdigit()
    assert [k for k in found if k.startswith("backend ")] == [
        f"backend {n}" for n in registry.names()
    ]
    assert found["backend cpp"] == "not usable: nothing there. Build it."
    assert found["backend python"] == "usable: NumPy 1.2"


def test_the_choice_and_where_it_comes_from(alone, monkeypatch, tmp_path):
    found = dict(info.facts())
    path = tmp_path / "backend.json"
    assert found["configuration"] == f"{path} (does not exist: the defaults hold)"
    assert found["NumPy arrays"].startswith("python (")
    monkeypatch.setenv("GINT_BACKEND", "python")
    found = dict(info.facts())
    assert found["configuration"].endswith("; GINT_BACKEND=python")
    assert found["NumPy arrays"] == "python (GINT_BACKEND asks for it)"


def test_a_choice_that_cannot_be_made_is_said_and_nothing_is_raised(alone, monkeypatch):
    monkeypatch.setenv("GINT_BACKEND", "cpp")
    assert "nothing there." in dict(info.facts())["NumPy arrays"]
    monkeypatch.setenv("GINT_BACKEND", "tpu")
    assert "no backend: 'tpu'" in dict(info.facts())["torch, cpu"]


def test_what_is_not_built_is_said_with_its_own_command(alone, monkeypatch):
    answers = {
        "cuda": Probe(False, "not built.", built=False, command="python -m build.it"),
        "opencl": Probe(False, "of other sources.", command="python -m build.it"),
    }
    there = Probe(True, "there")
    monkeypatch.setattr(registry, "probe", lambda name: answers.get(name, there))
    found = dict(info.facts())
    said = "not usable: not built. Build it: python -m build.it."
    assert found["backend cuda"] == said
    said = "not usable: of other sources. Build it again: python -m build.it."
    assert found["backend opencl"] == said


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setattr(info, "_PACKAGES", ("gint-is-not-called-so",))
    assert dict(info.facts())["gint-is-not-called-so"] == "not installed"


def test_the_command_prints_the_lines_in_columns(alone, monkeypatch, capsys):
    monkeypatch.setattr(info, "build_error", lambda: "error: no compiler")
    assert info.main([]) == 0
    printed = capsys.readouterr().out
    assert f"gint            {__version__}\n" in printed
    assert printed.endswith("The build of the C++ interpreter said:\n\nerror: no compiler\n")


def test_the_command_takes_no_arguments(capsys):
    assert info.main(["--all"]) == 2
    assert "takes no arguments, got '--all'" in capsys.readouterr().err
