"""`gint explain`: what it prints, and what it says of bad input."""

from __future__ import annotations

import json
import sys

import pytest

torch = pytest.importorskip("torch")

from gint.conductor.explain_cli import main, parse_arguments

pytestmark = pytest.mark.torch

SOURCE = """
import torch

def norm(x, w):
    y = torch.nn.functional.layer_norm(x + 1, (64,), w)
    return torch.lgamma((y @ y.t()).softmax(-1))

def broken(x):
    raise ValueError("no luck")

def nothing(x):
    return x
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "functions.py"
    path.write_text(SOURCE)
    return path


def test_explain_lists_programs_externs_and_what_is_left_to_eager(capsys, file) -> None:
    assert main([f"{file}:norm", "--args", "f32[8,64],f32[64]", "--backend", "python"]) == 0
    said = capsys.readouterr().out
    assert "graph 0 on python: 2 programs" in said
    assert "left whole to ATen: 1 x aten.mm" in said
    assert "lgamma  aten.lgamma.default  no lowering rule for this operator" in said
    assert "covers add, native_layer_norm" in said
    assert "covers _softmax" in said
    assert "rsqrt.f32" in said
    assert max(map(len, said.splitlines())) <= 100


def test_a_file_called_as_a_module_that_is_there_takes_its_place_from_nobody(tmp_path) -> None:
    path = tmp_path / "json.py"
    path.write_text(SOURCE)
    assert main([f"{path}:norm", "--args", "f32[8,64],f32[64]", "--backend", "python"]) == 0
    assert sys.modules["json"] is json


def test_the_schedule_and_the_device_form_are_shown_when_asked_for(capsys, file) -> None:
    where = [f"{file}:norm", "--args", "f32[8,64],f32[64]", "--backend", "python"]
    assert main(where) == 0
    plain = capsys.readouterr().out
    assert main([*where, "--schedule", "--device"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(plain)
    assert "graph 0, program 0, x0 = 8, x1 = 64\n  runs section by section, each on whole" in said
    assert "graph 0, program 1, x0 = 8, x1 = 8\n  device form: words of 32 bits" in said
    assert "gint_run" in said
    assert max(map(len, said.splitlines())) <= 100


@pytest.mark.cpp
def test_the_schedule_of_the_default_backend(capsys, file) -> None:
    assert main([f"{file}:norm", "--args", "f32[8,64],f32[64]", "--schedule"]) == 0
    said = capsys.readouterr().out
    assert "  axis  extent  kind      of  strides:" in said
    assert "CHAIN" in said


def test_nothing_that_is_launched_has_no_schedule(capsys, file) -> None:
    assert main([f"{file}:nothing", "--args", "f32[3]", "--schedule", "--device"]) == 0
    assert capsys.readouterr().out.count("Nothing is launched.") == 2


def test_a_function_that_does_nothing(capsys, file) -> None:
    assert main([f"{file}:nothing", "--args", "f32[3]", "--backend", "python"]) == 0
    assert "No graph was compiled" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "args", "said"),
    [
        ("{file}:norm", "f99[3]", "There is no type 'f99' in 'f99[3]'. Known: f32, f64"),
        ("{file}:norm", "f32[3,x]", "'x' in 'f32[3,x]' is no size"),
        ("{file}:norm", "f32[-3]", "'-3' in 'f32[-3]' is no size"),
        ("{file}:norm", "f32[3", "do not match. Write f32[1024,64],f32[64]"),
        ("{file}:norm", "f32", "'f32' is no argument"),
        ("{file}:norm", "f32[3]", "failed: TypeError"),
        ("{file}:broken", "f32[3]", "failed: ValueError: no luck"),
        ("{file}:absent", "", "no function 'absent'.\nIt has: norm, broken, nothing."),
        ("{file}", "", "Expected FILE.py:FUNCTION"),
        ("{file}.missing:norm", "", "There is no file"),
    ],
)
def test_bad_input_is_a_sentence_and_exit_status_two(where, args, said, file, capsys) -> None:
    assert main([where.format(file=file), "--args", args, "--backend", "python"]) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert said in shown.err
    assert "Traceback" not in shown.err


def test_an_unknown_backend_and_a_file_that_does_not_import(file, tmp_path, capsys) -> None:
    assert main([f"{file}:norm", "--backend", "gpu"]) == 2
    assert "There is no backend 'gpu'. Known: cuda, opencl, cpp, python" in capsys.readouterr().err
    (tmp_path / "faulty.py").write_text("1 / 0")
    assert main([f"{tmp_path / 'faulty.py'}:f"]) == 2
    assert "cannot be imported: ZeroDivisionError: division by zero" in capsys.readouterr().err


def test_arguments_as_they_are_written() -> None:
    x, i, b, n, s, t = parse_arguments("bf16[2,3], i8[4],bool[], 3,0.5, True")
    assert (x.dtype, x.shape) == (torch.bfloat16, (2, 3))
    assert (i.dtype, i.shape) == (torch.int8, (4,))
    assert (b.dtype, b.shape) == (torch.bool, ())
    assert (n, s, t) == (3, 0.5, True)
    assert parse_arguments("") == []
    assert parse_arguments("f32[0,4]")[0].numel() == 0
