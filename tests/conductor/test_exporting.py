"""Functions saved by `export` and loaded again, compared with eager."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from torch import nn

import gint
from gint.conductor import export
from gint.conductor.capture import ExportError
from gint.operators import OPERATORS
from gint.plan import Launch

pytestmark = pytest.mark.torch
N = torch.export.Dim("n")


def mlp() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(32, 64), nn.GELU(), nn.LayerNorm(64), nn.Linear(64, 8), nn.Softmax(-1)
    )


def saved(model, args, path: Path, **how):
    """The function as it comes back from its file."""
    export(model, args, path=path, with_torch=True, **how)
    return gint.load(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.gint"


def test_one_file_serves_all_lengths(path):
    model = mlp()
    loaded = saved(model, (torch.randn(5, 32),), path, dynamic_shapes=({0: N},))
    for n in (5, 1, 0, 17, 300):
        x = torch.randn(n, 32)
        torch.testing.assert_close(loaded(x), model(x))
        torch.testing.assert_close(loaded(input=x[:, :]), model(x))


def test_a_size_may_be_known_as_a_multiple_alone(path):
    loaded = saved(nn.ReLU(), (torch.ones(7, 4),), path, dynamic_shapes=({0: 2 * N + 3},))
    for n in (0, 1, 6):
        assert loaded(torch.ones(2 * n + 3, 4)).shape == (2 * n + 3, 4)
    with pytest.raises(ValueError, match=r"3 \+ \(2\*n\), 4\), not \(6, 4\), where n = 1"):
        loaded(torch.ones(6, 4))
    with pytest.raises(ValueError, match="n is at least 0"):
        loaded(torch.ones(1, 4))


def test_a_size_that_is_computed_to_be_one_is_broadcast(path):
    """A table of biases, cut to the last of its rows and columns, as ALiBi does."""
    table = torch.randn(2, 1, 16)

    def biased(x):
        n = x.shape[-1]
        return x + table[:, max(0, 1 - n) :, max(0, 16 - n) :]

    free = ({2: (n := torch.export.Dim("n", max=15)), 3: n},)
    export(biased, (torch.randn(3, 2, 5, 5),), dynamic_shapes=free, path=path)
    loaded = gint.load(path)
    for n in (5, 1, 12):
        torch.testing.assert_close(loaded(x := torch.randn(3, 2, n, n)), biased(x))
    with pytest.raises(ValueError, match=r"n is at most 15\. Here n = 17\.$"):
        loaded(torch.randn(3, 2, 17, 17))


def test_what_an_operator_writes_into_what_it_makes_is_no_hindrance(path):
    model = nn.Sequential(nn.Linear(32, 32), nn.RMSNorm(32, elementwise_affine=False))
    loaded = saved(model, (torch.randn(5, 32),), path, dynamic_shapes=({0: N},))
    for n in (5, 2):
        x = torch.randn(n, 32)
        torch.testing.assert_close(loaded(x), model(x))
        torch.testing.assert_close(torch.from_numpy(loaded(x.numpy())), model(x))


@pytest.mark.parametrize("rows", [1, 7])
def test_heads_that_are_repeated_for_attention_alone_are_not_copied(path, rows):
    class Attention(nn.Module):
        def forward(self, q, k, v):
            k, v = (t[:, :, None].expand(2, 2, 3, 7, 8).reshape(2, 6, 7, 8) for t in (k, v))
            return nn.functional.scaled_dot_product_attention(q, k, v)

    given = torch.randn(2, 6, rows, 8), torch.randn(2, 2, 7, 8), torch.randn(2, 2, 7, 8)
    loaded = saved(Attention().eval(), given, path)
    assert not any(isinstance(step, Launch) for step in loaded.plan.steps)
    expected = Attention()(*given)
    torch.testing.assert_close(loaded(*given), expected)
    found = loaded(*[t.numpy() for t in given])
    torch.testing.assert_close(torch.from_numpy(found), expected)


def test_a_loaded_function_imports_no_tracer(path):
    export(mlp(), (torch.ones(5, 32),), path=path, with_torch=True)
    code = (
        "import sys, torch, gint\n"
        "before = set(sys.modules)\n"
        f"print(gint.load({str(path)!r})(torch.ones(5, 32)).sum().item())\n"
        "new = {m for m in set(sys.modules) - before if not m.startswith('gint.')}\n"
        "print(sorted(m for m in new if m.partition('.')[0] in ('torch', 'sympy')))\n"
        "assert 'gint.conductor' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    total, modules = done.stdout.splitlines()
    assert float(total) == pytest.approx(5, abs=1e-4)
    assert modules == "[]"


class Counting(nn.Module):
    """Has a buffer that it writes into, writes into an argument, and returns all sorts."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(8, 16)
        self.register_buffer("count", torch.zeros(3))
        self.plain = torch.ones(16)

    def forward(self, x, y=None, flag=True, *, z):
        self.count.add_(1)
        x.mul_(2)
        h = torch.relu(self.linear(x)) + self.plain
        return {"h": h * z, "rest": (self.count + 1, x.shape[0], 3, None), "x": [x]}


def test_state_arguments_and_results_of_all_sorts(path):
    model = Counting()
    export(
        model, (torch.randn(4, 8), None, True), {"z": torch.tensor(2.0)}, path=path,
        dynamic_shapes={"x": {0: N}, "y": None, "flag": None, "z": None}, with_torch=True,
    )  # fmt: skip
    loaded = gint.load(path)
    for n in (4, 1, 7):
        x, z = torch.randn(n, 8), torch.randn(())
        other = x.clone()
        found, wanted = loaded(other, None, True, z=z), model(x, None, True, z=z)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(other, x)
    with pytest.raises(TypeError, match="flag was True when this was exported"):
        loaded(x, None, False, z=z)
    with pytest.raises(TypeError, match="argument 'z' is missing"):
        loaded(x, None, True)
    with pytest.raises(ValueError, match=r"x has the shape \(\w+, 8\), not \(4, 9\)"):
        loaded(torch.ones(4, 9), None, True, z=z)
    with pytest.raises(ValueError, match="x has 2 dimensions, not 1"):
        loaded(torch.ones(8), None, True, z=z)
    with pytest.raises(TypeError, match="x is of float32, not of float64"):
        loaded(torch.ones(4, 8).double(), None, True, z=z)


class Branching(nn.Module):
    def forward(self, x):
        if x.sum() > 0:
            return x + 1
        return x


class Listing(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list = []

    def forward(self, x):
        self.seen.append(1)
        return x * 2


class Remembering(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = torch.zeros(4)

    def forward(self, x):
        self.last.copy_(x[-1])
        return x + self.last


class Decomposing(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x + 1)[1]


@pytest.mark.parametrize(
    ("model", "reason", "line"),
    [
        (Branching(), "depends on the values of tensors", "if x.sum() > 0:"),
        (Listing(), "A call changes 'seen' of Listing", "self.seen.append(1)"),
        (Remembering(), "neither an argument nor a buffer", "self.last.copy_(x[-1])"),
        (Decomposing(), "aten._linalg_svd.default needs torch", "torch.linalg.svd(x + 1)[1]"),
    ],
)
def test_what_cannot_be_saved_is_said_with_the_line(path, monkeypatch, model, reason, line):
    monkeypatch.delitem(OPERATORS, "aten._linalg_svd.default", raising=False)
    with pytest.raises(ValueError, match=re.escape(reason)) as found:
        export(model, (torch.ones(3, 4),), path=path)
    assert line in str(found.value)
    assert Path(__file__).name in str(found.value)
    assert not path.exists()


def test_a_mixture_of_experts_is_told_what_to_do(path):
    with torch.library._scoped_library("test_experts", "DEF") as library:
        library.define("grouped_mm(Tensor x) -> Tensor")
        library.impl("grouped_mm", torch.clone, "CompositeExplicitAutograd")
        library.impl("grouped_mm", torch.empty_like, "Meta")
        with pytest.raises(ValueError, match=r'set_experts_implementation\("batched_mm"\)'):
            export(torch.ops.test_experts.grouped_mm, (torch.ones(3),), path=path)


@pytest.mark.parametrize(
    ("given", "kind", "reason"),
    [
        ({"path": "model.bin"}, ValueError, "path ends in .gint, unlike"),
        ({"path": "none/model.gint"}, FileNotFoundError, "There is no folder"),
        ({"weights": "q8_0"}, ValueError, "quantize= takes a format"),
        ({"operators": "aten.mm.default"}, TypeError, "operators is a list of names"),
        ({"args": torch.ones(3, 4)}, TypeError, "args is a tuple of the arguments, not a Tensor"),
        ({"kwargs": 3}, TypeError, "kwargs is a dict of arguments, not a int"),
        ({"dynamic_shapes": ({1: N},)}, ValueError, "n as dynamic but your code specialized it"),
        ({"model": "model.py"}, TypeError, "What is saved is a module, a function or"),
    ],
)
def test_wrong_arguments_are_refused_in_words(path, given, kind, reason):
    wanted = {"model": nn.Linear(4, 4), "args": (torch.ones(3, 4),), **given}
    wanted["path"] = path.parent / given.get("path", path.name)
    with pytest.raises(kind, match=re.escape(reason)):
        export(**wanted)
    assert not list(path.parent.iterdir())


def test_no_path_is_said():
    with pytest.raises(TypeError, match="path is that of a file, a str or a Path, not None"):
        export(nn.Linear(4, 4), (torch.ones(3, 4),), path=None)


def test_a_tensor_that_lies_elsewhere_is_said(path):
    export(nn.Linear(4, 4), (torch.ones(3, 4),), path=path)
    with pytest.raises(TypeError, match="is a torch tensor on the CPU, not one on meta"):
        gint.load(path)(torch.ones(3, 4, device="meta"))


def test_sizes_may_depend_on_values(path):
    loaded = saved(Found(), (torch.ones(3, 4),), path)
    x = torch.tensor([[0.0, 1, 2, 0]]).expand(3, 4)
    torch.testing.assert_close(loaded(x), Found()(x))


class Found(nn.Module):
    def forward(self, x):
        return x.nonzero() * 2


class Cache(nn.Module):
    """A layer of attention whose keys and values are kept in arguments that it writes into."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(16, 48)

    def forward(self, x, keys, values, at):
        q, k, v = self.project(x).view(x.shape[0], -1, 3, 2, 8).unbind(2)
        keys.index_copy_(1, at, k)
        values.index_copy_(1, at, v)
        mask = torch.arange(keys.shape[1]) <= at[:, None]
        q, k, v = (t.transpose(1, 2) for t in (q, keys, values))
        return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)


@pytest.mark.parametrize("on_arrays", [False, True])
def test_a_cache_is_written_in_place_by_prefill_and_decoding_alike(path, on_arrays):
    model, most = Cache(), torch.export.Dim("most", min=1)
    example = (torch.randn(1, 5, 16), torch.zeros(1, 32, 2, 8), torch.zeros(1, 32, 2, 8))
    shapes = ({1: N}, {1: most}, {1: most}, {0: N})
    export(model, (*example, torch.arange(5)), path=path, dynamic_shapes=shapes, with_torch=True)
    loaded = gint.load(path)
    kept = [torch.zeros(1, 40, 2, 8) for _ in range(4)]
    start = 0
    for n in (7, 1, 1, 3):
        x, at = torch.randn(1, n, 16), torch.arange(start, start + n)
        start += n
        with torch.no_grad():
            wanted = model(x, *kept[:2], at)
        given = (x, *kept[2:], at)
        found = loaded(*([t.numpy() for t in given] if on_arrays else given))
        torch.testing.assert_close(torch.as_tensor(found), wanted)
        torch.testing.assert_close(kept[2:], kept[:2])


@pytest.mark.parametrize("on_arrays", [False, True])
def test_as_strided_of_an_argument_that_lies_otherwise_is_refused(path, on_arrays):
    """It counts in memory, also where what it is applied to was computed from the argument."""

    def function(x, y):
        return x.as_strided((3,), (1,), 4) * 2, (x * 2).as_strided((2, 3), (1, 2)), y.t() + 1

    given = torch.arange(32.0).view(4, 8), torch.ones(2, 3)
    loaded = saved(function, given, path, dynamic_shapes=({0: N}, None))
    wide = torch.arange(80.0).view(5, 16)
    for x in (given[0], torch.arange(40.0)[8:].view(4, 8), wide.flatten().view(10, 8)):
        for y in (given[1], torch.ones(3, 2).t()):
            expected = function(x, y)
            if on_arrays:
                if x.storage_offset():
                    continue  # an array begins where its first element lies
                found = map(torch.as_tensor, loaded(x.numpy(), y.numpy()))
            else:
                found = loaded(x, y)
            for a, b in zip(found, expected, strict=True):
                torch.testing.assert_close(a, b)
    for x in (wide[:, ::2], torch.arange(32.0).view(8, 4).t()):
        args = (x.numpy(), given[1].numpy()) if on_arrays else (x, given[1])
        with pytest.raises(ValueError, match=r"memory of x, .* strides of \(8, 1\) elements"):
            loaded(*args)


def test_tensors_whose_memory_holds_other_values_are_read_for_what_they_are(path):
    """Negatives, conjugates, and zeros that autograd has not made."""

    def function(x, w):
        return x * 2 + 1, x @ w, x.t()

    x, w = torch.randn(4, 4), torch.randn(4, 4)
    loaded = saved(function, (x, w), path)
    for given in (torch._neg_view(x), torch._efficientzerotensor((4, 4))):
        for found, expected in zip(loaded(given, w), function(given, w), strict=True):
            torch.testing.assert_close(found, expected)

    class Counter(nn.Module):
        def forward(self, x):
            return x.add_(1)

    counted = saved(Counter(), (x.clone(),), path)
    with pytest.raises(ValueError, match="x is written into, and its memory holds negatives"):
        counted(torch._neg_view(x))


def test_a_weight_that_is_normalised_and_a_branch_that_writes(path):
    """The one is computed by a program; of the other torch makes no graph, and gint a sentence."""
    model = nn.utils.parametrizations.weight_norm(nn.Conv1d(3, 5, 3)).eval()
    export(model, (torch.ones(1, 3, 8),), path=path)
    x = torch.randn(1, 3, 8)
    torch.testing.assert_close(torch.from_numpy(gint.load(path)(x.numpy())), model(x))

    def writing(x):
        return torch.cond(x.sum() > 0, lambda t: t.mul_(2) * 1, lambda t: t * 2, (x,))

    with pytest.raises(ExportError, match=r"torch.cond is given it must not write\."):
        export(writing, (x,), path=path)


class FilledInPieces(nn.Module):
    def forward(self, x):
        y = torch.mm(x, x.t())
        y[:, 1:3] = y[:, 0:2] * 2
        z = torch.zeros(5, 5)
        z[1:3] = y[:2]
        return y, z


@pytest.mark.parametrize("on_arrays", [False, True])
def test_what_is_written_into_piece_by_piece_is_copied_by_the_plan(path, on_arrays):
    export(FilledInPieces(), (torch.randn(5, 5),), path=path)
    x = torch.randn(5, 5)
    found = gint.load(path)(x.numpy() if on_arrays else x)
    for ours, wanted in zip(found, FilledInPieces()(x), strict=True):
        torch.testing.assert_close(torch.as_tensor(ours), wanted)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
@pytest.mark.parametrize("weights", ["inside", "beside"])
@pytest.mark.parametrize("is_new", [True, False])
def test_a_full_disk_leaves_what_was_there(path, weights, is_new):
    """Whatever a process may not write counts as full: a part is written, and then no more."""
    import resource

    x = torch.ones(2, 300)
    if not is_new:
        export(nn.Identity(), (x,), path=path)
    before = {file: file.read_bytes() for file in path.parent.iterdir()}
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OSError, match=path.stem):
            export(nn.Linear(300, 300), (x,), path=path, weights=weights)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {file: file.read_bytes() for file in path.parent.iterdir()} == before
    assert is_new or torch.equal(gint.load(path)(x), x)
