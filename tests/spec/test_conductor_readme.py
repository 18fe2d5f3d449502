"""The specification of the conductor (its README), statement by statement."""

from __future__ import annotations

import importlib
import inspect

import pytest

torch = pytest.importorskip("torch")

from gint.conductor import (
    GintCompiledSubgraph,
    GintCompiler,
    GraphPartitioner,
    gint_backend,
    records,
    register_backend,
    statistics,
)

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def _fresh_dynamo():
    torch._dynamo.reset()
    records.clear()
    yield
    torch._dynamo.reset()


def record_of(function, *args):
    before = len(statistics())
    options = {"backend": "python", "check": True}
    compiled = torch.compile(function, backend=gint_backend, options=options)
    torch.testing.assert_close(compiled(*args), function(*args))
    (made,) = statistics()[before:]
    return made


# Overview and architecture


def test_the_conductor_submodule_provides_integration_with_torch_compile() -> None:
    assert importlib.import_module("gint.conductor").__name__ == "gint.conductor"


def test_it_implements_a_custom_backend_for_torch_compile() -> None:
    register_backend()
    assert "gint" in torch._dynamo.list_backends(exclude_tags=())


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("gint.conductor.backend", ["gint_backend", "register_backend"]),
        ("gint.conductor.compiler", ["GintCompiler", "GintCompiledSubgraph"]),
        ("gint.conductor.partitioner", ["GraphPartitioner"]),
        ("gint.conductor", ["gint_backend", "register_backend", "GintCompiler",
                            "GintCompiledSubgraph", "GraphPartitioner"]),
    ],
)  # fmt: skip
def test_the_components_have_their_names(module: str, names: list[str]) -> None:
    for name in names:
        assert callable(getattr(importlib.import_module(module), name))


def test_gint_backend_implements_the_torch_compile_backend_contract() -> None:
    parameters = list(inspect.signature(gint_backend).parameters.values())
    assert [p.name for p in parameters[:2]] == ["gm", "example_inputs"]
    assert all(p.default is not p.empty for p in parameters[2:])
    module = torch.fx.symbolic_trace(lambda x, y: (x + y * 2,))
    x, y = torch.randn(3), torch.randn(3)
    compiled = gint_backend(module, [x, y], options={"backend": "python"})
    torch.testing.assert_close(compiled(x, y)[0], x + y * 2)


def test_register_backend_registers_gint_with_torch_dynamo() -> None:
    assert inspect.signature(register_backend).parameters == {}
    assert register_backend() is None
    assert torch._dynamo.lookup_backend("gint") is gint_backend


def _graph():
    from torch.fx.experimental.proxy_tensor import make_fx

    x = torch.randn(4, 5)
    return make_fx(lambda x: [x * 2 + 1], tracing_mode="fake")(x), x


def test_gint_compiler_converts_fx_graphs_to_gint_bytecode() -> None:
    from gint.conductor.options import Options

    module, x = _graph()
    compiled = GintCompiler(Options(backend="python")).compile(module)
    assert isinstance(compiled, GintCompiledSubgraph)
    (listing,) = compiled.record.listings
    assert "mul.f32" in listing
    assert "add.f32" in listing
    torch.testing.assert_close(compiled([x])[0], x * 2 + 1)


def test_gint_compiled_subgraph_is_an_executable_program_wrapper() -> None:
    from gint.conductor.options import Options

    module, x = _graph()
    compiled = GintCompiler(Options(backend="python")).compile(module)
    for _ in range(2):  # executable again and again
        torch.testing.assert_close(compiled([x])[0], x * 2 + 1)


def test_the_compiler_manages_execution_of_subgraphs_and_fallback_to_eager_mode() -> None:
    made = record_of(lambda x: torch.lgamma(x + 1) * 2, torch.rand(4))
    assert made.programs == 2
    assert [r.op for r in made.fallbacks] == ["aten.lgamma.default"]


def test_graph_partitioner_partitions_fx_graphs_into_subgraphs() -> None:
    from gint.conductor.lowering.kinds import read_graph

    module, _ = _graph()
    graph = read_graph(module.graph, "cpu", None)
    partition = GraphPartitioner().partition(graph)
    units = getattr(partition, "units", partition)
    assert [u.is_launch for u in units] == [True]


def test_max_8_tensors_per_subgraph_is_the_partitioner_s_default_not_a_bound() -> None:
    assert GraphPartitioner().max_tensors == 8
    tensors = torch.randn(12, 5).unbind()
    made = record_of(lambda *t: sum(a * i for i, a in enumerate(t)), *tensors)
    assert made.programs == 1


def test_supported_operators_only() -> None:
    made = record_of(lambda x: torch.lgamma(x) + 1, torch.rand(4) + 1)
    assert "lgamma" not in "".join(made.listings)


# Usage


def _example(device: str):
    """The example of the specification, but for the device."""
    # fmt: off
    import torch

    from gint.conductor import register_backend

    # Register the gint backend
    register_backend()

    # Use torch.compile with gint backend
    @torch.compile(backend="gint")
    def my_function(x, y):
        return x + y * 2

    # Execute
    x = torch.randn(1024, device=device)
    y = torch.randn(1024, device=device)
    result = my_function(x, y)
    # fmt: on
    return result, x + y * 2


@pytest.mark.filterwarnings("ignore:gint leaves everything to eager")
def test_the_example_runs_on_the_cpu() -> None:
    result, expected = _example("cpu")
    torch.testing.assert_close(result, expected)


def test_the_example_on_cuda_runs_or_fails_with_torch_s_own_error() -> None:
    if torch.cuda.is_available():
        result, expected = _example("cuda")
        torch.testing.assert_close(result, expected)
        return
    with pytest.raises((AssertionError, RuntimeError)) as own:
        torch.randn(1024, device="cuda")
    with pytest.raises(type(own.value)) as met:
        _example("cuda")
    assert str(met.value) == str(own.value)


# Current status: what is implemented, and what was to be done


@pytest.mark.parametrize("operator", [torch.add, torch.sub, torch.mul, torch.div])
def test_operation_mapping_for_basic_arithmetic(operator) -> None:
    made = record_of(operator, torch.randn(6), torch.randn(6))
    assert (made.programs, made.fallbacks) == (1, ())
    assert f"{operator.__name__}.f32" in made.listings[0]


def test_graph_partitioning_to_respect_device_interpreter_limits() -> None:
    from gint.conductor.options import Options
    from gint.program import assemble

    module = torch.fx.experimental.proxy_tensor.make_fx(
        lambda *t: [sum(a * i for i, a in enumerate(t, 1))], tracing_mode="fake"
    )(*torch.randn(20, 5).unbind())
    options = Options(backend="python", check=True, max_tensors=8)
    made = GintCompiler(options).compile(module).record
    assert made.programs > 1
    assert all(len(assemble(text).slots) <= 8 for text in made.listings)


def test_fallback_to_eager_execution_for_unsupported_operators_or_graph_structures() -> None:
    made = record_of(lambda x: torch.linalg.inv(x * 2) + 1, torch.eye(3))
    assert made.programs >= 1
    assert "inv" not in "".join(made.listings)


def test_operator_support_unary_math_comparisons_reductions() -> None:
    made = record_of(lambda x: ((x.exp() > 1) * x.sin()).sum(-1), torch.randn(3, 5))
    assert (made.programs, made.fallbacks, made.externs) == (1, (), {})


def test_mixed_shapes_within_subgraphs() -> None:
    shapes = (2, 1, 6), (5, 6), (6,), ()
    made = record_of(lambda a, b, c, d: a + b * c - d, *(torch.randn(s) for s in shapes))
    assert made.programs == 1


def test_memory_access_views_are_strides_not_copies() -> None:
    made = record_of(lambda x: x.t()[1:, ::2] * 2, torch.randn(8, 6))
    assert made.programs == 1


def test_dynamic_shape_support() -> None:
    before = len(statistics())
    options = {"backend": "python", "check": True}
    compiled = torch.compile(
        lambda x: x.softmax(-1) * x.shape[0], backend=gint_backend, options=options, dynamic=True
    )
    for size in ((3, 4), (5, 7), (10, 2)):
        x = torch.randn(size)
        torch.testing.assert_close(compiled(x), x.softmax(-1) * x.shape[0])
    assert len(statistics()) == before + 1


# Integration


@pytest.mark.parametrize(
    "module", ["gint.host.frontend", "gint.host.executor", "gint.kernel.interpreter"]
)
def test_the_conductor_builds_on_gint_s_infrastructure(module: str) -> None:
    assert importlib.import_module(module)


def test_frontend_api_provides_bytecode_instruction_builders() -> None:
    from gint.host.frontend import bytecode

    @bytecode
    def double(b):
        i = b.parallel("i")
        b.output("y", "f32", (i,), b.add(b.input("x", "f32", i), b.const(1.0, "f32")))

    assert double.program.instruction_count == 4


def test_executor_handles_program_execution() -> None:
    from gint.host.executor import run
    from gint.host.frontend import bytecode

    @bytecode
    def double(b):
        i = b.parallel("i")
        b.output("y", "f32", (i,), b.input("x", "f32", i) * 2.0)

    (y,) = run(double, "python", x=torch.ones(3))
    assert y.tolist() == [2, 2, 2]
