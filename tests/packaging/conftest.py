"""What the packaging tests share: the checkout, and the native module or a skip with its reason."""

import os
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout these tests lie in."""
    return ROOT


@pytest.fixture(scope="session")
def native() -> ModuleType:
    """The native module; without it a skip, or a failure under GINT_REQUIRE=cpp."""
    from gint.native.loader import NativeMissingError, load_native

    try:
        return load_native()
    except NativeMissingError as error:
        if "cpp" in os.environ.get("GINT_REQUIRE", "").split(","):
            raise
        pytest.skip(str(error))
