"""torch's precompile cache: what one process compiled, the next one runs."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.torch
ROOT = Path(__file__).parents[2]

RUNS = """
import sys
from pathlib import Path

import torch
from tests.precompile import functions

artifacts = Path(sys.argv[1])
if artifacts.exists():
    torch.compiler.load_cache_artifacts(artifacts.read_bytes())
made = [
    torch.compile(f, backend="gint", dynamic=f is functions.rows or None)
    for f in (functions.apply, functions.write_and_view, functions.loss, functions.rows)
]
functions.check(*made)
import gint.conductor

print(len(gint.conductor.statistics()))
if not artifacts.exists():
    artifacts.write_bytes(torch.compiler.save_cache_artifacts()[0])
"""


def run(artifacts: Path, cache: Path) -> int:
    """How many graphs gint compiled in a process with that cache folder."""
    settings = {
        "TORCH_CACHING_PRECOMPILE": "1", "TORCHINDUCTOR_CACHE_DIR": str(cache),
        "TORCH_LOGS": "-dynamo",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", RUNS, artifacts],
        capture_output=True, text=True, cwd=ROOT, env=os.environ | settings,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> Path:
    """What a first process leaves: its artifacts, and its cache folder."""
    folder = tmp_path_factory.mktemp("first")
    assert run(folder / "artifacts", folder / "cache") == 5
    return folder


def test_a_second_process_compiles_nothing(first, tmp_path):
    assert run(first / "artifacts", tmp_path / "cache") == 0


def test_what_cannot_be_used_is_compiled_again(first, tmp_path):
    """By a newer gint, altered, cut short: an entry each."""
    cache = shutil.copytree(first / "cache", tmp_path / "cache")
    entries = sorted(cache.glob("dynamo/*/entry"))
    assert len(entries) == 4
    for n, entry in enumerate(entries):
        data = entry.read_bytes()
        damaged = (
            data.replace(b"GPLN\1", b"GPLN\2"),
            data.replace(b'"programs":[', b'"programs":{'),
            data[: len(data) // 2],
        )[n % 3]
        assert damaged != data
        entry.write_bytes(damaged)
    assert run(tmp_path / "others", cache) == 5


@pytest.mark.skipif(
    not hasattr(torch.compiler, "set_default_backend"),
    reason=f"torch {torch.__version__} has no default backend to set",
)
def test_gint_can_be_the_backend_of_every_torch_compile():
    from gint.conductor import statistics

    torch.compiler.set_default_backend("gint")
    try:
        before = len(statistics())
        x = torch.randn(4, 6)
        torch.testing.assert_close(torch.compile(lambda x: x.sin() + 1)(x), x.sin() + 1)
        assert len(statistics()) == before + 1
    finally:
        torch.compiler.set_default_backend(None)
