"""What becomes one program, what costs none, and what may be left whole."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

import gint.conductor
from gint.conductor import GintCompiler, GraphPartitioner
from gint.conductor.explaining import explain
from gint.conductor.graph.externs import EXTERNS, is_extern
from gint.conductor.lowering.rules import has_rule
from gint.conductor.options import Options
from gint.conductor.trace.decompositions import decompositions

from .comparing import Call, Traced, assert_same, check

pytestmark = pytest.mark.torch
F = torch.nn.functional


def record(function, *args, max_tensors: int | None = None):
    options = Options(backend="python", check=True, max_tensors=max_tensors)
    return GintCompiler(options).compile(Traced(Call.of(function, *args)).module).record


def programs(function, *args) -> int:
    made = record(function, *args)
    assert made.fallbacks == ()
    assert made.externs == {}
    return made.programs


def llama_rms_norm(x, w, eps: float = 1e-6):
    dtype = x.dtype
    x = x.to(torch.float32)
    x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return w * x.to(dtype)


X, W = torch.randn(4, 6, 32), torch.randn(32)

ONE_PROGRAM = {
    "softmax": lambda x, w: x.softmax(-1),
    "softmax along the first dimension": lambda x, w: x.softmax(0),
    "log_softmax": lambda x, w: x.log_softmax(-1),
    "layer_norm": lambda x, w: F.layer_norm(x, (32,), w, w),
    "native_layer_norm with its statistics": lambda x, w: torch.native_layer_norm(
        x, (32,), w, w, 1e-5
    ),
    "rms_norm": lambda x, w: F.rms_norm(x, (32,), w, 1e-5),
    "rms_norm by hand": llama_rms_norm,
    "rms_norm by hand in bfloat16": lambda x, w: llama_rms_norm(x.bfloat16(), w),
    "scale, mask and softmax": lambda x, w: (x * 0.125 + (w > 0)).softmax(-1),
    "residual and layer norm": lambda x, w: F.layer_norm(x + x.tanh() * 2, (32,), w, w),
    "chain": lambda x, w: ((x * 2 + w).tanh() - x).sigmoid() * w,
    "gelu": lambda x, w: F.gelu(x + w),
    "silu and mul": lambda x, w: F.silu(x) * (x + w),
    "mixed broadcast": lambda x, w: x[:, :1] + x[0] * w,
    "two outputs": lambda x, w: (x + w, (x + w) * 2),
    "a reduction of what is computed": lambda x, w: (x * w).exp().sum(-1),
    "variance": lambda x, w: torch.var_mean(x, -1),
    "argmax": lambda x, w: (x * w).argmax(-1),
    "a transposed copy": lambda x, w: x.transpose(1, 2).contiguous(),
    "a permuted operand": lambda x, w: x + x.permute(0, 2, 1).permute(0, 2, 1),
    "arange and mask": lambda x, w: torch.where(torch.arange(32) < 7, x, float("-inf")),
}


@pytest.mark.parametrize("name", ONE_PROGRAM)
def test_one_program(name: str) -> None:
    assert programs(ONE_PROGRAM[name], X, W) == 1


@pytest.mark.parametrize("name", ONE_PROGRAM)
def test_one_program_equals_eager(name: str, interpreters) -> None:
    check(Call.of(ONE_PROGRAM[name], X, W), interpreters, scale=8.0)


NO_PROGRAM = {
    "view": lambda x: x.view(24, 32),
    "permute": lambda x: x.permute(2, 0, 1),
    "expand": lambda x: x[:, :, None].expand(4, 6, 3, 32),
    "slice, select, unsqueeze, squeeze": lambda x: x[1:, 2].unsqueeze(0).squeeze(0),
    "split and unbind": lambda x: (*x.split(2), *x.unbind(1)),
    "transpose, flatten": lambda x: x.transpose(0, 2).transpose(0, 2).flatten(1),
    "reshape where strides allow": lambda x: x.reshape(24, 4, 8),
    "diagonal": lambda x: x.diagonal(0, 0, 1),
}


@pytest.mark.parametrize("name", NO_PROGRAM)
def test_views_cost_no_program(name: str) -> None:
    assert programs(NO_PROGRAM[name], X) == 0


def test_views_between_computed_values_stay_in_the_program() -> None:
    def f(x, w):
        return ((x + w).view(24, 32).unsqueeze(0) * 2).transpose(0, 1) + 1

    assert programs(f, X, W) == 1


VIEWS_OF_COMPUTED = {
    "flipped twice with a view between": lambda x: (x * 2).flip(1).view(24).flip(0) + 1,
    "flipped, then split": lambda x: (x * 2).view(24).flip(0).view(3, 8)[:, 1:] + 1,
    "flipped and reduced": lambda x: ((x * 2).flip(0).view(2, 12).flip(1).view(8, 3) * 3).sum(1),
    "joined and flipped": lambda x: torch.cat([x * 2, x + 1], 1).view(6, 8).flip(0) + 1,
    "reshaped with a size of 0": lambda x: ((x * 2)[4:].unsqueeze(0) + 1, (x * 2)[4:].flatten()),
    "transposed and flattened": lambda x: (x * 2).t().flatten()[::3] + 1,
    "merged and split": lambda x: (x.exp().view(2, 2, 6).permute(1, 0, 2).reshape(4, 6) + x).sum(0),
}


@pytest.mark.parametrize("name", VIEWS_OF_COMPUTED)
def test_views_of_what_is_being_computed(name: str, interpreters) -> None:
    check(Call.of(VIEWS_OF_COMPUTED[name], torch.randn(4, 6)), interpreters, scale=8.0)


# Partitioning


@pytest.mark.parametrize("limit", [2, 3, 4, 8, 64])
def test_max_tensors_bounds_every_program(limit: int, interpreters) -> None:
    inputs = [torch.randn(5, 7) for _ in range(12)]

    def f(*tensors):
        return sum(t * i for i, t in enumerate(tensors, 1)).tanh(), tensors[0] + tensors[1]

    traced = Traced(Call.of(f, *inputs))
    for backend in interpreters:
        options = Options(backend=backend, check=True, max_tensors=limit)
        graph = GintCompiler(options).compile(traced.module)
        wide = [n for n in map(_slots, graph.record.listings) if n > max(limit, 3)]
        assert wide == []
        assert_same(traced.run(graph), f(*inputs), scale=100.0)
        if limit > 2:  # a sum of two tensors touches three
            assert graph.record.fallbacks == ()


def _slots(listing: str) -> int:
    from gint.program import assemble

    return len(assemble(listing).slots)


def test_the_partitioner_s_own_default_is_eight_tensors() -> None:
    assert GraphPartitioner().max_tensors == 8


# What is left whole

LISTED = """
add sub mul div remainder fmod pow neg abs sign reciprocal sqrt rsqrt exp exp2 expm1 log log2
log10 log1p sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh erf erfc sigmoid
floor ceil round trunc maximum minimum clamp where eq ne lt le gt ge logical_and logical_or
logical_xor logical_not bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift
bitwise_right_shift _to_copy full arange scalar_tensor relu gelu silu mish elu softplus hardtanh
hardswish leaky_relu lerp addcmul sum mean prod amax amin any all var var_mean argmax argmin
_softmax _log_softmax native_layer_norm _fused_rms_norm
"""


@pytest.mark.parametrize("name", LISTED.split())
def test_promised_operators_are_never_externs(name: str) -> None:
    packet = getattr(torch.ops.aten, name)
    overloads = [getattr(packet, o) for o in packet.overloads()]
    overloads = [o for o in overloads if _is_functional(o) and "Dimname" not in str(o._schema)]
    assert overloads
    for overload in overloads:
        assert not is_extern(overload)
        known = has_rule(overload) or overload in decompositions()
        assert known or _is_composite(overload), overload


def _is_functional(overload) -> bool:
    """An operator on tensors as it stands in AOTAutograd's graphs; not TorchScript's on numbers."""
    registered = torch._C._dispatch_has_kernel(overload.name())
    return registered and not overload._schema.is_mutable


def _is_composite(overload) -> bool:
    """Broken up by torch itself before a backend sees it."""
    key = "CompositeImplicitAutograd"
    return torch._C._dispatch_has_kernel_for_dispatch_key(overload.name(), key)


def test_the_list_of_externs_is_closed() -> None:
    names = [n for group in EXTERNS.values() for n in group]
    assert len(names) == len(set(names))
    known = [n for n in names if hasattr(torch.ops.aten, n)]
    assert set(names) - set(known) == set(), "not operators of this torch"


def test_what_a_record_calls_extern_is_on_the_list() -> None:
    def f(x, w, i):
        y = x @ w
        y = torch.cat([F.embedding(i, y).relu(), y.sort(0).values[:3]])
        return F.dropout(y, 0.1).cumsum(0)

    made = record(f, torch.randn(8, 4), torch.randn(4, 5), torch.tensor([1, 2, 3]))
    listed = {f"aten.{n}" for group in EXTERNS.values() for n in group}
    assert made.externs
    assert set(made.externs) <= listed


def test_attention_stays_whole() -> None:
    q = torch.randn(2, 4, 16, 8)
    made = record(lambda q: F.scaled_dot_product_attention(q, q, q, is_causal=True), q)
    assert list(made.externs) == ["aten._scaled_dot_product_flash_attention_for_cpu"]
    assert made.programs == 0


# Imports

FOLDER = Path(gint.conductor.__file__).parent


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_no_module_imports_inductor() -> None:
    for path in FOLDER.rglob("*.py"):
        guilty = {name for name in _imported(path) if "torch._inductor" in name}
        assert not guilty, path


def test_importing_the_conductor_imports_neither_aotautograd_nor_inductor_nor_sympy() -> None:
    code = (
        "import sys, torch, torch._dynamo; before = set(sys.modules); import gint.conductor;"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = done.stdout.split()
    assert [n for n in new if n.startswith(("torch._inductor", "torch._functorch", "sympy"))] == []


def test_compiling_imports_nothing_of_inductor_that_aot_eager_does_not() -> None:
    code = (
        "import sys, torch, gint.conductor as c; c.register_backend();"
        "f = lambda x: (x * 2).softmax(-1);"
        "torch.compile(f, backend='aot_eager')(torch.randn(3, 4)); before = set(sys.modules);"
        "torch._dynamo.reset();"
        "torch.compile(f, backend='gint', options={'backend': 'python'})(torch.randn(3, 4));"
        "print(*sorted(m for m in set(sys.modules) - before if m.startswith('torch._inductor')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("loss", ["huber_loss", "smooth_l1_loss"])
def test_a_loss_of_all_elements_does_not_store_the_differences(loss):
    def f(x, y):
        return getattr(torch.nn.functional, loss)(x, y.sign())

    x, y = torch.randn(6, 8), torch.randn(6, 8)
    (graph,) = explain(f, x, y).graphs
    assert graph.programs == 1
    torch.testing.assert_close(torch.compile(f, backend="gint")(x, y), f(x, y))


def test_a_stored_value_and_its_sum_are_one_program():
    def f(x, y):
        z = x * y + 1
        return z, z.sum()

    x, y = torch.randn(6, 8), torch.randn(6, 8)
    (graph,) = explain(f, x, y).graphs
    assert graph.programs == 1
    torch.testing.assert_close(torch.compile(f, backend="gint")(x, y), f(x, y))
