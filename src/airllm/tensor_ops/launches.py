"""Programs on operands, run on the active backend.

    run(record, operands)    record writes the program; the last operand is the result

Knows operands and the active backend. How programs are recorded, bound and kept is
gint.operators.launches'.
"""

from __future__ import annotations

from collections.abc import Sequence

from gint.operators import launches
from gint.operators.launches import Record

from .arrays import Operand
from .backend import active


def run(
    record: Record,
    operands: Sequence[Operand],
    own: int = 0,
    params: tuple[int | float, ...] = (),
    choices: tuple = (),
) -> None:
    """Run the program that `record` records on the operands, the last of which is a result.

    The last `own` dimensions of the result are axes that the program has by itself; those before
    are the leading axes. Raises what the program ran into.
    """
    types = tuple([o.type for o in operands])
    launches.run(active(), record, [o.array for o in operands], types, own, params, choices)
