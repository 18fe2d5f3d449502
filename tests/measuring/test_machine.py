"""The description of a machine: what every report has, None where it cannot be found out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gint.measuring import machine


def test_a_description_is_json_and_has_what_reports_need() -> None:
    found = machine.describe(threads=3)
    assert json.loads(json.dumps(found)) == found
    assert found["threads"] == 3
    assert found["cores"] >= 1
    assert found["cpu"]
    assert "numpy" in found["versions"]


def test_an_installation_has_no_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "lib" / "site-packages" / "gint" / "measuring"
    monkeypatch.setattr(machine, "__file__", str(package / "machine.py"))
    assert machine.describe(1)["commit"] is None
