import sys

import pytest


@pytest.fixture(autouse=True)
def forget_what_was_compiled():
    if "torch" in sys.modules:
        sys.modules["torch"]._dynamo.reset()
