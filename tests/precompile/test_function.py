"""Saved with torch's `aot_compile`, loaded in another process."""

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
from torch._dynamo.aot_compile import AOTCompiledFunction

from tests.precompile import functions
from tests.precompile.ahead import MARKS, PORTABLE, ahead, bytes_of

pytestmark = MARKS
ROOT = Path(__file__).parents[2]

LOADS = """
import sys
from pathlib import Path

import torch
from tests.precompile import functions
from tests.precompile.ahead import MARKS, PORTABLE, ahead, bytes_of

loaded = []
for name in ("apply", "write_and_view", "loss", "rows"):
    with (Path(sys.argv[1]) / name).open("rb") as file:
        loaded.append(torch.compiler.load_compiled_function(file))
functions.check(*loaded)
print(*[n for n in sys.modules if n.startswith("gint.conductor")])
print(torch._dynamo.utils.counters["stats"]["unique_graphs"])
"""


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
