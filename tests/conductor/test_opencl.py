"""torch.compile on the `opencl` backend: CPU tensors, in place or copied as the device needs it."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from .comparing import Call, check

pytestmark = [pytest.mark.torch, pytest.mark.opencl]
F = torch.nn.functional


def values(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    torch.manual_seed(sum(shape))
    x = torch.randn(shape)
    return (x * 5).to(dtype) if dtype is not torch.bool else x > 0


X = values(33, 257)
CALLS = {
    "layer_norm": Call.of(F.layer_norm, X, (257,), values(257), values(257)),
    "softmax": Call.of(torch.softmax, X, -1),
    "softmax of columns": Call.of(torch.softmax, X, 0),
    "softmax of one long row": Call.of(torch.softmax, values(1, 100_000), -1),
    "gelu": Call.of(F.gelu, values(16, 1000, dtype=torch.bfloat16)),
    "transposed": Call.of(torch.add, values(64, 48), values(48, 64).t()),
    "broadcast": Call.of(torch.where, X > 0, X, values(33, 1)),
    "cumulative types": Call.of(torch.mul, values(40, 40, dtype=torch.int16), 3),
    "doubles": Call.of(torch.tanh, values(500, dtype=torch.float64)),
    "argmax": Call.of(torch.argmax, X, 1),
    "variance": Call.of(torch.var_mean, values(3, 5, 7, 11), (0, 2, 3)),
    "full sum": Call.of(torch.sum, values(300, 1000)),
    "any": Call.of(torch.any, values(30, 70, dtype=torch.bool), 1),
    "integers": Call.of(torch.remainder, values(99, dtype=torch.int64), 7),
    "empty": Call.of(torch.exp, values(0, 5)),
    "scalar": Call.of(torch.exp, torch.tensor(0.5)),
}


#: Of what is subtracted on the way: see comparing.assert_same.
SCALES = {"layer_norm": 4.0, "gelu": 4.0, "variance": 1.0}
#: exp turns the rounding of x - max, half a unit of up to 30, into a relative error.
UNITS = {"softmax": 20, "softmax of columns": 20, "softmax of one long row": 20}


@pytest.mark.parametrize("name", CALLS)
def test_an_operator_gives_what_eager_gives(name):
    scale, units = SCALES.get(name, 0.0), UNITS.get(name, 4)
    check(CALLS[name], ["opencl"], scale=scale, units=units)


class Block(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(64)
        self.up, self.down = torch.nn.Linear(64, 256), torch.nn.Linear(256, 64)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.down(F.silu(self.up(self.norm(x))) * 0.5)


def test_a_model_trains_and_runs_on_opencl_as_in_eager():
    torch.manual_seed(0)
    model = Block()
    compiled = torch.compile(model, backend=gint(), options={"backend": "opencl"})
    x = values(8, 64)
    with torch.no_grad():
        torch.testing.assert_close(compiled(x), model(x))
    gradients = []
    for function in (model, compiled):
        model.zero_grad()
        function(x).square().mean().backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
    torch.testing.assert_close(*gradients)


def test_sizes_may_change_and_results_may_be_held():
    def f(x):
        return (x * 2 + 1).relu(), x.sum(-1)

    compiled = torch.compile(f, backend=gint(), options={"backend": "opencl"}, dynamic=True)
    inputs = [values(n, n + 1) for n in range(2, 9)]
    results = [compiled(x) for x in inputs]
    for x, found in zip(inputs, results, strict=True):
        torch.testing.assert_close(found, f(x))


def test_an_error_on_the_device_is_eagers_exception():
    compiled = torch.compile(torch.floor_divide, backend=gint(), options={"backend": "opencl"})
    x = values(50, dtype=torch.int32)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        compiled(x, torch.zeros_like(x))
    torch.testing.assert_close(compiled(x, torch.ones_like(x)), x)


def gint():
    from gint.conductor.backend import gint_backend

    return gint_backend
