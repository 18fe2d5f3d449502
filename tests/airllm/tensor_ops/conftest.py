"""What tests of the operations share: each backend in turn."""

from __future__ import annotations

import pytest

from airllm import tensor_ops


@pytest.fixture
def on_backend(backend):
    """Each backend in turn is the active one."""
    with tensor_ops.use_backend(backend):
        yield backend
