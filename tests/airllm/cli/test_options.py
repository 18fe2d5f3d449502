"""What commands are told about a model."""

from __future__ import annotations

import argparse

import pytest

from airllm.cli.options import add_model_options, memory_size, progress_line


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1), ("500", 500), ("4K", 4096), ("500M", 500 << 20), ("4g", 4 << 30),
        ("1.5GB", 3 << 29), ("2MiB", 2 << 20), ("1T", 1 << 40), ("7B", 7),
    ],
)  # fmt: skip
def test_sizes(text, size):
    assert memory_size(text) == size


@pytest.mark.parametrize(
    "text", ["", "M", "-1G", "0", "1e-3", "4 gigabytes", "nan", "inf", "1e999"]
)
def test_what_is_no_size_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no size; 500M and 4G are"):
        memory_size(text)


def test_the_options_of_a_model():
    parser = argparse.ArgumentParser()
    add_model_options(parser)
    found = vars(parser.parse_args(["here", "--memory", "2M", "--weights", "q8_0"]))
    assert found == {
        "model": "here", "weights": "q8_0", "memory": 2 << 20, "dtype": "config",
        "kv_cache": "float32",
    }  # fmt: skip
    with pytest.raises(SystemExit):
        parser.parse_args(["here", "--kv-cache", "int3"])


def test_how_far_reading_is_stands_in_one_line_that_goes_away(capsys):
    say = progress_line(True)
    say(1, 4_000_000_000)
    say(2, 4_000_000_000)  # too soon
    say(4_000_000_000, 4_000_000_000)
    said = capsys.readouterr().err
    assert said == "reading   0 % of 4.00 GB\rreading 100 % of 4.00 GB\r\033[K"


def test_where_nobody_looks_nothing_is_said(capsys):
    progress_line(False)(5, 5)
    assert capsys.readouterr().err == ""
