"""The tokenizer beside a model, by both packages that read one."""

from __future__ import annotations

import importlib.util

import pytest

from airllm.cli import tokenizers as ours
from airllm.cli.tokenizers import tokenizer_of
from tests.airllm.tokenizer_files import TEMPLATE, write_tokenizer

TURNS = [{"role": "user", "content": "Grüße"}, {"role": "assistant", "content": "oui"}]


@pytest.fixture
def without_transformers(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(ours, "find_spec", lambda n: None if n == "transformers" else found(n))


def test_without_a_template_texts_follow_one_another(tmp_path, without_transformers):
    write_tokenizer(tmp_path)
    read = tokenizer_of(tmp_path)
    assert (read.marks_turns, read.end_tokens) == (False, ())
    assert read.decode(read.encode(TURNS)) == "Grüßeoui"
    assert len(read.encode(TURNS)) == len("Grüßeoui".encode())


def test_transformers_knows_how_turns_are_marked(tmp_path):
    pytest.importorskip("transformers")
    write_tokenizer(tmp_path, TEMPLATE)
    read = tokenizer_of(tmp_path)
    assert (read.marks_turns, read.end_tokens) == (True, (2,))
    tokens = read.encode(TURNS)
    assert tokens.count(1) == 3  # two turns, and the next answer
    assert read.decode(tokens) == "user:Grüßeassistant:ouiassistant:"


def test_both_read_the_same_tokens(tmp_path, monkeypatch):
    pytest.importorskip("transformers")
    write_tokenizer(tmp_path)
    by_transformers = tokenizer_of(tmp_path).encode(TURNS)
    monkeypatch.setattr(ours, "find_spec", lambda n: None if n == "transformers" else object())
    assert tokenizer_of(tmp_path).encode(TURNS) == by_transformers


def test_what_is_not_there_is_said(tmp_path, without_transformers):
    with pytest.raises(ValueError, match="there is no such file or folder"):
        tokenizer_of(tmp_path / "none")
    with pytest.raises(ValueError, match=r"has no tokenizer\.json; copy the model's there\."):
        tokenizer_of(tmp_path)
    model = tmp_path / "model.gguf"
    model.write_bytes(b"GGUF")
    with pytest.raises(ValueError, match="or install transformers, which reads that of a GGUF"):
        tokenizer_of(model)


def test_the_package_that_is_missing_is_named(tmp_path, monkeypatch):
    write_tokenizer(tmp_path)
    monkeypatch.setattr(ours, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'gint\[llm\]'"):
        tokenizer_of(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "{}", "[]"])
def test_what_is_no_tokenizer_is_named(text, tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "tokenizer.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"tokenizer\.json has no tokenizer that transf") as raised:
        tokenizer_of(tmp_path)
    assert ".. " not in str(raised.value)


def test_a_broken_file_is_named(tmp_path):
    pytest.importorskip("transformers")
    model = tmp_path / "model.gguf"
    model.write_bytes(b"")
    with pytest.raises(ValueError, match=r"model\.gguf has no tokenizer that transformers"):
        tokenizer_of(model)
