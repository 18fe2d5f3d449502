"""The eight models of the benchmarks through torch's own doors: saved by `aot_compile` with fixed
and with free sizes and run in another process, and compiled by a bare `torch.compile`."""

import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from gint.conductor import statistics
from tests.conductor.small_models import MODELS, build, example, reads_images
from tests.precompile.models import answer, check

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.torch

#: Saved with fixed sizes beside free ones: words, words with a table of positions, images. What a
#: plan says of an operator is in those with free sizes of every model.
FIXED = ("LlamaForCausalLM", "T5EncoderModel", "ResNetModel")

LOADS = """
import sys
from pathlib import Path

import torch
from tests.conductor.small_models import build
from tests.precompile.models import check

for path in sorted(Path(sys.argv[1]).glob("*/*")):
    with path.open("rb") as file:
        loaded = torch.compiler.load_compiled_function(file, f_globals={"torch": torch})
    check(loaded, build(path.name), path.parent.name == "free")
print(*[n for n in sys.modules if n.startswith("gint.conductor")])
print(torch._dynamo.utils.counters["stats"]["unique_graphs"])
"""


@pytest.mark.skipif(
    not torch._dynamo.config.enable_aot_compile,
    reason=f"torch {torch.__version__} has aot_compile switched off",
)
def test_another_process_runs_what_was_saved_of_a_model(tmp_path):
    for sizes, names in (("free", MODELS), ("fixed", FIXED)):
        (tmp_path / sizes).mkdir()
        for name in names:
            save(name, sizes, tmp_path / sizes / name)
    done = subprocess.run(
        [sys.executable, "-c", LOADS, tmp_path], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["0"]


@torch.no_grad()
def save(name: str, sizes: str, path: Path) -> None:
    torch._dynamo.reset()  # sizes of another model say nothing about this one
    model = build(name)
    (x,) = example(model, 2, 9).values()
    if sizes == "free":
        torch._dynamo.mark_dynamic(x, [0] if reads_images(model) else [0, 1])
    compiled = torch.compile(
        answer, backend="gint", fullgraph=True,
        # Of its own: torch takes the filter out of the options that it is given.
        options={"guard_filter_fn": torch.compiler.keep_portable_guards_unsafe},
    )  # fmt: skip
    compiled.aot_compile(((model, x), {})).save_compiled_function(str(path))


@pytest.mark.skipif(
    not hasattr(torch.compiler, "set_default_backend"),
    reason=f"torch {torch.__version__} has no default backend to set",
)
@pytest.mark.parametrize("name", MODELS)
def test_a_bare_compile_of_a_model_is_by_the_default_backend(name):
    model = build(name)
    torch.compiler.set_default_backend("gint")
    try:
        before = len(statistics())
        check(torch.compile(answer, fullgraph=True), model, False)
        assert len(statistics()) == before + 1
    finally:
        torch.compiler.set_default_backend(None)
