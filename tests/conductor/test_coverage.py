"""The counted operators of docs/conductor.md: the page is current, and nothing is left unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("torch")

from gint.conductor.coverage import KINDS, LEFT, core, left, page, sampled

pytestmark = pytest.mark.torch
PAGE = Path(__file__).resolve().parents[2] / "docs/conductor.md"


@pytest.mark.checkout
def test_the_page_is_current():
    text = PAGE.read_text("utf-8")
    assert text == page(text), "run: python -m gint.conductor.coverage docs/conductor.md"


def test_what_is_left_has_one_reason():
    reasons = [name for names in LEFT.values() for name in names]
    assert sorted(set(left()) - set(reasons)) == []
    assert len(set(reasons)) == len(reasons)


def test_kinds():
    assert core()["add.Tensor"] == "program"
    assert core()["mm.default"] == "extern"
    assert core()["gather.default"] == "sometimes"
    assert core()["permute.default"] == "view"
    assert core()["elu.default"] == "traced apart"
    assert set(core().values()) | set(sampled().values()) <= set(KINDS)


def test_a_page_without_marks_is_refused():
    with pytest.raises(ValueError, match="lacks the lines"):
        page("# A page\n")
