"""Which interpreters the conductor's tests run on."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator

import pytest

from gint.backend import registry


@pytest.fixture(scope="session")
def interpreters() -> tuple[str, ...]:
    """The usable backends that reach CPU tensors; one in GINT_REQUIRE must be among them.

    A test that takes these traces its graphs once and runs them on each.
    """
    required = os.environ.get("GINT_REQUIRE", "").replace(" ", "").split(",")
    found = []
    for name in registry.names():
        answer = registry.probe(name)
        if answer.usable:
            if registry.backend(name).device == "cpu":
                found.append(name)
        elif name in required:
            pytest.fail(f"backend {name!r}: {answer.reason}")
        else:
            warnings.warn(f"not tested on {name!r}: {answer.reason}", stacklevel=1)
    return tuple(found)


@pytest.fixture(params=["cpp", "python"])
def options(request: pytest.FixtureRequest, interpreters: tuple[str, ...]) -> dict:
    """Options of torch.compile that name each usable interpreter in turn."""
    if request.param not in interpreters:
        pytest.skip(f"backend {request.param!r}: {registry.probe(request.param).reason}")
    return {"backend": request.param, "check": True}


@pytest.fixture
def fresh_dynamo() -> Iterator[None]:
    """Nothing compiled before counts, and nothing stays."""
    import torch

    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
