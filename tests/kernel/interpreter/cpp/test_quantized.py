"""Quantised products of the C++ module: weights in its own layout, forks, threads, memory."""

from __future__ import annotations

import mmap
import os
import pickle
import signal
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gint.kernel.interpreter.cpp.quantized import CppProducts, read_all
from gint.native.loader import load_native
from gint.quantized import FORMATS, QuantizedWeights, format_of
from tests.quantized.matrices import floats, values_of, weights_of

pytestmark = pytest.mark.cpp


def test_the_formats_are_those_of_the_table():
    assert load_native().quantized_formats() == [(f.gguf_name, f.block_bytes) for f in FORMATS]


def test_reading():
    memory = np.arange(100_003, dtype=np.uint8)
    bits = {read_all(memory, threads) for threads in (1, 2, 3)}
    assert len(bits) == 1
    memory[77_777] ^= 1
    assert read_all(memory, 2) not in bits


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_product_after_fork_ends():
    products, weights = CppProducts(), weights_of(format_of("q4_0"), 4096, 2048)
    x, out, again = floats(40, 2048), *np.empty((2, 40, 4096), np.float32)
    packed = products.prepare(weights, threads=2)
    products.multiply(x, packed, out, threads=2)
    child = os.fork()
    if child == 0:
        signal.alarm(30)  # waiting for threads that are not there ends the child
        products.multiply(x, packed, again, threads=2)
        os._exit(0 if np.array_equal(out, again) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_threads_of_python_do_not_meet():
    """Products of several callers at once, with the interpreter's lock let go."""
    products, weights = CppProducts(), weights_of(format_of("q8_0"), 500, 512)
    rows = [floats(9, 512, seed=n) for n in range(8)]
    alone = [np.empty((9, 500), np.float32) for _ in rows]
    together = [np.empty((9, 500), np.float32) for _ in rows]
    for x, out in zip(rows, alone, strict=True):
        products.multiply(x, weights, out)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            list(pool.map(lambda n: products.multiply(rows[n], weights, together[n]), range(8)))
            np.testing.assert_array_equal(alone, together)


def resident_now() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
@pytest.mark.skipif(
    "san.so" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers keep memory of their own"
)
def test_large_pages_take_a_sixteenth_more_than_the_bytes_at_most():
    """4.25 MiB are two large pages and a quarter, which is in small ones."""
    q8_0 = format_of("q8_0")
    data = np.ones((1024, q8_0.row_bytes(4096)), np.uint8)
    weights = QuantizedWeights(data, (1024, 4096), q8_0)
    products = CppProducts()
    products.prepare(weights)
    before = resident_now()
    held = [products.prepare(weights) for _ in range(16)]
    nbytes = sum(packed.nbytes for packed in held)
    assert nbytes == 16 * data.nbytes
    assert resident_now() - before <= nbytes * 17 / 16 + (1 << 20)


def test_packed_weights_belong_to_their_process():
    weights = weights_of(format_of("q4_k"), 17, 256)
    packed = CppProducts().prepare(weights)
    assert repr(packed) == "PackedWeights(shape=(17, 256), q4_k)"
    assert packed.nbytes >= weights.data.nbytes
    with pytest.raises(TypeError, match=r"pickle unpack\(\)\.data instead"):
        pickle.dumps(packed)
    again = CppProducts().prepare(weights_of(format_of("q4_k"), 17, 256))
    assert packed.recall_key == again.recall_key
    other = CppProducts().prepare(weights_of(format_of("q4_k"), 16, 256))
    assert packed.recall_key != other.recall_key


@pytest.mark.parametrize("rounds", [True, False])
def test_a_bound_product_is_the_product(rounds):
    """Of float32 arrays without gaps, weights of the same shape and format: also others."""
    products, x = CppProducts(), floats(3, 64)
    first, second = (weights_of(format_of("q8_0"), 19, 64) for _ in range(2))
    second.data[...] = second.data[::-1].copy()  # its rows the other way round
    packed = [products.prepare(w) for w in (first, second)]
    bound = products.bind(packed[0], rounds)
    for held in packed:
        found, wanted = np.full((2, 3, 19), np.nan, np.float32)
        bound(x, held, found)
        products.multiply(x, held, wanted, quantize_activations=rounds)
        np.testing.assert_array_equal(found, wanted)
    np.testing.assert_allclose(found, x @ values_of(second).T, atol=0.3)
