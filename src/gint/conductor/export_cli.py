"""`gint export FILE.py:MODEL --args "f32[2,64]" -o model.gint`.

Knows how free sizes are written on a command line. What is saved is `export`'s business.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

import torch

from .explain_cli import UsageError, load_function, parse_arguments
from .exporting import export

_FREE = re.compile(r"(\d+):(\d+)(?:=([A-Za-z]\w*))?")


def main(arguments: Sequence[str] | None = None) -> int:
    """Save a function; 2 where that cannot be done, with a sentence why."""
    options = _parser().parse_args(arguments)
    try:
        model = load_function(options.model)
        args = parse_arguments(options.args)
        if isinstance(model, torch.nn.Module):
            model.eval()
        files = export(
            model, args, path=options.output, dynamic_shapes=free_sizes(options.free, args),
            with_torch=options.with_torch, weights=options.weights, quantize=options.quantize,
        )  # fmt: skip
    except (UsageError, ValueError, OSError) as error:
        print(f"gint export: {error}", file=sys.stderr)
        return 2
    for file in files:
        print(f"{file}: {file.stat().st_size} bytes")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gint export",
        description="Saves a module (in eval mode) or a function for gint.load and gint run.",
    )
    parser.add_argument("model", metavar="FILE.py:MODEL")
    parser.add_argument(
        "--args", default="", metavar="SPECS",
        help="arguments to trace it with, as for `gint explain`: f32[2,64],i64[2,7]",
    )  # fmt: skip
    parser.add_argument(
        "--free", default="", metavar="SIZES",
        help="sizes that may be any: 0:1 is argument 0, dimension 1; a name makes two the same "
        "(0:1=n,1:0=n)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="FILE.gint")
    parser.add_argument(
        "--with-torch", action="store_true", help="torch will be there where it runs"
    )
    parser.add_argument(
        "--weights", choices=("auto", "inside", "beside"), default="auto",
        help="in the file, or in a .safetensors file beside it (auto: beside, above 16 MiB)",
    )  # fmt: skip
    parser.add_argument(
        "--quantize", metavar="FORMAT",
        help="keep the weights of products and embeddings in this format (q8_0, q4_k, ...)",
    )  # fmt: skip
    return parser


def free_sizes(text: str, args: Sequence[Any]) -> Any:
    """torch.export's dynamic shapes from `0:1=n,1:0`, None where all sizes are fixed. Raises
    UsageError."""
    if not text:
        return None
    shapes: list[Any] = [{} if isinstance(a, torch.Tensor) else None for a in args]
    names: dict[str, Any] = {}
    for item in text.split(","):
        match = _FREE.fullmatch(item.strip())
        if match is None:
            raise UsageError(
                f"{item!r} is no free size. Write ARGUMENT:DIMENSION, as 0:1 or 0:1=n."
            )
        n, dim, name = int(match[1]), int(match[2]), match[3]
        if n >= len(args) or not isinstance(args[n], torch.Tensor) or dim >= args[n].dim():
            raise UsageError(f"There is no dimension {dim} of a tensor given as argument {n}.")
        shapes[n][dim] = (
            names.setdefault(name, torch.export.Dim(name)) if name else torch.export.Dim.DYNAMIC
        )
    return tuple(shapes)
