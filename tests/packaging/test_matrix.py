"""`make matrix` says which Python is not here, and goes on."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.checkout


def test_a_missing_python_is_said(root):
    said = subprocess.check_output(
        [sys.executable, "scripts/matrix.py", "3.99/2.13"], cwd=root, text=True
    )
    assert "Python 3.99, torch 2.13  not run: there is no Python 3.99 here" in said
