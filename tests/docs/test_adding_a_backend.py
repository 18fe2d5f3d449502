"""The backend of docs/adding-a-backend.md, outside this tree: its folder, and one line."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_pages import ROOT, blocks_of

pytestmark = pytest.mark.checkout
PAGE = ROOT / "docs" / "adding-a-backend.md"
FOLDER = "gint/kernel/interpreter/blocks"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources with the backend that the page describes."""
    source = tmp_path / "src"
    shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
    folder = source / FOLDER
    folder.mkdir()
    (folder / "__init__.py").write_text('"""The backend of a page."""\n')
    interpreter, backend = (code.lstrip() for code, _ in blocks_of(PAGE))
    (folder / "interpreter.py").write_text(interpreter)
    (folder / "backend.py").write_text(backend.replace("# In the folder: ", ""))
    registry, line = source / "gint/backend/registry.py", _line_of_the_registry()
    text = registry.read_text()
    registry.write_text(re.sub(r"(BACKENDS\b.*= {\n)", rf"\1{line}\n", text))
    assert registry.read_text() != text
    return source


def _line_of_the_registry() -> str:
    return re.search(r'^ *"blocks": .*$', PAGE.read_text(encoding="utf-8"), re.MULTILINE)[0]


def test_the_backend_of_the_page_does_what_every_backend_must(tree):
    """Its folder and one line are all: the tests of every backend find it and pass."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
         "tests/host/test_executor.py", "-k", "blocks"],
        cwd=ROOT, capture_output=True, text=True, timeout=280, check=False,
        env=os.environ | {
            "PYTHONPATH": os.pathsep.join([str(tree), str(ROOT)]), "GINT_REQUIRE": "blocks",
        },
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 30


def test_the_backend_of_the_page_is_listed(tree):
    done = subprocess.run(
        [sys.executable, "-c", "from gint.cli import main; main(['info'])"],
        capture_output=True, text=True, timeout=120, check=True,
        env=os.environ | {"PYTHONPATH": str(tree)},
    )  # fmt: skip
    assert re.search(
        r"^backend blocks +usable: NumPy, 64 rows at a time", done.stdout, re.MULTILINE
    )
