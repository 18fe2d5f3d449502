"""What tests of models share: a cache directory of their own."""

import pytest

from airllm.model import automodel


@pytest.fixture(autouse=True)
def _own_cache_directory(tmp_path, monkeypatch):
    """Nothing is kept in the user's."""
    monkeypatch.setattr(automodel, "default_directory", lambda: tmp_path / "cache")
