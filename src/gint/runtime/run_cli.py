"""`gint run model.gint --input x=file.npy`: a saved function on arrays from files.

Knows .npy and .npz files and how arguments are named. torch is not needed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .function import load


class UsageError(Exception):
    """What the user wrote cannot be carried out; the message says why and what would be right."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a saved function; 2 where that cannot be done, with a sentence why."""
    options = _parser().parse_args(arguments)
    try:
        if options.output:
            _refuse_output(Path(options.output))
        function = load(options.file, backend=options.backend, check=options.check)
        results = dict(_leaves("result", function(**_inputs(options.inputs))))
        for name, value in results.items():
            print(f"{name}: {_shown(value)}")
        if options.output:
            _write(Path(options.output), results)
    except (UsageError, ValueError, TypeError, LookupError, ImportError) as error:
        return _fail(str(error.args[0] if error.args else error))
    except FileNotFoundError as error:
        missing = error.filename  # None where the message says it
        return _fail(f"There is no file {str(missing)!r}." if missing else str(error))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gint run", description="Calls a saved function with arrays from files, without torch."
    )
    parser.add_argument("file", metavar="FILE.gint")
    parser.add_argument(
        "--input", action="append", default=[], metavar="NAME=FILE.npy", dest="inputs",
        help="an argument by name: an array from a file, or a number (NAME=3)",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="FILE",
        help="where the results go: FILE.npy for one array, FILE.npz for several",
    )  # fmt: skip
    parser.add_argument("--backend", help="the interpreter that runs it: cpp or python")
    parser.add_argument(
        "--check", action="store_true", help="compare the weights with their checksums first"
    )
    return parser


def _inputs(given: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(f"{item!r} is no input. Write NAME=FILE.npy or NAME=NUMBER.")
        if name in found:
            raise UsageError(f"The argument {name!r} is given twice.")
        found[name] = _value(value)
    return found


def _value(text: str) -> Any:
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    if text in ("True", "False"):
        return text == "True"
    try:
        return np.load(text, allow_pickle=False)
    except ValueError as error:
        raise UsageError(f"{text} cannot be read as an array: {error}") from None


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The arrays and numbers of a result, each with where it stands."""
    if isinstance(value, (list, tuple)):
        for n, item in enumerate(value):
            yield from _leaves(f"{name}[{n}]", item)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _leaves(str(key) if name == "result" else f"{name}.{key}", item)
    else:
        yield name, value


def _shown(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return repr(value)
    text = f"{value.dtype.name}{list(value.shape)}"
    return f"{text} {value.tolist()}" if value.size <= 8 else text


def _refuse_output(path: Path) -> None:
    if path.suffix not in (".npy", ".npz"):
        raise UsageError(f"{path} is no file for results: its name ends in .npy or .npz.")
    if not path.parent.is_dir():
        raise UsageError(f"There is no folder {str(path.parent)!r} for {path.name!r}.")


def _write(path: Path, results: dict[str, Any]) -> None:
    arrays = {name: np.asarray(v) for name, v in results.items() if v is not None}
    if path.suffix == ".npz":
        np.savez(path, **arrays)  # type: ignore[arg-type]
    elif path.suffix == ".npy" and len(arrays) == 1:
        np.save(path, next(iter(arrays.values())))
    else:
        raise UsageError(
            f"{len(arrays)} results do not go into {path}; name a file that ends in .npz."
        )


def _fail(sentence: str) -> int:
    print(f"gint run: {sentence}", file=sys.stderr)
    return 2
