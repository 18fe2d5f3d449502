"""How a model is compiled ahead and compared, for tests whose other half is another process."""

import torch

from tests.conductor.small_models import example


def answer(model, x):
    return model(x, return_dict=False)[0]


@torch.no_grad()
def check(compiled, model, sizes_are_free):
    """Compare it with eager: on the sizes it was compiled with, and on others if these are free."""
    for batch, length in ((2, 9), (3, 16), (5, 4))[: 3 if sizes_are_free else 1]:
        (x,) = example(model, batch, length).values()
        torch.testing.assert_close(compiled(model, x), answer(model, x), rtol=1e-4, atol=1e-4)
