"""Models larger than the memory they may take."""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import threading
import weakref
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest

from airllm import AutoModel, tensor_ops
from airllm.checkpoint import CheckpointError
from airllm.model import streamed
from airllm.model.parts import Piece
from airllm.tensor_ops import steps
from tests.airllm.checkpoints import logits_of, model_of, tokens, torch, write

pytestmark = pytest.mark.torch
#: Sixteen times a row of 96 float32.
LEAST = 16 * 4 * 96


@pytest.mark.parametrize("budget", [LEAST, 20_000, 50_000, 200_000])
def test_logits_do_not_depend_on_the_budget(budget, folder):
    """Cut into few rows or many, and some of it kept."""
    ids, wanted = tokens(6), logits_of(model_of("llama"), tokens(6))
    mine = AutoModel.from_pretrained(folder, memory_budget=budget)
    assert isinstance(mine._decoder.weights, streamed.Streamed)
    cache = mine.new_cache(6)
    found = np.concatenate([mine(ids[:3], cache, every=True), *(mine(ids[n : n + 1], cache)
                                                               for n in range(3, 6))])  # fmt: skip
    np.testing.assert_allclose(found, wanted, atol=1e-4)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_halves(dtype, tmp_path):
    write(deepcopy(model_of("qwen2")).to(getattr(torch, dtype)), tmp_path)
    mine = AutoModel.from_pretrained(tmp_path, memory_budget=40_000)
    np.testing.assert_allclose(
        mine(tokens(5), every=True), AutoModel.from_pretrained(tmp_path)(tokens(5), every=True),
        atol=1e-4,
    )  # fmt: skip


def test_a_budget_that_is_too_small(folder):
    with pytest.raises(ValueError, match=rf"is {LEAST - 1} bytes; at least {LEAST} are needed"):
        AutoModel.from_pretrained(folder, memory_budget=LEAST - 1)
    with pytest.raises(ValueError, match="need a cache_dir"):
        AutoModel.from_pretrained(folder, memory_budget=9999, weights="q8_0", cache_dir=False)


def test_no_more_is_held_than_the_budget(folder, monkeypatch):
    """What was read and is not released, counted by the arrays that are alive."""
    alive, most, lock, read = {}, [0], threading.Lock(), Piece.read

    def watched(self):
        rows = read(self)
        with lock:
            alive[id(rows)] = rows.nbytes
            most[0] = max(most[0], sum(alive.values()))
        weakref.finalize(rows, alive.pop, id(rows), None)
        return rows

    monkeypatch.setattr(Piece, "read", watched)
    mine = AutoModel.from_pretrained(folder, memory_budget=60_000)
    mine.generate(tokens(4), 5, end_tokens=())
    assert 20_000 < most[0] <= 60_000


def test_a_pass_that_is_not_finished(folder, monkeypatch):
    """The next one begins at the first layer again, whatever has been read ahead."""
    ids = tokens(4)
    mine = AutoModel.from_pretrained(folder, memory_budget=20_000)
    wanted = mine(ids)

    def interrupted(*arguments):
        raise KeyboardInterrupt

    for _ in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(steps, "gate", interrupted)
            with pytest.raises(KeyboardInterrupt):
                mine(ids)
        np.testing.assert_array_equal(mine(ids), wanted)


def test_a_file_that_breaks_while_it_is_read(tmp_path):
    """Whoever computes is told, and nothing hangs."""
    write(model_of("llama"), tmp_path)
    mine = AutoModel.from_pretrained(tmp_path, memory_budget=20_000)
    file = tmp_path / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match=r"model.safetensors ends within tensor"):
        mine.generate(tokens(3), 2, end_tokens=())


def test_the_thread_ends_with_the_model(folder):
    mine = AutoModel.from_pretrained(folder, memory_budget=20_000)
    mine(tokens(2))
    thread = mine._decoder.weights._ahead._thread
    assert thread.is_alive()
    del mine
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_every_backend(backend, folder):
    with tensor_ops.use_backend(backend):
        found = AutoModel.from_pretrained(folder, memory_budget=100_000)(tokens(3), every=True)
    np.testing.assert_allclose(found, logits_of(model_of("llama"), tokens(3)), atol=1e-4)


# An address space that is limited

SIZE = 120 << 20
#: Threads' stacks, the allocator's own, what lies between steps, interpreters' frames.
SLACK = 28 << 20


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A checkpoint of 127 MiB, most of it matrices."""
    from safetensors.numpy import save_file

    from airllm.checkpoint.huggingface import architecture_of
    from airllm.checkpoint.tensors import shapes, stored_name

    config = {
        "model_type": "llama", "num_hidden_layers": 10, "hidden_size": 512,
        "intermediate_size": 1536, "num_attention_heads": 8, "num_key_value_heads": 4,
        "vocab_size": 1800, "max_position_embeddings": 256,
    }  # fmt: skip
    folder, random = tmp_path_factory.mktemp("large"), np.random.default_rng(0)
    (folder / "config.json").write_text(json.dumps(config))
    tensors = {}
    for role, shape in shapes(architecture_of(config, Path("config.json"))).items():
        scale = 1 / np.sqrt(shape[-1])
        values = random.standard_normal(shape, np.float32) * np.float32(scale)
        tensors[stored_name(role, 0)] = np.ones(shape, np.float32) if len(shape) < 2 else values
    save_file(tensors, folder / "model.safetensors")
    return folder


def run_limited(folder, budget, weights, cache_dir):
    script = Path(__file__).with_name("limited.py")
    few = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
    return subprocess.run(
        [sys.executable, script, folder, str(budget), str(SLACK), weights, cache_dir],
        capture_output=True, text=True, env=os.environ | few, timeout=120, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
@pytest.mark.parametrize("weights", ["keep", "q8_0"])
def test_an_eighth_of_the_checkpoint_is_enough(weights, large, tmp_path):
    size = (large / "model.safetensors").stat().st_size
    assert size > SIZE
    done = run_limited(large, size // 8, weights, tmp_path)
    assert done.returncode == 0, done.stderr
    mine = AutoModel.from_pretrained(large, weights=weights, dtype="stored")
    assert json.loads(done.stdout) == mine.generate([3, 4, 5], 4, end_tokens=())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
def test_the_limit_is_one(large, tmp_path):
    """Without a budget the same program finds no memory."""
    done = run_limited(large, 0, "keep", tmp_path)
    assert done.returncode
    assert "MemoryError" in done.stderr or "memory" in done.stderr.lower()


RESIDENT = """
import gguf, mmap, sys
from airllm import AutoModel
def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE
before = resident()
model = AutoModel.from_pretrained(sys.argv[1], weights="q8_0", cache_dir=False)
print(resident() - before, model.weight_bytes)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_what_opening_took_is_given_back(large):
    """Rows are read, and packed as blocks: only the blocks stay."""
    done = subprocess.run(
        [sys.executable, "-c", RESIDENT, large],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    grown, nbytes = map(int, done.stdout.split())
    assert grown < 1.1 * nbytes + (4 << 20)
