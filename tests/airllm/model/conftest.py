"""What tests of models share: a cache directory of their own, and a small checkpoint."""

import pytest

from airllm.model import automodel


@pytest.fixture(autouse=True)
def _own_cache_directory(tmp_path, monkeypatch):
    """Nothing is kept in the user's."""
    monkeypatch.setattr(automodel, "default_directory", lambda: tmp_path / "cache")


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """The smallest Llama, in several files. Needs torch."""
    from tests.airllm.checkpoints import model_of, write

    return write(model_of("llama"), tmp_path_factory.mktemp("llama"), max_shard_size="200KB")
