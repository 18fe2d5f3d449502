"""Starts: a way taken in a fresh process, one that fails, and what of a file is resident."""

from __future__ import annotations

from pathlib import Path

import pytest

from gint.measuring.process import ProcessError
from gint.measuring.start import EXPECTED, INPUT, SAVED, measure, resident_of

pytestmark = pytest.mark.checkout


def test_what_of_a_file_is_resident() -> None:
    maps = (
        "7f00-7f10 r--p 0000 08:01 5   /a/w.bin\nSize: 64 kB\nRss:   40 kB\n"
        "7f10-7f20 rw-p 0000 00:00 0 \nSize: 64 kB\nRss:   64 kB\n"
        "7f20-7f30 r--p 0000 08:01 5   /a/w.bin\nRss:   4 kB\nVmFlags: rd\n"
    )
    assert resident_of(maps, "/a/w.bin") == 44 << 10
    assert resident_of(maps, "/a/other") == 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What `prepare` makes, of a smaller model with the same signature."""
    torch = pytest.importorskip("torch")
    import numpy as np

    from gint.conductor import export

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = torch.nn.Embedding(8, 4)

        def forward(self, input_ids, use_cache=True):
            return {"logits": torch.relu(self.table(input_ids)) + 1}

    model, ids = Model(), torch.tensor([[1, 7, 0]])
    export(
        model, (), {"input_ids": ids, "use_cache": False}, path=tmp_path / SAVED, weights="beside"
    )
    np.save(tmp_path / INPUT, ids.numpy())
    np.save(tmp_path / EXPECTED, model(ids)["logits"].detach().numpy())
    return tmp_path


def test_a_saved_plan_starts_without_torch(folder: Path) -> None:
    taken = measure("arrays", folder)
    assert taken.difference < 1e-6
    assert taken.imported_s is None
    assert taken.process_s > 0
    if taken.beyond_bytes is not None:
        assert 0 < taken.beyond_bytes < taken.peak_bytes


def test_a_way_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(ProcessError, match="FileNotFoundError"):
        measure("arrays", tmp_path)
