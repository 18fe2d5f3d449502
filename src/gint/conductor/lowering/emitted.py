"""What emission makes: a recorded program, and the nodes whose memory its slots show.

Knows recorded programs and FX nodes. Does not know how values are found or lowered.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from torch import fx

from gint.dataclass import frozen
from gint.host.frontend import Builder
from gint.program import Program, VerifiedProgram, verify

from ..graph.nodes import tensor_of
from ..graph.sizes import Key, symbols


class SlotSource(NamedTuple):
    """What a slot shows: a node's memory with these strides (one per axis) and offset, in elements
    from the first element of `anchor` (Graph.anchor): the node itself, or a view of its memory."""

    node: fx.Node
    anchor: fx.Node
    strides: tuple[Key, ...]
    offset: Key


class Emitted(NamedTuple):
    """A program that computes `members` and stores `outputs`, those of them that are wanted. Equal
    layers of a model have one recording."""

    recording: Recording
    slots: tuple[SlotSource, ...]
    members: Sequence[fx.Node]
    outputs: tuple[fx.Node, ...]


@frozen(eq=False)
class Recording:
    """A recorded program, with where its extents and parameters come from. `slots` and `outputs`
    are those of the layer it was made for; those of equal ones differ in nodes alone."""

    builder: Builder
    extents: tuple[Key, ...]
    params: tuple[Key, ...]
    slots: tuple[SlotSource, ...]
    outputs: tuple[fx.Node, ...]

    @cached_property
    def bytecode(self) -> Program:
        """The program itself, not verified: many are emitted to be tried, and few are kept."""
        return self.builder.program()

    @cached_property
    def most_instructions(self) -> int:
        """A bound on its instructions, and on its registers, for which it is not scheduled."""
        return self.builder.most_instructions()

    @cached_property
    def types(self) -> set[str]:
        """The types of what is loaded, computed and stored."""
        return self.builder.types()

    @cached_property
    def verified(self) -> VerifiedProgram:
        """The program to be kept; equal ones are one object. Raises VerificationError."""
        recorded = self.builder.recording()
        found = _verified.get(recorded)
        if found is None:
            found = _verified[recorded] = verify_once(self.bytecode)
            if len(_verified) > MOST_PROGRAMS:
                del _verified[next(iter(_verified))]
        return found

    @cached_property
    def symbols(self) -> frozenset[str]:
        """The names of the symbols that its layout and its outputs' sizes depend on."""
        places = tuple([(s.offset, s.strides, tensor_of(s.anchor).offset) for s in self.slots])
        shapes = tuple([tensor_of(n).shape for n in self.outputs])
        return symbols((self.extents, self.params, places, shapes))


#: So many programs are remembered, however many graphs and layers have them.
MOST_PROGRAMS = 4096
#: The verified program of what was recorded: equal programs are scheduled once.
_verified: dict[Hashable, VerifiedProgram] = {}


@lru_cache(maxsize=MOST_PROGRAMS)
def verify_once(program: Program) -> VerifiedProgram:
    """`verify`, the same object for equal programs."""
    return verify(program)
