"""`gint export`, as a user meets it."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import gint
from gint.cli import main

pytestmark = pytest.mark.torch
SOURCE = """
import torch

def scaled(x, y):
    return x * 2 + y

def branching(x):
    return x if x.sum() > 0 else -x

class Counting(torch.nn.Module):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return x * self.calls

counting = Counting()
"""


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.filterwarnings("error")
def test_a_function_is_saved_and_explained(source, tmp_path, capsys):
    out = tmp_path / "a.gint"
    sizes = ["--args", "f32[3,4],f32[3,4]", "--free", "0:0=n,1:0=n"]
    assert main(["export", f"{source}:scaled", *sizes, "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: {out.stat().st_size} bytes\n"
    x = np.ones((7, 4), np.float32)
    np.testing.assert_array_equal(gint.load(out)(x, y=x), 3 * x)
    with pytest.raises(ValueError, match="y has the shape"):
        gint.load(out)(x, x[:3])
    assert main(["explain", str(out)]) == 0
    assert "x: float32[" in capsys.readouterr().out
    out.write_bytes(out.read_bytes()[:-3])
    assert main(["explain", str(out)]) == 2
    assert "cut short or altered" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("branching", ["--args", "f32[3]"], "depends on the values of tensors"),
        ("counting", ["--args", "f32[3]"], "A call changes 'calls' of Counting"),
        ("scaled", ["--args", "f32[3],f32[3]", "--free", "0"], "'0' is no free size"),
        ("scaled", ["--args", "f32[3],f32[3]", "--free", "0:1"], "There is no dimension 1"),
        ("missing", [], "has no function 'missing'"),
    ],
)
def test_what_is_wrong_is_said(source, tmp_path, capsys, name, arguments, reason):
    out = tmp_path / "a.gint"
    assert main(["export", f"{source}:{name}", *arguments, "-o", str(out)]) == 2
    assert reason in capsys.readouterr().err
    assert not out.exists()
