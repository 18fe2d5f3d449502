"""Drawn operators: any shape, the same ones for a seed, and all of them right."""

from __future__ import annotations

import random
from itertools import islice

import pytest

torch = pytest.importorskip("torch")

from benchmarks import sampled
from benchmarks.operators_list import cases
from benchmarks.settings import Settings

pytestmark = [pytest.mark.checkout, pytest.mark.torch]


def drawn(seed: int, count: int, **settings: object) -> list[sampled.Draw]:
    return list(islice(sampled.draws(random.Random(seed), Settings(**settings)), count))


def test_a_seed_makes_the_same_draws_again() -> None:
    first, again, other = drawn(3, 20), drawn(3, 20), drawn(4, 20)
    assert [d.text for d in first] == [d.text for d in again] != [d.text for d in other]
    for a, b in zip(first, again, strict=True):
        for x, y in zip(a.call.tensors.values(), b.call.tensors.values(), strict=True):
            assert x.stride() == y.stride()
            assert torch.equal(x.nan_to_num(), y.nan_to_num())


def test_ranks_layouts_and_types_differ() -> None:
    found = drawn(0, 120)
    tensors = [d.call.tensors["x"] for d in found]
    assert {t.dim() for t in tensors} >= {1, 2, 3, 4}
    assert {t.dtype for t in tensors} >= {torch.float32, torch.bfloat16, torch.int64}
    assert any(not t.is_contiguous() for t in tensors)
    assert any("broadcast" in d.text for d in found)


def test_a_gradient_is_of_tensors_as_large_as_what_it_belongs_to() -> None:
    """Eager reads beyond the others."""
    for d in drawn(2, 30, only=("backward",)):
        tensors = [t for name, t in d.call.tensors.items() if name != "mask"]
        assert len({t.shape for t in tensors}) == 1
    found = drawn(2, 40, together=2)
    assert not any("backward" in c.name for d in found for c in d.cases)


def test_operators_of_any_shape_are_those_without_sizes() -> None:
    fitting = {c.name for c in cases() if sampled.fits_any_shape(c)}
    assert len(fitting) > 100
    assert any(name.startswith("add.") for name in fitting)
    assert not any(name.startswith(("convolution", "mm.", "linspace")) for name in fitting)


def test_operators_together_read_what_the_one_before_made() -> None:
    found = drawn(1, 12, together=3)
    assert all(len(d.cases) == 3 and d.call.text.count("x := ") >= 2 for d in found)
    assert any("x.transpose(0, -1)" in d.text for d in found)
    exp, sqrt = "torch.exp(x)", "torch.sqrt(x)"
    text = sampled._together(random.Random(1), [exp, sqrt])
    x = torch.rand(3, 5)
    wanted = x.exp().sqrt()
    got = sampled.Call(text, {"x": x}).run()
    assert any(torch.equal(got, w) for w in (wanted, x.exp().transpose(0, -1).sqrt()))


@pytest.mark.cpp
def test_a_run_reports_every_draw(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampled, "MAGNITUDES", (2.0, 3.0))
    report = sampled.run(Settings(draws=12, seed=5))
    assert len(report.data["rows"]) == 12
    assert not [row for row in report.data["rows"] if row["error"]]
    (table,) = report.tables
    assert len(table.rows) == 12


def test_what_is_no_row_is_said() -> None:
    with pytest.raises(SystemExit, match="--only takes names"):
        drawn(0, 1, only=("nothing_is_called_so",))
