"""Matrices that are quantised once and kept in a file: its rows, its name, when it is made anew."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("gguf")

from airllm import AutoModel
from airllm.checkpoint.gguf_file import GGUFFile
from airllm.model.matrices import Matrix
from airllm.model.quantized_file import quantized_matrices
from gint.quantized import format_of, quantize
from tests.airllm.checkpoints import tokens
from tests.airllm.model.files import tensor_of

WANTED = {"0.qkv": format_of("q4_0"), "output": format_of("q8_0")}


@pytest.fixture
def values():
    rng = np.random.default_rng(0)
    shapes = {"q": (5, 64), "k": (3, 64), "o": (7, 64), "output": (11, 96)}
    return {name: rng.standard_normal(shape, np.float32) for name, shape in shapes.items()}


@pytest.fixture
def stored(values, tmp_path):
    q, k, o, output = (tensor_of(v, tmp_path / f"{name}.bin") for name, v in values.items())
    return [Matrix("0.qkv", (q, k)), Matrix("0.o", (o,)), Matrix("output", (output,))]


@pytest.fixture
def kept(stored, tmp_path):
    """(formats, ...) -> the matrices, from the file in tmp_path/cache."""

    def call(formats=WANTED, fingerprint="a", progress=lambda done, total: None, step=None):
        checkpoint = SimpleNamespace(path=tmp_path / "tiny.gguf", fingerprint=fingerprint)
        return quantized_matrices(checkpoint, stored, formats, tmp_path / "cache", progress, step)

    return call


def files(tmp_path):
    return sorted((tmp_path / "cache").glob("*"))


@pytest.mark.parametrize(("step", "count"), [(None, 3), (1, 19), (700, 16)])
def test_rows_are_the_matrices_quantised(step, count, kept, stored, values, tmp_path):
    """However few are quantised at a time."""
    qkv, o, output = kept(step=step)
    assert o == stored[1]
    both = np.concatenate([values["q"], values["k"]])
    for matrix, rows in ((qkv, both), (output, values["output"])):
        assert (matrix.outputs, matrix.inputs) == rows.shape
        assert {t.kind for t in matrix.tensors} == {WANTED[matrix.key].name}
        found = np.concatenate([t.read(0, t.shape[0]) for t in matrix.tensors])
        np.testing.assert_array_equal(found, quantize(rows, WANTED[matrix.key]))
    (file,) = files(tmp_path)
    assert file.name.startswith("tiny-")
    assert len(GGUFFile(file).tensors) == count


def test_the_second_time_nothing_is_quantised(kept, tmp_path):
    seen = []
    kept(progress=lambda done, total: seen.append((done, total)))
    total = 4 * (8 * 64 + 11 * 96)
    assert [done for done, _ in seen] == [4 * 5 * 64, 4 * 8 * 64, total]
    assert {said for _, said in seen} == {total}
    before = files(tmp_path)[0].stat().st_mtime_ns
    kept(progress=lambda done, total: pytest.fail("quantised again"))
    assert [f.stat().st_mtime_ns for f in files(tmp_path)] == [before]


def test_other_files_and_other_formats_are_kept_beside(kept, tmp_path):
    kept()
    kept(fingerprint="b")
    kept({**WANTED, "output": format_of("q4_1")})
    assert len(files(tmp_path)) == 3


def test_where_nothing_is_quantised_nothing_is_kept(kept, stored, tmp_path):
    assert kept({}) is stored
    assert files(tmp_path) == []


@pytest.mark.torch
@pytest.mark.parametrize("name", ["q4_0", "q8_0"])
def test_quantised_once_and_kept(name, folder, tmp_path):
    """The bits are those of blocks in memory. The second time nothing is quantised."""
    ids, seen = tokens(5), []
    wanted = AutoModel.from_pretrained(folder, weights=name, cache_dir=False)(ids, every=True)
    for budget in (30_000, None):
        seen.clear()
        mine = AutoModel.from_pretrained(
            folder, weights=name, cache_dir=tmp_path, memory_budget=budget,
            progress=lambda done, total: seen.append((done, total)),
        )  # fmt: skip
        np.testing.assert_array_equal(mine(ids, every=True), wanted)
        assert seen[-1][0] == seen[-1][1]
        assert len({total for _, total in seen}) == (2 if budget else 1)
    (kept,) = tmp_path.iterdir()
    assert kept.name.startswith(f"{folder.name}-")
    assert kept.suffix == ".gguf"


@pytest.mark.torch
def test_what_is_kept_is_whole(folder, tmp_path):
    """A file that was not finished is not there; one that is broken is made anew."""

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        AutoModel.from_pretrained(folder, weights="q8_0", cache_dir=tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []
    wanted = AutoModel.from_pretrained(folder, weights="q8_0", cache_dir=tmp_path)(tokens(3))
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:-100])
    found = AutoModel.from_pretrained(folder, weights="q8_0", cache_dir=tmp_path)(tokens(3))
    np.testing.assert_array_equal(found, wanted)
