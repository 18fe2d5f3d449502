"""`gint explain model.gint`: what a saved function takes, holds and does. torch is not needed."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .function import load


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a saved function, its weights compared with their checksums; 2 where it cannot be
    read, with a sentence why."""
    parser = argparse.ArgumentParser(
        prog="gint explain",
        description="Prints a saved function: its signature, its constants, its steps and the "
        "bytecode of its programs.",
    )
    parser.add_argument("file", metavar="FILE.gint")
    parser.add_argument(
        "--operator", action="append", default=[], metavar="NAME", dest="operators",
        help="an ATen operator that it may call beside those that every saved function may",
    )  # fmt: skip
    options = parser.parse_args(arguments)
    try:
        print(load(options.file, operators=options.operators, check=True), end="")
    except (FileNotFoundError, ValueError) as error:
        print(f"gint explain: {error}", file=sys.stderr)
        return 2
    return 0
