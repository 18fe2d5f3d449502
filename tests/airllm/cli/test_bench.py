"""`airllm bench`, and what both commands are told."""

from __future__ import annotations

import argparse
import re

import pytest

from airllm.cli import main
from airllm.cli.options import memory_size
from tests.airllm.checkpoints import model_of, write

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write(model_of("llama"), tmp_path_factory.mktemp("llama"))


@pytest.mark.parametrize("more", [[], ["--weights", "q8_0"], ["--memory", "30K"]])
def test_figures(more, folder, capsys):
    arguments = ["--prompt", "20", "--tokens", "5", "--repeat", "2", *more]
    assert main(["bench", str(folder), *arguments]) == 0
    out = capsys.readouterr().out
    for line in (
        r"model +\S+, llama, \d+ MB of weights on \w+", r"opened in +\d+\.\d\d s",
        r"prompt of 20 +\d+\.\d tokens/s", r"5 tokens +\d+\.\d tokens/s",
        r"weights read at +\d+\.\d GB/s",
    ):  # fmt: skip
        assert re.search(f"^{line}$", out, re.MULTILINE), (line, out)


def test_what_cannot_be_done_is_said(folder, tmp_path, capsys):
    assert main(["bench", str(tmp_path / "absent")]) == 2
    assert "there is no such file or folder" in capsys.readouterr().err
    assert main(["bench", str(folder), "--tokens", "0"]) == 2
    assert "must be at least 1" in capsys.readouterr().err
    assert main([]) == 0
    assert "chat" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "size"),
    [("100", 100), ("4G", 4 << 30), ("1.5k", 1536), ("2MiB", 2 << 20), ("3GB", 3 << 30)],
)
def test_sizes(text, size):
    assert memory_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "many", "0", "infG"])
def test_what_is_no_size(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no size; 500M and 4G are"):
        memory_size(text)
