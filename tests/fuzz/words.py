"""A sentence as a row of the table: without the names and numbers of its case."""

from __future__ import annotations

import re

from gint.isa import DTYPES, OPCODES

_QUOTED = r"'[^']*'|\([^()]*\)|\[[^\]]*\]"
_NAMES = "|".join(t.name for t in DTYPES)
_OPCODES = rf"(?:{'|'.join(o.name for o in OPCODES)})(?= does not exist|\.)"
_PLACES = re.compile(rf"{_QUOTED}|\b(?:{_NAMES})\b|\b{_OPCODES}|-?\b\d[\w.+]*")


def refused(error: Exception) -> str:
    """What was refused, the same for all cases of one rule."""
    text = str(error)
    for place in ("Instruction ", "Line "):
        if text.startswith(place) and "': " in text:
            text = text.rsplit("': ", 1)[1]
    return "refused: " + re.split("[:;] ", _PLACES.sub("_", text.splitlines()[0]))[0][:70]
