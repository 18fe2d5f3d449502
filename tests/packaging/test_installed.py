"""What an installation provides."""

import importlib.util
import os
import shutil
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import gint

in_wheel_stage = pytest.mark.skipif(
    "GINT_TEST_WHEEL" not in os.environ, reason="only where `make test` tests the wheel"
)


def test_torch_finds_the_backend():
    (point,) = entry_points(group="torch_dynamo_backends", name="gint")
    assert point.value == "gint.conductor:registered"


def test_command():
    command = shutil.which("gint", path=str(Path(sys.executable).parent))
    assert command is not None
    said = subprocess.check_output([command, "--version"], text=True)
    assert said == f"gint {gint.__version__}\n"


@in_wheel_stage
def test_gint_comes_from_the_wheel():
    assert Path(gint.__file__).is_relative_to(sys.prefix)


@in_wheel_stage
def test_there_is_no_torch():
    assert importlib.util.find_spec("torch") is None


@pytest.mark.cpp
def test_some_instruction_set_is_usable(native):
    assert native.instruction_sets()
