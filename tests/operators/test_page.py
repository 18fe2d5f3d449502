"""docs/operators.md is what the table says."""

from pathlib import Path

import pytest

from gint.operators import OPERATORS, REFUSED
from gint.operators.page import page

pytestmark = pytest.mark.checkout
ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date():
    written = (ROOT / "docs/operators.md").read_text(encoding="utf-8")
    assert written == page(), "python -m gint.operators.page docs/operators.md"


def test_every_operator_has_a_meaning():
    text = page()
    assert all(f"`{name.removesuffix('.default')}`" in text for name in OPERATORS)
    assert all(f"`aten.{name}`" in text for name in REFUSED)
    assert all(f.__doc__ for f in OPERATORS.values())
