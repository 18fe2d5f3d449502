"""`setup.py` as a file: found from anywhere, importing from nowhere else, in any Python."""

from __future__ import annotations

import ast
import sys

import pytest

pytestmark = pytest.mark.checkout


def test_an_old_python_is_told_what_is_needed(tree):
    lie = (
        "import runpy, sys; sys.argv = ['setup.py']; sys.version_info = (3, 9, 2, 'final', 0)\n"
        "runpy.run_path('setup.py', run_name='__main__')"
    )
    done = tree.python(lie)
    assert (done.status, done.out) == (2, "")
    assert "Python 3.11 or newer is needed" in done.err
    text = (tree.start / "setup.py").read_text(encoding="utf-8")
    assert not any(isinstance(node, ast.JoinedStr) for node in ast.walk(ast.parse(text)))
    assert "__future__" not in text
    ast.parse(text, feature_version=(3, 4))


def test_it_is_found_from_anywhere(tree, tmp_path):
    command = (sys.executable, str(tree.start / "setup.py"), "configure_backend")
    said = tree.run(*command, cwd=tmp_path, PYTHONPATH="").fine()
    assert said.endswith(f"Configuration file: {tree.file}\n")
    link = tmp_path / "link.py"
    link.symlink_to(tree.start / "setup.py")
    command = (sys.executable, str(link), "configure_backend")
    said = tree.run(*command, cwd=tmp_path, PYTHONPATH="").fine()
    assert said.endswith(f"Configuration file: {tree.file}\n")


def test_a_module_that_lies_beside_it_hides_none_of_python(tree):
    (tree.start / "json.py").write_text("raise SystemExit('the wrong json')")
    said = tree.setup("configure_backend").fine()
    assert said.endswith(f"Configuration file: {tree.file}\n")
