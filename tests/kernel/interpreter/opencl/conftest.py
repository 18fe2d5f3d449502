"""What tests of the backend share: the device of this process."""

import pytest


@pytest.fixture
def device():
    from gint.kernel.interpreter.opencl.device import open_device

    return open_device()
