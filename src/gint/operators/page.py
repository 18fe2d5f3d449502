"""The page of the table, `docs/operators.md`, made of the functions' own words.

python -m gint.operators.page docs/operators.md
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from . import OPERATORS, REFUSED

_HEAD = """\
<!-- made of src/gint/operators by: python -m gint.operators.page docs/operators.md -->

# Operators without torch

A saved function that runs on NumPy arrays calls these for operators, ATen's and gint's, that no
program computes. They take the arguments of ATen's schemas, and give its results within rounding;
half types are computed in float32 and rounded once. bfloat16 needs the package `ml_dtypes`. Random
numbers have torch's distributions, and are not torch's numbers: `gint.operators.use_generator`
names the NumPy generator that they come from.
"""


def page() -> str:
    """The whole page."""
    lines = [_HEAD]
    for module in sorted({f.__module__ for f in OPERATORS.values()}):
        words = (inspect.getmodule(_first_of(module)).__doc__ or "").partition("\n\n")[0]
        lines += [f"## {' '.join(words.split()).rstrip('.')}", "", "| operator | here |"]
        lines.append("| --- | --- |")
        for function, names in _by_function(module).items():
            meaning = " ".join((function.__doc__ or "").partition("\n\n")[0].split())
            listed = ", ".join(f"`{n}`" for n in names)
            lines.append(f"| {listed} | {meaning.replace('|', chr(92) + '|')} |")
        lines.append("")
    lines += ["## Refused", "", "An export says so.", "", "| ATen's operator | why |"]
    lines += ["| --- | --- |", *(f"| `aten.{n}` | {why} |" for n, why in REFUSED.items())]
    return "\n".join(lines) + "\n"


def _first_of(module: str):
    return next(f for f in OPERATORS.values() if f.__module__ == module)


def _by_function(module: str) -> dict:
    found: dict = {}
    for name, function in sorted(OPERATORS.items()):
        if function.__module__ == module:
            found.setdefault(function, []).append(name.removesuffix(".default"))
    return found


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
