"""`make gpu` where something is missing: it says so, and does not succeed."""

import subprocess
import sys

import pytest

from gint.backend import registry

pytestmark = pytest.mark.checkout


def run(root, *arguments):
    return subprocess.run(
        [sys.executable, "scripts/gpu.py", *arguments],
        cwd=root, capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def test_an_unknown_step_is_named(root):
    done = run(root, "--only", "swep")
    assert done.returncode == 2
    assert "'swep' is no step; build, suite, sweep, kernels are." in done.stderr


@pytest.mark.torch
@pytest.mark.skipif(registry.probe("cuda").usable, reason="there is a device here")
def test_without_a_device_it_says_so_and_fails(root, tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("cuda.bindings")
    done = run(root, "--out", str(tmp_path), "--only", "suite")
    assert done.returncode == 1, done.stderr
    device, *rest = done.stdout.splitlines()[-3:]
    assert device.startswith("device    NO")
    assert "NO DEVICE: " in device
    assert [row.split()[:2] for row in rest] == [["build", "NO"], ["suite", "NO"]]
