"""torch.compile on CUDA tensors: the GPU suite's half that needs torch."""

import warnings

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import explain, gint_backend, register_backend, statistics

pytestmark = [pytest.mark.gpu, pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]

several = pytest.mark.skipif("torch.cuda.device_count() < 2", reason="one CUDA device here")


def compiled(function, **options):
    return torch.compile(function, backend=gint_backend, options={"check": True, **options})


def made(*shape, dtype=torch.float32, device="cuda"):
    return torch.randn(*shape, device=device).to(dtype)


def test_the_readme_s_example():
    """spec/conductor-readme.md, verbatim."""
    # fmt: off
    register_backend()

    # Register the gint backend
    @torch.compile(backend="gint")
    def my_function(x, y):
        return x + y * 2

    # Execute
    x = torch.randn(1024, device='cuda')
    y = torch.randn(1024, device='cuda')
    result = my_function(x, y)
    # fmt: on
    assert result.device == x.device
    assert torch.equal(result, x + y * 2)
    assert [r.backend for r in statistics()] == ["cuda"]
    assert statistics()[0].programs == 1


CASES = {
    "pointwise": (lambda x: torch.nn.functional.gelu(x) * torch.sigmoid(x) + 1, (300, 700)),
    "softmax": (lambda x: torch.softmax(x, -1), (300, 700)),
    "long row": (lambda x: torch.softmax(x, -1), (1, 3_000_001)),
    "layer norm": (lambda x: torch.nn.functional.layer_norm(x, x.shape[-1:]), (300, 700)),
    "sum": (lambda x: x.sum(), (3000, 700)),
    "sum over rows": (lambda x: x.sum(0), (3000, 700)),
    "transpose": (lambda x: x.t().contiguous() * 2, (300, 700)),
    "slices": (lambda x: x[::2, 1:] + x[1::2, :-1], (300, 701)),
    "argmax": (lambda x: x.argmax(-1), (300, 701)),
    "product": (lambda x: (x.relu() @ x.t()).tanh(), (64, 700)),
    "empty": (lambda x: x + 1, (0, 700)),
}


@pytest.mark.parametrize("name", CASES)
def test_results_are_eager_s(name):
    function, shape = CASES[name]
    x = made(*shape)
    found = compiled(function)(x)
    wanted = function(x.double())
    assert found.is_cuda
    torch.testing.assert_close(found, wanted.to(found.dtype), rtol=2e-5, atol=2e-5)
    assert not statistics()[0].fallbacks


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.int32])
def test_types(dtype):
    x, y = made(100, 33, dtype=dtype), made(100, 33, dtype=dtype)
    found = compiled(lambda x, y: x * y - x)(x, y)
    wanted = (x.double() * y.double() - x.double()).to(dtype)
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted)


def test_other_sizes_are_no_other_programs():
    f = torch.compile(lambda x: torch.softmax(x * 2, -1), backend=gint_backend, dynamic=True)
    for rows, cols in [(3, 5), (700, 300), (2, 100_000)]:
        x = made(rows, cols)
        torch.testing.assert_close(f(x), torch.softmax(x * 2, -1))
    assert len(statistics()) == 1


def test_training():
    model = torch.nn.Sequential(
        torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.LayerNorm(128), torch.nn.Linear(128, 8)
    ).cuda()
    x = made(32, 64)
    wanted = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
    found = torch.autograd.grad(compiled(model)(x).square().sum(), list(model.parameters()))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


def test_a_number_on_the_cpu():
    x, s = made(100), torch.tensor(3.0)
    assert torch.equal(compiled(lambda x, s: x * s)(x, s), x * s)


def test_an_input_is_written_where_it_lies():
    cache, x = made(64, 64), made(64, 64)
    wanted, pointer = cache + x, cache.data_ptr()
    compiled(lambda cache, x: cache.add_(x))(cache, x)
    assert torch.equal(cache, wanted)
    assert cache.data_ptr() == pointer


def test_work_goes_to_the_current_stream():
    """A long piece of work before it on the same stream must have been waited for."""
    f = compiled(lambda x: x + 1)
    f(made(1 << 20))
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        x = torch.zeros(1 << 20, device="cuda")
        torch.cuda._sleep(100_000_000)
        x.fill_(5)
        y = f(x)
    torch.cuda.default_stream().wait_stream(stream)
    y.record_stream(torch.cuda.default_stream())
    assert torch.equal(y, torch.full_like(y, 6))


def test_many_streams_at_once():
    f = compiled(lambda x: torch.softmax(x, -1))
    inputs = [made(64, 5000) for _ in range(8)]
    torch.cuda.synchronize()
    streams, found = [torch.cuda.Stream() for _ in inputs], []
    for stream, x in zip(streams, inputs, strict=True):
        with torch.cuda.stream(stream):
            found.append([f(x) for _ in range(5)])
    torch.cuda.synchronize()
    for x, results in zip(inputs, found, strict=True):
        for y in results:
            torch.testing.assert_close(y, torch.softmax(x, -1))


@several
def test_several_devices_in_one_process():
    f = compiled(lambda x: torch.softmax(x * 2, -1))
    for device in ("cuda:1", "cuda:0", "cuda:1"):
        x = made(64, 500, device=device)
        y = f(x)
        assert y.device == x.device
        torch.testing.assert_close(y, torch.softmax(x * 2, -1))
    assert torch.cuda.current_device() == 0


@several
def test_several_devices_in_one_graph():
    def f(x, y):
        return x * 2, y + 1, x.to(y.device) * y

    x, y = made(100, device="cuda:0"), made(100, device="cuda:1")
    for found, wanted in zip(compiled(f)(x, y), f(x, y), strict=True):
        assert torch.equal(found, wanted)


def test_memory_that_runs_out_is_torch_s_own_error_and_the_next_call_works():
    f = torch.compile(lambda x: x.expand(1 << 20, 1 << 20) + 1, backend=gint_backend)
    with pytest.raises(torch.OutOfMemoryError):
        f(made(1))
    g = compiled(lambda x: x + 1)
    x = made(100)
    assert torch.equal(g(x), x + 1)


def test_division_by_zero_is_raised_by_this_call_or_the_next():
    """Nothing waits: whether the device has come to it when the call ends is not said."""
    f = compiled(lambda x, y: x // y)
    ones, zeros = (torch.full((4,), n, device="cuda") for n in (1, 0))

    def calls():
        f(ones, zeros)
        torch.cuda.synchronize()
        f(ones, ones)

    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        calls()
    assert torch.equal(f(ones, ones), ones)


def test_a_graph_captured_by_the_user():
    f = compiled(lambda x: torch.softmax(x, -1) + x.sum())
    x = made(300, 70_000)
    f(x)
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
    with torch.cuda.graph(graph, stream=stream):
        y = f(x)
    x.copy_(made(300, 70_000))
    graph.replay()
    torch.testing.assert_close(y, torch.softmax(x, -1) + x.sum())


def test_a_graph_captured_by_the_user_of_one_that_is_replayed_and_of_new_sizes():
    f = torch.compile(
        lambda x: torch.softmax(x, -1), backend=gint_backend, dynamic=True,
        options={"cuda_graphs": True, "check": True},
    )  # fmt: skip
    g = compiled(lambda x: x * 3, cuda_graphs=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(3):
            f(made(30, 70)), g(made(30, 70))
    x, z = made(50, 90), made(30, 70)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        y, w = f(x), g(z)  # sizes that f has not met
    for t in (x, z):
        t.copy_(made(*t.shape))
    graph.replay()
    torch.testing.assert_close(y, torch.softmax(x, -1))
    torch.testing.assert_close(w, z * 3)


def block(x, w, v):
    h = torch.nn.functional.silu(x @ w) * (x @ v)
    return torch.nn.functional.rms_norm(h, h.shape[-1:]), h


class TestCudaGraphs:
    def test_results_that_are_held_stay(self):
        f = compiled(block, cuda_graphs=True)
        w, v = made(64, 128), made(64, 128)
        inputs = [made(32, 64) for _ in range(10)]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            held = [f(x, w, v) for x in inputs]
        for x, results in zip(inputs, held, strict=True):
            for found, wanted in zip(results, block(x, w, v), strict=True):
                torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)

    def test_results_that_are_held_stay_while_others_are_let_go(self):
        """The second graph's results must not lie where the first has its intermediate values."""

        def f(x):
            h = (x @ x).relu() @ x
            return (h @ h).softmax(-1) + x.sum()

        compiled_f = compiled(f, cuda_graphs=True)
        inputs = [made(256, 256) / 16 for _ in range(12)]
        held = {}
        for n, x in enumerate(inputs):
            held[n] = compiled_f(x)
            held.pop(n - 2, None)  # always the older of the last three
            for m, y in held.items():
                torch.testing.assert_close(y, f(inputs[m]), rtol=1e-3, atol=1e-3)

    def test_calls_are_replayed(self):
        f = compiled(block, cuda_graphs=True)
        w, v = made(64, 128), made(64, 128)
        for _ in range(20):
            x = made(32, 64)
            torch.testing.assert_close(f(x, w, v)[1], block(x, w, v)[1], rtol=1e-4, atol=1e-4)

    def test_on_several_streams(self):
        f = compiled(lambda x: x * 2 + 1, cuda_graphs=True)
        streams = [torch.cuda.Stream() for _ in range(3)]
        for _ in range(6):
            for stream in streams:
                with torch.cuda.stream(stream):
                    x = made(1000)
                    y = f(x)
                    torch.testing.assert_close(y, x * 2 + 1)

    def test_a_cache_that_is_written(self):
        def step(cache, x):
            cache.add_(x)
            return cache * 2

        f = compiled(step, cuda_graphs=True)
        cache, wanted = torch.zeros(100, device="cuda"), torch.zeros(100, device="cuda")
        for _ in range(6):
            x = made(100)
            wanted += x
            torch.testing.assert_close(f(cache, x), wanted * 2)
        torch.testing.assert_close(cache, wanted)

    def test_training_goes_on(self):
        model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.GELU()).cuda()
        f = compiled(model, cuda_graphs=True)
        for _ in range(5):
            x = made(32, 64)
            found = torch.autograd.grad(f(x).square().sum(), list(model.parameters()))
            wanted = torch.autograd.grad(model(x).square().sum(), list(model.parameters()))
            for a, b in zip(found, wanted, strict=True):
                torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)

    def test_other_shapes_run_without(self):
        f = torch.compile(
            lambda x: x * 2, backend=gint_backend, dynamic=True, options={"cuda_graphs": True}
        )
        with pytest.warns(RuntimeWarning, match="symbolic"):
            f(made(5, 7))


def test_explain_names_the_backend():
    (graph,) = explain(lambda x: x + 1, made(10)).graphs
    assert graph.backend == "cuda"
    assert "stream0 = current_stream(0)" in graph.plan
