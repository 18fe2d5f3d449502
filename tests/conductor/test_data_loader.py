"""Compiled functions in the workers of torch's DataLoader: children made by fork, or begun anew."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
from torch.utils.data import DataLoader, Dataset

pytestmark = pytest.mark.torch


def _normalise(x: torch.Tensor) -> torch.Tensor:
    return (x - x.mean(-1, keepdim=True)) * torch.rsqrt(x.var(-1, keepdim=True) + 1e-5)


_compiled = torch.compile(_normalise, backend="gint")


class Rows(Dataset):
    """Matrices so large that a launch of them has several threads; item n is made from n alone."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, n: int) -> torch.Tensor:
        return _compiled(_raw(n))


def _raw(n: int) -> torch.Tensor:
    return torch.randn(300, 2000, generator=torch.Generator().manual_seed(n))


#: A child that is begun anew has nothing of what was compiled before.
@pytest.mark.parametrize(
    ("start", "used_before"), [("fork", False), ("fork", True), ("spawn", True)]
)
def test_workers_compute_what_the_parent_would(start, used_before):
    if used_before:
        torch._dynamo.reset()
        _compiled(_raw(0))
    loader = DataLoader(Rows(), batch_size=2, num_workers=2, multiprocessing_context=start)
    found = torch.cat(list(loader))
    wanted = torch.stack([_normalise(_raw(n)) for n in range(6)])
    torch.testing.assert_close(found, wanted)
