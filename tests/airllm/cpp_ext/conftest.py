"""Copies of the packages, each for one test alone."""

from __future__ import annotations

import pytest

from tests.airllm.cpp_ext.trees import Tree, checkout, installation


@pytest.fixture
def tree(tmp_path) -> Tree:
    """A checkout as it is cloned, with the default configuration."""
    return checkout(tmp_path)


@pytest.fixture
def installed(tmp_path) -> Tree:
    """An installation without a checkout, never configured."""
    return installation(tmp_path)
