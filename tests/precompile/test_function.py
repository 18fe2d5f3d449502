"""Saved with torch's `aot_compile`, loaded in another process."""

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch._dynamo.aot_compile import AOTCompiledFunction

from tests.precompile import functions

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(
        not torch._dynamo.config.enable_aot_compile,
        reason=f"torch {torch.__version__} has aot_compile switched off",
    ),
]
ROOT = Path(__file__).parents[2]
#: torch guards a module's code by identity, which no file can say.
PORTABLE = {"guard_filter_fn": torch.compiler.keep_portable_guards_unsafe}

LOADS = """
import sys
from pathlib import Path

import torch
from tests.precompile import functions

loaded = []
for name in ("apply", "write_and_view", "loss", "rows"):
    with (Path(sys.argv[1]) / name).open("rb") as file:
        loaded.append(torch.compiler.load_compiled_function(file))
functions.check(*loaded)
print(*[n for n in sys.modules if n.startswith("gint.conductor")])
print(torch._dynamo.utils.counters["stats"]["unique_graphs"])
"""


def ahead(function, *args, dynamic=None, **options):
    compiled = torch.compile(
        function, backend="gint", fullgraph=True, dynamic=dynamic, options=options
    )
    return compiled.aot_compile((args, {}))


def bytes_of(compiled):
    """gint's own bytes of a compiled function, and what makes a function of them."""
    kept = compiled._artifacts.compiled_fn
    return type(kept).serialize_compile_artifacts(kept), type(kept).deserialize_compile_artifacts


def test_another_process_runs_what_was_saved_and_compiles_nothing(tmp_path):
    module, x, y, weight = functions.data()
    with torch.no_grad():
        applied = ahead(functions.apply, module, x, **PORTABLE)
    made = [
        applied,
        ahead(functions.write_and_view, x.clone(), y),
        ahead(functions.loss, x, weight),
        ahead(functions.rows, x, dynamic=True),
    ]
    functions.check(*made)
    for name, compiled in zip(("apply", "write_and_view", "loss", "rows"), made, strict=True):
        compiled.save_compiled_function(str(tmp_path / name))
    done = subprocess.run(
        [sys.executable, "-c", LOADS, tmp_path], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stderr == ""
    assert done.stdout.split() == ["0"]


def test_what_was_loaded_can_be_saved_again():
    x = torch.randn(3, 5)
    once = AOTCompiledFunction.serialize(ahead(functions.rows, x)).serialized_data
    loaded = AOTCompiledFunction.deserialize(once, functions.rows.__globals__)
    data, make = bytes_of(loaded)
    torch.testing.assert_close(make(data)(x)[0], functions.rows(x))


def test_options_are_saved():
    x = torch.randn(3, 5)
    data, make = bytes_of(ahead(functions.rows, x, backend="python"))
    assert b'"backend":"python"' in data
    torch.testing.assert_close(make(data)(x)[0], functions.rows(x))


def test_bytes_that_are_not_what_was_saved_are_refused_in_words():
    data, make = bytes_of(ahead(functions.rows, torch.randn(3, 5)))
    newer = data[:4] + (99).to_bytes(4, "little") + data[8:]
    absent = data.replace(b'"backend":null', b'"backend":"none"')
    for bad, reason in (
        (data[:-1], "cut short"),
        (data[:100] + bytes([data[100] ^ 1]) + data[101:], "checksum"),
        (newer, "newer gint"),
        (b"", "does not start with"),
        (absent, "cut short or altered"),
    ):
        with pytest.raises(RuntimeError, match=f"cannot be used: .*{reason}"):
            make(bad)


def test_a_constant_that_was_altered_is_refused():
    constant = torch.arange(5.0)

    def f(x):
        return x + torch.tensor([0.0, 1.0, 2.0, 3.0, 4.0])

    data, make = bytes_of(ahead(f, constant))
    torch.testing.assert_close(make(data)(constant)[0], f(constant))
    with pytest.raises(RuntimeError, match="is not the one that was saved"):
        make(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def test_what_no_bytes_can_hold_is_refused_in_words():
    x = torch.randn(64, 64)

    def f(x):
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x,))

    with pytest.raises(RuntimeError, match="gint cannot save"):
        bytes_of(ahead(f, x))
    with pytest.raises(ValueError, match="quantised weights cannot be saved"):
        ahead(functions.rows, x, weights="q8_0")


def test_a_loaded_function_refuses_tangents_and_fake_tensors():
    x = torch.randn(3, 5)
    data, make = bytes_of(ahead(functions.rows, x))
    loaded = make(data)
    with torch.autograd.forward_ad.dual_level():
        torch.testing.assert_close(loaded(x)[0], functions.rows(x))
        dual = torch.autograd.forward_ad.make_dual(x, x)
        with pytest.raises(RuntimeError, match="carries no forward-mode tangents"):
            loaded(dual)
    with torch._subclasses.FakeTensorMode(), pytest.raises(RuntimeError, match="no fake tensors"):
        loaded(torch.empty(3, 5))


def test_a_backward_graph_takes_gradients_that_are_negative_by_a_bit():
    _, x, _, weight = functions.data()

    def f(x, weight):
        return torch.nn.functional.gelu(x @ weight)

    def gradient(function):
        out = function(x, weight)
        lazy = torch._neg_view(torch.ones_like(out))
        return torch.autograd.grad(out, weight, lazy)[0]

    saved = AOTCompiledFunction.serialize(ahead(f, x, weight)).serialized_data
    loaded = AOTCompiledFunction.deserialize(saved)
    torch.testing.assert_close(gradient(loaded), gradient(f))
