"""safetensors files: as the package writes them, and broken ones."""

from __future__ import annotations

import json

import numpy as np
import pytest

from airllm.checkpoint import CheckpointError
from airllm.checkpoint.safetensors_file import read_tensors

MADE = np.random.default_rng(0).standard_normal((7, 5)).astype("f4")


def write(path, header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)
    return path


def said(**changes):
    return {"x": {"dtype": "F32", "shape": [7, 5], "data_offsets": [0, 140], **changes}}


def test_as_the_package_writes_it(tmp_path):
    save_file = pytest.importorskip("safetensors.numpy").save_file
    path = tmp_path / "model.safetensors"
    tensors = {"x": MADE, "half": MADE.astype("f2"), "none": MADE[:0], "one": np.array(MADE[0, 0])}
    save_file(tensors, path, metadata={"format": "pt"})
    found = read_tensors(path)
    assert set(found) == set(tensors)
    for name, tensor in found.items():
        assert tensor.name == name
        assert tensor.file == path
        assert tensor.shape == tensors[name].shape
    assert (found["x"].kind, found["half"].kind) == ("f32", "f16")
    np.testing.assert_array_equal(found["x"].read(2, 6), MADE[2:6])
    np.testing.assert_array_equal(found["half"].read(0, 7), tensors["half"])
    assert found["none"].read(0, 0).shape == (0, 5)


def test_the_bits_of_bfloat16(tmp_path):
    data = (MADE.view("u4") >> 16).astype("u2")
    path = write(tmp_path / "x", said(dtype="BF16", data_offsets=[0, 70]), data.tobytes())
    found = read_tensors(path)["x"]
    assert found.kind == "bf16"
    np.testing.assert_array_equal(found.read(0, 7), data)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "a header of 0 bytes does not fit into its 0 bytes"),
        (b"\x10\0\0", "does not fit into its 3 bytes"),
        ((1 << 62).to_bytes(8, "little") + b"{}", "does not fit into its 10 bytes"),
        ((2).to_bytes(8, "little") + b"{x", "its header is no JSON:"),
        ((2).to_bytes(8, "little") + b"[]", "its header is no JSON object"),
        ((2).to_bytes(8, "little") + b"\xff\xfe", "its header is no JSON"),
    ],
)
def test_a_header_that_is_none(content, words, tmp_path):
    path = tmp_path / "x"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=f"x is broken: .*{words}"):
        read_tensors(path)


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [7]}, {"shape": [-7, -5]}, {"data_offsets": [140, 0]}, {"data_offsets": [4, 140]},
        {"data_offsets": [-140, 0]}, {"dtype": "F16"},
    ],
)  # fmt: skip
def test_a_tensor_whose_sizes_disagree(changes, tmp_path):
    path = write(tmp_path / "x", said(**changes), MADE.tobytes())
    with pytest.raises(CheckpointError, match=r"tensor 'x' of shape .* has the bytes"):
        read_tensors(path)


@pytest.mark.parametrize(
    "header",
    [{"x": 3}, {"x": {}}, said(shape=3), said(shape=["a"]), said(data_offsets=[0]), {"x": None}],
)
def test_a_tensor_of_which_too_little_is_said(header, tmp_path):
    path = write(tmp_path / "x", header, MADE.tobytes())
    with pytest.raises(CheckpointError, match="does not say type, shape and place of tensor 'x'"):
        read_tensors(path)


def test_a_file_that_was_cut_short_names_the_tensor(tmp_path):
    path = write(tmp_path / "x", said(), MADE.tobytes()[:-1])
    with pytest.raises(CheckpointError, match="'x'"):
        read_tensors(path)["x"].read(0, 7)


def test_no_file(tmp_path):
    with pytest.raises(CheckpointError, match="cannot be read: No such file"):
        read_tensors(tmp_path / "none")
