"""Plans for tensors on a GPU, read as text: written without one, on fake tensors."""

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from gint.backend.protocol import Capabilities
from gint.conductor import GintCompiler, compiler
from gint.conductor.options import Options

pytestmark = pytest.mark.torch


class StandIn:
    """A backend for CUDA tensors that runs nothing and notes where launches were prepared."""

    name, device, capabilities = "cuda", "cuda", Capabilities()

    def __init__(self) -> None:
        self.places: list[int] = []

    def prepare(self, extents, params, slots, threads=None, device=0):
        self.places.append(device)
        return lambda *pointers, stream, scratch: 0


@pytest.fixture
def gpu(monkeypatch) -> StandIn:
    made = StandIn()
    monkeypatch.setattr(compiler, "backend_for", lambda device, wanted: (made, None))
    monkeypatch.setattr(compiler, "load_kernel", lambda backend, verified: made)
    return made


def compiled(function, *tensors: tuple):
    """A function compiled for fake tensors, each a shape and a device."""
    mode = FakeTensorMode()
    with mode:
        fakes = [torch.empty(shape, device=device) for shape, device in tensors]
        graph = make_fx(function, tracing_mode="real")(*fakes)
    return GintCompiler(Options(check=True)).compile(graph).record


def test_results_and_launches_are_on_the_tensors_device(gpu):
    record = compiled(lambda x: (torch.softmax(x, -1) * 2,), ((512, 1024), "cuda:1"))
    assert "stream1 = current_stream(1)" in record.plan
    assert "empty_cuda1((512, 1024, ), (1024, 1, )" in record.plan  # no pool: torch's allocator
    assert ".data_ptr(), stream=stream1, scratch=scratch1)" in record.plan
    assert gpu.places == [1]
    assert not record.fallbacks


def test_each_launch_runs_on_its_own_device(gpu):
    def f(x, y):
        return x + 1, y * 2, y.to("cuda:0") * x

    record = compiled(f, ((8,), "cuda:0"), ((8,), "cuda:1"))
    assert sorted(gpu.places) == [0, 1]
    assert record.externs == {"aten._to_copy": 1}
    assert not record.fallbacks


def test_a_number_on_the_cpu_is_brought_to_the_device(gpu):
    record = compiled(lambda x, s: (x * s, x + s), ((8,), "cuda:0"), ((), "cpu"))
    assert record.programs == 1
    assert not record.fallbacks
    assert record.externs == {"aten._to_copy": 1}


def test_a_constant_on_the_cpu_is_made_in_the_program(gpu):
    record = compiled(lambda x: (torch.where(x > 0, x, 0.5),), ((8,), "cuda:0"))
    assert record.programs == 1
    assert not record.externs
    assert not record.fallbacks


def test_work_on_the_cpu_in_a_gpu_graph_is_left_to_eager_with_the_reason(gpu):
    def f(x, y, z):
        return x + 1, x * y, z.exp()

    record = compiled(f, ((8,), "cuda:0"), ((8,), "cuda:0"), ((8,), "cpu"))
    (refusal,) = record.fallbacks
    assert refusal.reason == "a tensor on cpu, where programs run on cuda"


def test_on_the_cpu_a_plan_has_no_streams(gpu):
    record = compiled(lambda x: (x + 1,), ((8,), "cpu"))
    assert "stream" not in record.plan
    assert "empty_strided(" in record.plan
