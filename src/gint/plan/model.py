"""A Plan: the steps of a graph, in order, over numbered values.

    values     tensors, numbers and tuples of them. First the inputs, then the constants; every
               other one is made by a step, and by one only
    symbols    numbers that sizes are written in (expressions.py); an input or a result defines them
    steps      one after the other:
                   Define    a symbol is read from a value
                   Check     a condition on symbols must hold
                   Allocate  memory for a result
                   Launch    a program, on the memory of values
                   Call      an operator of ATen's
                   Item      one result of an operator with several
                   View      sizes, strides and an offset on the memory of a value
                   Expect    a value is brought into the strides that others rely on
                   Release   values that nobody needs any more
    result     what the plan returns: values, expressions, and lists, tuples and dicts of them

Names are torch's: of types ("float32"), operators ("aten.mm.default"), devices ("cpu"), memory
formats. Strides and offsets count elements, sizes bytes where they are called bytes.
"""

from __future__ import annotations

from typing import Any

from gint.dataclass import frozen
from gint.program import VerifiedProgram

from .expressions import Expression


@frozen(slots=True)
class Use:
    """A value as an argument or a result."""

    value: int


@frozen(slots=True)
class Named:
    """An argument that torch has a name for. `kind`: dtype, device, layout or memory_format."""

    kind: str
    name: str


@frozen(slots=True, eq=False)
class Foreign:
    """What only this process knows: an object torch has no name for, an operator of somebody's
    own. A plan with one is run, and cannot be saved."""

    value: Any
    name: str = "c"


#: What an operator is given: None, bool, int, float, str, an Expression, a Use, Named, Foreign, a
#: slice, and lists, tuples and dicts of those.
Argument = Any


@frozen(slots=True)
class TensorType:
    """A tensor's element type, and the layout it was compiled for."""

    dtype: str
    size: tuple[Expression, ...]
    strides: tuple[Expression, ...]


@frozen(slots=True)
class Input:
    """An argument of the plan: a tensor, a number (`type` "int", "float" or "bool"), or None
    (`type` None). `written`: its memory is state, which the plan writes into."""

    name: str
    type: TensorType | str | None
    written: bool = False


@frozen(slots=True)
class Constant:
    """A tensor that the plan holds. `type` is None for what is no tensor; `written` as above."""

    name: str
    type: TensorType | None
    written: bool = False


@frozen(slots=True)
class Define:
    """`symbol` is found in a value along `path`: numbers are items, words what is asked of a
    tensor ("size", "stride", "storage_offset"), "int" of a bool, or what is added or what it is
    divided by ("-1", "//2")."""

    symbol: str
    value: int
    path: tuple[int | str, ...]


@frozen(slots=True)
class Check:
    condition: Expression
    message: str


@frozen(slots=True)
class Allocate:
    value: int
    type: TensorType
    device: str


@frozen(slots=True)
class SlotUse:
    """What a slot shows: `nbytes` of a value's memory from its first element on, which may be
    reached; in elements, the offset from there and a stride per axis of the slot."""

    value: int
    nbytes: Expression
    offset: Expression
    strides: tuple[Expression, ...]


@frozen(slots=True)
class Launch:
    """Run program number `program`. `on_copies`: some memory is neither ours nor ATen's, and what a
    launch refuses because of how it lies is run on copies."""

    program: int
    extents: tuple[Expression, ...]
    params: tuple[Expression, ...]
    slots: tuple[SlotUse, ...]
    device: str
    on_copies: bool = False


@frozen(slots=True)
class Call:
    """`into`: the value has been allocated, and the operator writes into it."""

    value: int
    operator: str | Foreign
    args: tuple[Argument, ...]
    kwargs: tuple[tuple[str, Argument], ...] = ()
    into: bool = False


@frozen(slots=True)
class Item:
    value: int
    of: int
    number: int


@frozen(slots=True)
class View:
    value: int
    of: int
    size: tuple[Expression, ...]
    strides: tuple[Expression, ...]
    offset: Expression


@frozen(slots=True)
class Expect:
    """`is_foreign`: sizes and type are somebody's word too, and are compared."""

    value: int
    type: TensorType
    is_foreign: bool = False


@frozen(slots=True)
class Release:
    values: tuple[int, ...]


Step = Define | Check | Allocate | Launch | Call | Item | View | Expect | Release


@frozen
class Plan:
    inputs: tuple[Input, ...]
    constants: tuple[Constant, ...]
    programs: tuple[VerifiedProgram, ...]
    steps: tuple[Step, ...]
    result: Argument

    @property
    def head(self) -> int:
        """How many steps there are that read sizes from the inputs, before all others."""
        others = (n for n, step in enumerate(self.steps) if not isinstance(step, Define))
        return next(others, len(self.steps))
