"""Which interpreters the conductor's tests run on."""

from __future__ import annotations

import os
import warnings

import pytest

from gint.host import backends


@pytest.fixture(scope="session")
def interpreters() -> tuple[str, ...]:
    """The usable backends that reach CPU tensors; one in GINT_REQUIRE must be among them.

    A test that takes these traces its graphs once and runs them on each.
    """
    required = os.environ.get("GINT_REQUIRE", "").replace(" ", "").split(",")
    found = []
    for name in backends.names():
        if backends.backend(name).device != "cpu":
            continue
        answer = backends.probe(name)
        if answer.usable:
            found.append(name)
        elif name in required:
            pytest.fail(f"backend {name!r}: {answer.reason}")
        else:
            warnings.warn(f"not tested on {name!r}: {answer.reason}", stacklevel=1)
    return tuple(found)
