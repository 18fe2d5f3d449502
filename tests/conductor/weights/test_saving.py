"""Saved functions with quantised weights equal torch.compile with the same option."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch import nn

import gint
from gint.conductor import export, quantize

pytestmark = pytest.mark.torch


class Words(nn.Module):
    """An embedding tied to the output, a product with columns, a layer with a bias."""

    def __init__(self, dtype: torch.dtype = torch.float32, is_tied: bool = True) -> None:
        super().__init__()
        self.is_tied = is_tied
        torch.manual_seed(0)
        self.words = nn.Embedding(50, 64, dtype=dtype)
        self.columns = nn.Parameter(torch.randn(64, 96, dtype=dtype))
        self.linear = nn.Linear(96, 64, dtype=dtype)

    def forward(self, ids):
        h = self.linear(torch.relu(self.words(ids) @ self.columns))
        return h @ self.words.weight.T if self.is_tied else h


def compiled(model, **options):
    torch._dynamo.reset()
    return torch.compile(model, backend="gint", options=options)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "model.gint"


SHAPES = ({1: torch.export.Dim("n")},)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("weights", ["q8_0", {"words*": "keep", "*": "q4_0"}])
@torch.no_grad()
def test_equals_the_compiled_model(path, weights, dtype):
    model = Words(dtype)
    export(model, (torch.zeros(2, 5, dtype=torch.long),), path=path, quantize=weights,
           dynamic_shapes=SHAPES)  # fmt: skip
    loaded, function = gint.load(path), compiled(model, weights=weights)
    for n in (5, 1, 0, 7):
        ids = torch.randint(0, 50, (2, n))
        wanted = function(ids)
        torch.testing.assert_close(loaded(ids), wanted, rtol=0, atol=1e-5)
        on_arrays = loaded(ids.numpy()).astype(np.float32)
        tolerance = 1e-4 if dtype is torch.float32 else 0.5  # a few units of bfloat16
        np.testing.assert_allclose(on_arrays, wanted.float().numpy(), rtol=0, atol=tolerance)
    with pytest.raises(IndexError):
        loaded(torch.full((2, 1), 50))


@torch.no_grad()
def test_what_was_quantised_before_is_saved(path):
    model = quantize(Words(is_tied=False), "q5_1", release=True)
    export(model, (torch.zeros(2, 5, dtype=torch.long),), path=path)
    ids = torch.randint(0, 50, (2, 5))
    torch.testing.assert_close(gint.load(path)(ids), model(ids), rtol=1e-5, atol=1e-4)


def test_no_torch_is_needed_and_no_floats_are_in_the_file(path):
    export(Words(), (torch.zeros(2, 5, dtype=torch.long),), path=path, quantize="q8_0",
           quantize_activations=False)  # fmt: skip
    assert path.stat().st_size < 8000 + (50 * 64 + 64 * 96 * 2) * 34 / 32
    code = """
import sys
sys.modules["torch"] = None
import numpy as np, gint
for backend in ("cpp", "python"):
    print(gint.load(sys.argv[1], backend=backend)(np.ones((2, 5), np.int64)).sum())
"""
    run = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(run, capture_output=True, text=True, check=True, timeout=120)
    first, second = map(float, done.stdout.split())
    assert first == pytest.approx(second, rel=1e-4)


def test_a_format_that_is_none_is_refused(path):
    with pytest.raises(ValueError, match="'q9' is no format of weights"):
        export(Words(), (torch.zeros(2, 5, dtype=torch.long),), path=path, quantize="q9")
    assert not path.exists()
