"""`airllm chat`, answered by a tiny model with random weights."""

from __future__ import annotations

import importlib.util
import io
import subprocess
import sys

import pytest

from airllm import AutoModel
from airllm.cli import main
from airllm.cli.tokenizers import tokenizer_of
from tests.airllm.checkpoints import model_of, write
from tests.airllm.gguf_files import write_gguf
from tests.airllm.tokenizer_files import SIZE, TEMPLATE, write_tokenizer

pytestmark = pytest.mark.torch
GREEDY = ["--temperature", "0", "--max-new-tokens", "12"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = write(model_of("llama", vocab_size=SIZE), tmp_path_factory.mktemp("llama"))
    write_tokenizer(found, TEMPLATE)
    return found


def continued(folder, ids, count=12, ends=(2,)):
    model = AutoModel.from_pretrained(folder)
    answer = model.generate(ids, count, end_tokens=ends)
    return answer, tokenizer_of(folder).decode(answer)


def test_one_answer(folder, capsys):
    assert main(["chat", str(folder), "--prompt", "Hello", "--system", "Be brief", *GREEDY]) == 0
    ids = tokenizer_of(folder).encode(
        [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hello"}]
    )
    assert bytes(t for t in ids if t > 2)  # special tokens mark the turns
    assert ids[0] == ids[len("<system:Be brief")] == 1
    assert capsys.readouterr().out == continued(folder, ids)[1] + "\n"


def test_turns_that_are_typed(folder, capsys, monkeypatch):
    """The second answer knows the first."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("one\n\ntwo\n"))
    assert main(["chat", str(folder), *GREEDY]) == 0
    encode, messages, wanted = tokenizer_of(folder).encode, [], ""
    for text in ("one", "two"):
        messages.append({"role": "user", "content": text})
        said = continued(folder, encode(messages))[1]
        messages.append({"role": "assistant", "content": said})
        wanted += said + "\n"
    assert capsys.readouterr().out == wanted


def test_a_stop_word_ends_an_answer(folder, capsys):
    full = continued(folder, tokenizer_of(folder).encode([{"role": "user", "content": "Hi"}]))[1]
    stop = full[3]
    assert main(["chat", str(folder), "--prompt", "Hi", "--stop", stop, *GREEDY]) == 0
    assert capsys.readouterr().out == full.partition(stop)[0] + "\n"


def test_seeds_decide(folder, capsys):
    found = []
    for seed in ("1", "1", "2"):
        main(["chat", str(folder), "--prompt", "Hi", "--seed", seed, "--temperature", "2"])
        found.append(capsys.readouterr().out)
    assert found[0] == found[1] != found[2]


def test_without_transformers(folder, capsys, monkeypatch):
    """Then turns are not marked."""
    monkeypatch.setattr(
        "airllm.cli.tokenizers.find_spec",
        lambda name: None if name == "transformers" else importlib.util.find_spec(name),
    )
    assert not tokenizer_of(folder).marks_turns
    assert tokenizer_of(folder).decode([1, *tokenizer_of(folder).encode(
        [{"role": "user", "content": "née 世"}])]) == "née 世"  # fmt: skip
    assert main(["chat", str(folder), "--prompt", "Hello", *GREEDY]) == 0
    ids = tokenizer_of(folder).encode([{"role": "user", "content": "Hello"}])
    assert capsys.readouterr().out == continued(folder, ids)[1] + "\n"
    monkeypatch.setattr("airllm.cli.tokenizers.find_spec", lambda name: None)
    assert main(["chat", str(folder), "--prompt", "Hello"]) == 2
    assert "needs the package tokenizers: pip install 'gint[llm]'" in capsys.readouterr().err


def test_a_gguf_file_with_a_tokenizer_beside_it(tmp_path, capsys):
    path = write_gguf(model_of("llama", vocab_size=SIZE), tmp_path / "model.gguf", "Q8_0")
    write_tokenizer(tmp_path, TEMPLATE)
    assert main(["chat", str(path), "--prompt", "Hello", *GREEDY]) == 0
    assert capsys.readouterr().out.endswith("\n")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent"], "absent: there is no such file or folder"),
        (["{folder}", "--weights", "q9"], "'q9' is no format of weights"),
        (["{folder}", "--temperature", "-1"], "temperature must be at least 0"),
        (["{folder}", "--memory", "100"], "memory_budget is 100 bytes; at least"),
        (["{folder}", "--context", "8"], "there is room for 8."),
    ],
)
def test_what_cannot_be_done_is_said(arguments, sentence, folder, capsys):
    given = [a.format(folder=folder) for a in arguments]
    assert main(["chat", *given, "--prompt", "x" * 100]) == 2
    error = capsys.readouterr().err
    assert error.startswith("airllm: ")
    assert sentence in error
    assert "Traceback" not in error


def test_the_module_is_a_command(folder):
    done = subprocess.run(
        [sys.executable, "-m", "airllm.cli", "chat", folder, "--prompt", "Hello", *GREEDY],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("\n")
    assert done.stderr == ""


@pytest.mark.skipif(not importlib.util.find_spec("transformers"), reason="needs transformers")
def test_a_file_without_a_tokenizer_is_named(tmp_path, capsys):
    empty = tmp_path / "model.gguf"
    empty.touch()
    without = write_gguf(model_of("llama", vocab_size=SIZE), tmp_path / "other.gguf", "Q8_0")
    for path in (empty, without):
        assert main(["chat", str(path), "--prompt", "Hello"]) != 0
        said = capsys.readouterr().err
        assert f"{path} has no tokenizer that transformers can read" in said
        assert "put the model's tokenizer.json beside it" in said
        assert ".. " not in said
