"""`make arm` without the cross compiler or the emulator says what to install."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.checkout


def test_missing_tools_are_named(root, tmp_path):
    done = subprocess.run(
        [sys.executable, "scripts/arm.py"],
        cwd=root, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "apt-get install g++-aarch64-linux-gnu qemu-user-static" in done.stderr
