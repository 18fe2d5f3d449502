"""`make` on a machine that lacks something: one sentence, no traceback."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.checkout

FAKE = """#!/bin/sh
exec {python} -c "
import runpy, sys
{lie}
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name='__main__')
" "$@"
"""


@pytest.fixture
def tree(root, tmp_path) -> Path:
    """The files that set-up reads before it builds anything."""
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(root / name, tmp_path)
    (tmp_path / "scripts").mkdir()
    shutil.copy(root / "scripts" / "bootstrap.py", tmp_path / "scripts")
    return tmp_path


def make_env(tree: Path, lie: str = "", **environment: str) -> str:
    """What `make env` prints when it fails as it should, under a Python that lies about itself."""
    fake = tree / "python3"
    fake.write_text(FAKE.format(python=sys.executable, lie=lie))
    fake.chmod(0o755)
    result = subprocess.run(
        ["make", "env", f"PYTHON={fake}"],
        cwd=tree,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    return result.stderr


def test_old_python(tree):
    said = make_env(tree, "sys.version_info = (3, 9, 2, 'final', 0)")
    assert "Python 3.11 or newer is needed" in said
    assert "make PYTHON=" in said


def test_no_python(tree):
    command = ["make", "env", "PYTHON=python-that-is-not-there"]
    result = subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "there is no python-that-is-not-there here" in result.stderr


def test_no_venv_module(tree):
    assert "apt-get install" in make_env(tree, "sys.modules['ensurepip'] = None")


def test_no_network(tree):
    closed = "http://127.0.0.1:9/"
    said = make_env(
        tree,
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL=closed,
        PIP_EXTRA_INDEX_URL=closed,
        PIP_FIND_LINKS="",
        PIP_NO_INDEX="",
        PIP_RETRIES="0",
        TORCH_INDEX=closed,
    )
    assert "Is there a network" in said


def test_help(tree):
    said = subprocess.check_output(["make", "help"], cwd=tree, text=True)
    assert all(f"make {target} " in said for target in ("demo", "test", "bench", "wheel", "lint"))
