"""`gint run`: arguments from files and numbers, results printed and written."""

from __future__ import annotations

import numpy as np
import pytest

from gint.runtime.run_cli import main
from tests.plan.saving import expected, save


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "a.gint")


@pytest.fixture
def x(tmp_path):
    x = np.linspace(-1, 1, 8, dtype=np.float32).reshape(2, 4)
    np.save(tmp_path / "x.npy", x)
    return x


def test_results_are_printed_and_written(path, x, tmp_path, capsys):
    out = tmp_path / "out.npz"
    command = [str(path), "--input", f"x={tmp_path / 'x.npy'}", "--output", str(out), "--check"]
    assert main([*command, "--backend", "python"]) == 0
    printed = capsys.readouterr().out
    assert "y: float32[2, 4] [[" in printed
    assert "product: float32[2, 2] [[" in printed
    found = np.load(out)
    for name, wanted in expected(x).items():
        np.testing.assert_allclose(found[name], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--input", "x"], "'x' is no input. Write NAME=FILE.npy or NAME=NUMBER."),
        (["--input", "a b=3"], "'a b=3' is no input"),
        (["--input", "x=1", "--input", "x=2"], "The argument 'x' is given twice"),
        (["--input", "x=none.npy"], "There is no file 'none.npy'"),
        (["--input", "x=1"], "x is a NumPy array, not a int"),
        (["--input", "x=True"], "x is a NumPy array, not a bool"),
        (["--input", "y=1"], "no argument 'y'"),
        (["--output", "out.txt"], "out.txt is no file for results"),
        (["--output", "nowhere/out.npy"], "There is no folder 'nowhere'"),
    ],
)
def test_what_cannot_be_carried_out(path, arguments, reason, capsys):
    assert main([str(path), *arguments]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gint run: ")
    assert reason in said


def test_one_file_for_two_results(path, x, tmp_path, capsys):
    command = [str(path), "--input", f"x={tmp_path / 'x.npy'}"]
    assert main([*command, "--output", str(tmp_path / "out.npy")]) == 2
    assert "2 results do not go into" in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


def test_a_file_that_is_no_array(path, tmp_path, capsys):
    (tmp_path / "x.npy").write_text("text")
    assert main([str(path), "--input", f"x={tmp_path / 'x.npy'}"]) == 2
    assert "cannot be read as an array" in capsys.readouterr().err
