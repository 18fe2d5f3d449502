import pytest

torch = pytest.importorskip("torch")

import gint.conductor
from gint.conductor.records import GraphRecord

pytestmark = pytest.mark.torch
INF, NAN = float("inf"), float("nan")
EXPONENTS = [0.0, -0.0, 1.0, 2.5, NAN, INF, -INF, -150.0, 127.5, 128.0]
OPTIONS = {"check": True}


def compare(function, *args) -> GraphRecord:
    torch._dynamo.reset()
    found = torch.compile(function, backend="gint", options=OPTIONS)(*args)
    torch.testing.assert_close(found, function(*args), equal_nan=True)
    (record,) = gint.conductor.statistics()[-1:]
    assert not record.fallbacks
    return record


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_power_of_two_is_exp2(dtype):
    record = compare(lambda x: 2**x + 1, torch.tensor(EXPONENTS, dtype=dtype))
    assert "exp2" in record.listings[0]
    assert "pow" not in record.listings[0]


def test_powers_of_other_numbers_and_of_integers():
    assert "pow" in compare(lambda x: 3.0**x, torch.tensor(EXPONENTS)).listings[0]
    compare(lambda x: 2**x, torch.arange(-2, 70))


@pytest.mark.parametrize("exponent", [1, 1.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool])
def test_the_first_power_is_the_number_itself(dtype, exponent):
    record = compare(lambda x: (x + x) ** exponent, torch.tensor([0.0, 2.5, -3, 1]).to(dtype))
    assert "pow" not in record.listings[0]


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64])
def test_shifts_as_python_writes_them(dtype):
    x = torch.arange(100).to(dtype)
    compare(lambda x: (x << 3) ^ (x >> 1), x)
    compare(lambda x, n: (x << n) ^ (x >> n), x, torch.arange(100).remainder(5).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("slope", [0.01, 1.0, 0.0, -0.0, -0.5, 3.0])
def test_leaky_relu_of_any_slope(slope, dtype):
    x = torch.tensor([0.0, -0.0, 1.5, -1.5, INF, -INF, NAN, 1e-40, -1e-40], dtype=dtype)
    record = compare(lambda x: torch.nn.functional.leaky_relu(x, slope), x)
    assert ("maximum" in record.listings[0]) == (0 < slope <= 1)
    found = torch.compile(lambda x: torch.nn.functional.leaky_relu(x, slope), backend="gint")(x)
    expected = torch.nn.functional.leaky_relu(x, slope)
    numbers = ~expected.isnan()
    assert torch.equal(found[numbers].signbit(), expected[numbers].signbit())


DECISIONS = {
    "equal to what is stored": lambda x, y: x * 1.1 == y,
    "less than a number": lambda x, y: x * 1.1 < 0.33,
    "finite": lambda x, y: torch.isinf(x * 300) | torch.isnan(x * 300 - x * 300),
    "whole": lambda x, y: (x * 1.1 * 8).to(torch.int64),
    "zero": lambda x, y: torch.logical_not(x * 1e-7),
    "not zero": lambda x, y: (x * 1e-7).bool(),
}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("decision", DECISIONS)
def test_what_a_half_type_decides_is_decided_by_what_would_be_stored(decision, dtype):
    x = torch.linspace(-4, 400, 3001).to(dtype)
    function, y = DECISIONS[decision], x * 1.1
    torch._dynamo.reset()
    found = torch.compile(function, backend="gint", options=OPTIONS)(x, y)
    if decision == "whole":  # eager rounds in between too
        near = (x.float() * 1.1 * 8).to(dtype).long()
        assert torch.equal(found, near)
    else:
        assert torch.equal(found, function(x, y))


def test_the_gradient_of_a_largest_element_finds_it_again():
    """The backward graph makes `x - 1` anew, and looks for what is as large as the largest was."""
    x = torch.nn.Parameter(torch.linspace(-2, 2, 40).half().view(4, 10))

    def function(x):
        return x.scatter_reduce(1, x.detach().long().abs(), x - 0.7, "amin")

    expected = torch.autograd.grad(function(x).sum(), x)
    torch._dynamo.reset()
    compiled = torch.compile(function, backend="gint", options=OPTIONS)
    torch.testing.assert_close(torch.autograd.grad(compiled(x).sum(), x), expected)
