"""The measuring side: steady state, caches, and what a failing process leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from gint.demo import measure as module
from gint.demo.child import time_calls
from gint.demo.measure import Measurement, empty_caches, measure, reason_of
from gint.demo.models import BY_NAME, MODELS


def test_steady_state_is_the_median_of_the_later_half() -> None:
    assert Measurement("w", "b", calls_s=(9.0, 9.0, 9.0, 1.0, 2.0, 3.0)).steady_s == 2.0
    assert Measurement("w", "b", calls_s=(4.0,)).steady_s == 4.0


def test_caches_are_inside_the_folder(tmp_path: Path) -> None:
    environment = empty_caches(tmp_path)
    for name in ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        assert Path(environment[name]).parent == tmp_path
    assert environment["TORCHINDUCTOR_FX_GRAPH_CACHE"] == "0"


def test_a_failing_process_becomes_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    got = measure("no such workload", "eager")
    assert "invalid choice" in (got.failure or "")
    monkeypatch.setattr(module, "TIME_LIMIT_S", 0.0)
    assert "no answer" in (measure("example", "eager").failure or "")


def test_the_reason_is_the_exception_not_what_follows_it() -> None:
    said = (
        "Traceback\n  File x\ntorch._dynamo.exc.BackendError: no such op\n\nleaked 2 instances!\n"
    )
    assert reason_of(said) == "torch._dynamo.exc.BackendError: no such op"
    assert reason_of("Killed\n") == "Killed"
    assert reason_of("") == ""


def test_calls_stop_at_their_number_or_their_time() -> None:
    assert len(time_calls(lambda: None, most=3, seconds=60)) == 3
    assert len(time_calls(lambda: None, most=3, seconds=0)) == 1
    assert time_calls(lambda: None, most=0, seconds=60) == []


def test_the_four_models_have_names_of_their_own() -> None:
    assert [m.name for m in MODELS] == ["llama", "bert", "gpt2", "vit"]
    assert set(BY_NAME) == {"example", *(m.name for m in MODELS)}


@pytest.mark.torch
def test_the_example_is_the_specifications() -> None:
    torch = pytest.importorskip("torch")
    built = BY_NAME["example"].build("cpu")
    x, y = built.args
    assert x.shape == y.shape == (1024,)
    assert torch.equal(built.call(built.function), x + y * 2)
