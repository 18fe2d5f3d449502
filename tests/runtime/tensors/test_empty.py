"""Operators whose kernels divide by a number of elements, in saved functions of free sizes."""

import pytest

torch = pytest.importorskip("torch")

import gint
from gint.conductor import export

pytestmark = pytest.mark.torch


class Recurrent(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = torch.nn.LSTM(8, 4, batch_first=True)

    def forward(self, x):
        return self.cell(x.view(-1, 4, 8))


def attend(x):
    heads = x.view(1, -1, 2, 16).transpose(1, 2)
    return torch.nn.functional.scaled_dot_product_attention(heads, heads, heads)


@pytest.mark.parametrize("function", [Recurrent(), attend])
@torch.no_grad()
def test_no_rows_one_and_some(function, tmp_path):
    path = tmp_path / "model.gint"
    free = ({0: torch.export.Dim("n")},)
    export(function, (torch.randn(3, 32),), dynamic_shapes=free, path=path)
    loaded = gint.load(path)
    for n in (0, 1, 5):
        x = torch.randn(n, 32)
        torch.testing.assert_close(loaded(x), function(x))


def test_rows_without_keys():
    from gint.runtime.tensors.entry_points import entry_point

    attention = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default
    q, k = torch.randn(1, 2, 3, 16), torch.randn(1, 2, 0, 16)
    found, sums = entry_point(attention)(q, k, k)
    torch.testing.assert_close(found, torch.nn.functional.scaled_dot_product_attention(q, k, k))
    assert sums.shape == (1, 2, 3)
