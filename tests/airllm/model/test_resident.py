"""What a model in memory takes beside its file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.airllm.checkpoints import model_of

PROGRAM = Path(__file__).parent / "resident_bytes.py"
#: Beside a tenth of this file: the native module's code and Python's objects, 4 MiB, once seen as
#: 5.4. A prompt's steps that are kept make it 10, a cache that is resident as a whole over 40.
FIXED = 7 << 20


@pytest.mark.torch
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_little_more_than_the_file_is_resident(tmp_path):
    """A prompt's steps, and positions of the cache that nothing is known of, take nothing."""
    pytest.importorskip("gguf")
    from benchmarks.gguf_file import write_gguf

    sizes = {"hidden_size": 512, "intermediate_size": 1408, "num_hidden_layers": 12}
    heads = {"num_attention_heads": 8, "num_key_value_heads": 4}
    model = model_of("llama", **sizes, **heads, tie_word_embeddings=True)
    path = write_gguf(model, tmp_path / "model.gguf", "q8_0")
    size = path.stat().st_size
    assert size > 4 * FIXED
    done = subprocess.run(
        [sys.executable, PROGRAM, path], capture_output=True, text=True, check=True, timeout=100
    )
    assert 0.9 * size < int(done.stdout) < 1.1 * size + FIXED
