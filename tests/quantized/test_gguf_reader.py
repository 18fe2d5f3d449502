"""The reader without vocabulary against the package's own."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

gguf = pytest.importorskip("gguf")

from gint.quantized.gguf_reader import Reader

TEXTS = [f"text {i}" for i in range(5000)]


def write(path, texts=TEXTS, endianess=gguf.GGUFEndian.LITTLE):
    writer = gguf.GGUFWriter(path, "llama", endianess=endianess)
    writer.add_context_length(77)
    writer.add_array("numbers", [3, 1, 4])
    writer.add_array("halves", [0.5, -1.5])
    writer.add_token_list(texts)
    writer.add_token_types([1] * len(texts))
    writer.add_rope_freq_base(1e6)
    writer.add_tensor("a", np.arange(64, dtype=np.float32).reshape(2, 32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.mark.parametrize("order", list(gguf.GGUFEndian), ids=lambda order: order.name)
def test_reads_what_gguf_reads_but_texts(order, tmp_path):
    path = write(tmp_path / "a.gguf", ["", "one", "two"], order)
    found, wanted = Reader(path), gguf.GGUFReader(path)
    assert list(found.fields) == list(wanted.fields)
    for name, field in wanted.fields.items():
        contents = [] if name == "tokenizer.ggml.tokens" else field.contents()
        assert found.fields[name].contents() == contents
        is_list = isinstance(field.contents(), list)
        assert found.length_of(name) == (len(field.contents()) if is_list else None)
    (mine,), (theirs,) = found.tensors, wanted.tensors
    assert (mine.name, mine.data_offset) == (theirs.name, theirs.data_offset)
    np.testing.assert_array_equal(mine.data, theirs.data)
    assert found.length_of("missing") is None


def test_texts_take_no_memory(tmp_path):
    path = write(tmp_path / "a.gguf")
    tracemalloc.start()
    try:
        reader = Reader(path)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reader.length_of("tokenizer.ggml.tokens") == len(TEXTS)
    assert most < 8 * len(TEXTS)


def test_a_file_that_ends_in_a_list_is_refused(tmp_path):
    path = write(tmp_path / "a.gguf", ["", "one", "two"])
    data = path.read_bytes()
    for end in range(24, len(data), 7):
        path.write_bytes(data[:end])
        with pytest.raises((ValueError, IndexError)):
            Reader(path)
    begin = data.index(b"numbers") + len(b"numbers") + 8  # behind the types: the length
    for kind in (5, 8):  # of a list of numbers, and of texts
        head = data[: begin - 4] + bytes([kind, 0, 0, 0]) + b"\xff" * 8
        path.write_bytes(head + data[begin + 8 :])
        with pytest.raises(ValueError, match="ends within a list"):
            Reader(path)
