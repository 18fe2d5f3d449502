"""`gint explain FILE.py:FUNCTION --args "f32[1024,64],f32[64]"`.

Knows how arguments are written on a command line, and how a function is found in a file. What is
explained is `explain`'s business.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from gint.host.selection import select

from .explaining import Explanation, explain_call

_TYPES = {
    "f32": torch.float32, "f64": torch.float64, "f16": torch.float16, "bf16": torch.bfloat16,
    "i64": torch.int64, "i32": torch.int32, "i16": torch.int16, "i8": torch.int8,
    "u8": torch.uint8, "bool": torch.bool,
}  # fmt: skip
_TENSOR = re.compile(r"([a-z0-9]+)\[([^\]]*)\]")
_ITEM = re.compile(r"[^,\[\]]*\[[^\]]*\]|[^,]+")


class UsageError(Exception):
    """What the user wrote cannot be carried out; the message says why and what would be right."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what gint makes of a function; 2 where that cannot be done, with a sentence why."""
    options = _parser().parse_args(arguments)
    try:
        function = load_function(options.function)
        args = parse_arguments(options.args)
        explanation = _explained(function, args, _chosen(options.backend))
        print(explanation, end="")
        if options.schedule:
            print(f"\n{explanation.schedule()}", end="")
        if options.device:
            print(f"\n{explanation.device()}", end="")
    except UsageError as error:
        print(f"gint explain: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gint explain",
        description="Lists the programs a function is compiled to, each one's bytecode, and each "
        "node that is left to eager with the reason.",
    )
    parser.add_argument("function", metavar="FILE.py:FUNCTION")
    parser.add_argument(
        "--args",
        default="",
        metavar="SPECS",
        help="arguments, separated by commas: tensors as f32[1024,64] (random numbers), "
        f"numbers as 3 or 0.5. Types: {', '.join(_TYPES)}",
    )
    parser.add_argument("--backend", help="the interpreter to compile for (default: cpp)")
    parser.add_argument(
        "--schedule",
        action="store_true",
        help="show what the backend decides for each program: layout, tile, chains, launches",
    )
    parser.add_argument(
        "--device",
        action="store_true",
        help="show the form of each program that opencl and cuda run; needs no device",
    )
    return parser


def _chosen(backend: str | None) -> dict[str, Any]:
    if backend is None:
        return {}
    try:
        select(backend)
    except (ValueError, ImportError) as error:
        raise UsageError(str(error)) from error
    return {"backend": backend}


def load_function(where: str) -> Callable[..., Any]:
    """The function (or module, or anything to be called) `FILE.py:NAME` stands for."""
    path, colon, name = where.rpartition(":")
    if not colon or not path or not name:
        raise UsageError(f"Expected FILE.py:FUNCTION, not {where!r}.")
    if not Path(path).is_file():
        raise UsageError(f"There is no file {path!r}.")
    as_name = Path(path).stem
    while as_name in sys.modules:  # json.py of the user's own
        as_name += "_"
    spec = importlib.util.spec_from_file_location(as_name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path!r} is not a Python file; its name ends in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(Path(path).resolve().parent))
    sys.modules[spec.name] = module  # where torch.export looks for the source of a class
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's own code, whatever it does
        del sys.modules[spec.name]
        raise UsageError(f"{path} cannot be imported: {_said(error)}") from error
    found = getattr(module, name, None)
    if not callable(found):
        known = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
        listed = f"It has: {', '.join(known)}." if known else "It has no function at all."
        raise UsageError(f"{path} has no function {name!r}.\n{listed}")
    return found


def parse_arguments(text: str) -> list[Any]:
    """Tensors and numbers from `f32[1024,64],f32[64],0.5`; the tensors are random."""
    if text.count("[") != text.count("]"):
        raise UsageError(f"The brackets in {text!r} do not match. Write f32[1024,64],f32[64].")
    return [_argument(item.strip()) for item in _ITEM.findall(text) if item.strip()]


def _argument(item: str) -> Any:
    match = _TENSOR.fullmatch(item)
    if match is None:
        return _number(item)
    name, sizes = match.groups()
    if name not in _TYPES:
        raise UsageError(f"There is no type {name!r} in {item!r}. Known: {', '.join(_TYPES)}.")
    return _random(_TYPES[name], [_size(s.strip(), item) for s in sizes.split(",") if s.strip()])


def _number(item: str) -> int | float | bool:
    if item in ("True", "False"):
        return item == "True"
    try:
        return int(item)
    except ValueError:
        pass
    try:
        return float(item)
    except ValueError:
        raise UsageError(
            f"{item!r} is no argument. Write a tensor as f32[1024,64], a number as 3 or 0.5."
        ) from None


def _size(text: str, item: str) -> int:
    if not text.isdecimal():
        raise UsageError(f"{text!r} in {item!r} is no size; sizes are whole numbers from 0.")
    return int(text)


def _random(t: torch.dtype, shape: list[int]) -> torch.Tensor:
    if t.is_floating_point:
        return torch.randn(shape).to(t)
    return torch.randint(0, 2 if t is torch.bool else 10, shape).to(t)


def _explained(
    function: Callable[..., Any], args: list[Any], options: dict[str, Any]
) -> Explanation:
    try:
        with torch.no_grad():
            return explain_call(function, args, {}, options)
    except Exception as error:  # the user's function, on arguments it may not be meant for
        shown = ", ".join(
            f"{a.dtype}{list(a.shape)}" if isinstance(a, torch.Tensor) else repr(a) for a in args
        )
        raise UsageError(f"The call with ({shown}) failed: {_said(error)}") from error


def _said(error: Exception) -> str:
    """An error's type and first line; what a backend raised comes wrapped by Dynamo."""
    error = getattr(error, "inner_exception", error)
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__
