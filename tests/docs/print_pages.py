"""Write what the Python blocks of pages print into the blocks that follow them.

    python -m tests.docs.print_pages docs/architecture.md

For after a change that changes what a page shows; tests/docs/test_pages.py compares.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from tests.docs.test_pages import BLOCK


def printed_anew(page: Path) -> str:
    """The text of a page with every `<!-- printed -->` block as it is printed now."""
    text, namespace = page.read_text(encoding="utf-8"), {"__name__": page.stem}
    parts, at = [], 0
    for block in BLOCK.finditer(text):
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(block["code"], str(page), "exec"), namespace)
        if block["printed"] is not None:
            parts += [text[at : block.start("printed")], out.getvalue().strip("\n") + "\n"]
            at = block.end("printed")
    return "".join([*parts, text[at:]])


if __name__ == "__main__":
    for name in sys.argv[1:]:
        Path(name).write_text(printed_anew(Path(name)), encoding="utf-8")
