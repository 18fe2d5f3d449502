"""The `gint` command."""

import os
import subprocess
import sys

import pytest

import gint


def run_gint(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gint.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_version():
    result = run_gint("--version")
    assert (result.returncode, result.stdout) == (0, f"gint {gint.__version__}\n")


def test_info_names_every_backend():
    result = run_gint("info")
    assert result.returncode == 0
    assert "backend cpp" in result.stdout
    assert "backend python" in result.stdout


def test_without_a_command_prints_help():
    result = run_gint()
    assert result.returncode == 0
    assert "explain" in result.stdout


@pytest.mark.parametrize("arguments", [("nonsense",), ("info", "nonsense")])
def test_mistakes_are_sentences(arguments):
    result = run_gint(*arguments)
    assert result.returncode == 2
    assert "nonsense" in result.stderr
    assert "Traceback" not in result.stderr


def test_import_is_light():
    """`import gint` and its command line load no NumPy and no torch."""
    code = "import gint.cli, sys; print({'numpy', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.checkout
@pytest.mark.torch
def test_why_a_benchmark_did_not_run_is_said(tmp_path):
    pytest.importorskip("rich")
    (tmp_path / "notes.txt").write_text("not rows\n")
    result = run_gint("bench", "operators", "--quick", "--rows", str(tmp_path / "notes.txt"))
    assert result.returncode == 1
    assert "not a row of the operators" in result.stderr


@pytest.mark.checkout
def test_a_backend_that_cannot_be_had_is_a_sentence(tmp_path):
    broken = tmp_path / "backend.json"
    broken.write_text('{"force_backend": "gpu"}')
    command = [sys.executable, "-m", "gint.cli", "bench", "tensor_ops", "--quick"]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "GINT_BACKEND_CONFIG": str(broken)},
    )  # fmt: skip
    assert result.returncode == 2
    assert "force_backend cannot be 'gpu'" in result.stderr
    assert "Traceback" not in result.stderr
