import pytest
import torch


@pytest.fixture(autouse=True)
def forget_what_was_compiled():
    torch._dynamo.reset()
