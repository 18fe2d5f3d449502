"""The commands of `setup.py`: which there are, and what goes wrong with them, in a line each."""

from __future__ import annotations

import os
import sys

import pytest

from airllm.commands import CommandError
from airllm.cpp_ext import cli
from gint.host.configuration import ConfigurationError

pytestmark = pytest.mark.checkout


@pytest.mark.parametrize(
    "arguments", [("configure",), ("install",), ("--nonsense",), ("build_ext",)]
)
def test_commands_that_are_none(tree, arguments):
    done = tree.setup(*arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)


@pytest.mark.parametrize("arguments", [(), ("--help",), ("configure_backend", "--help")])
def test_help(tree, arguments):
    assert "configure_backend" in tree.setup(*arguments).fine()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize("options", ["--show", "--backend=python", "--help"])
def test_output_that_cannot_be_written_is_a_sentence(tree, options):
    command = f"{sys.executable} setup.py configure_backend {options} > /dev/full"
    done = tree.bash(command)
    assert done.status == 1
    assert "Traceback" not in done.err
    assert done.err.endswith("No space left on device\n")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (CommandError("There is no compiler."), 1, "setup.py: There is no compiler.\n"),
        (ConfigurationError("a.json is not JSON."), 2, "setup.py: a.json is not JSON.\n"),
        (ModuleNotFoundError("no", name="a.b"), 1, "setup.py: this needs a.b: pip install a.\n"),
        (PermissionError(13, "Permission denied", "a.so"), 1,
         "setup.py: Permission denied: a.so\n"),
        (KeyboardInterrupt(), 130, "setup.py: interrupted\n"),
    ],
)  # fmt: skip
def test_what_a_command_raises_is_a_line_and_a_status(error, status, said, monkeypatch, capsys):
    def fail(options):
        raise error

    monkeypatch.setattr("airllm.cpp_ext.building.build_ext", fail)
    assert cli.main(["build_ext", "--inplace"], "setup.py") == status
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", said)


def test_a_reader_that_has_seen_enough_is_no_error(tree):
    """`true` reads nothing, and is gone when there is something to write."""
    done = tree.bash(f"{sys.executable} setup.py configure_backend | true; exit ${{PIPESTATUS[0]}}")
    assert (done.status, done.out, done.err) == (0, "", "")
