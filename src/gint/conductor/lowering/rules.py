"""The registry of lowering rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from gint.host.frontend import Value
from gint.isa import Opcode, opcode

if TYPE_CHECKING:
    from torch import fx

    from ..emitter import Context

Rule = Callable[["Context"], Value]

_RULES: dict[Any, Rule] = {}
_OPCODES: dict[Any, tuple[Opcode, ...]] = {}


class NotLowerableError(Exception):
    """A node no program can compute; it is left to eager with this reason."""

    node: fx.Node | None = None


def lowers(*targets: Any, uses: Iterable[str] = ()) -> Callable[[Rule], Rule]:
    """Decorator: the function is the rule of these operator overloads.

    `uses` names the opcodes it may emit that cost more than cheap arithmetic.
    """
    opcodes = tuple(opcode(name) for name in uses)

    def register(rule: Rule) -> Rule:
        for target in targets:
            _RULES[target], _OPCODES[target] = rule, opcodes
        return rule

    return register


def has_rule(target: Any) -> bool:
    return target in _RULES


def opcodes_of(target: Any) -> tuple[Opcode, ...]:
    """What the rule of an operator says it uses; nothing where it has none."""
    return _OPCODES.get(target, ())


def rules() -> dict[Any, Rule]:
    return dict(_RULES)


def lower(context: Context) -> Value:
    """The value of the context's node. Raises NotLowerableError for types no opcode takes.

    Whatever else a rule raises is a bug in it; `node` is added to the exception, so that the node
    it is about is the one left to eager.
    """
    try:
        return _RULES[context.op_node.target](context)
    except ValueError as error:
        refusal = NotLowerableError(str(error))
        refusal.node = context.op_node
        raise refusal from error
    except NotLowerableError as refusal:
        refusal.node = refusal.node or context.op_node
        raise
    except Exception as error:
        if not hasattr(error, "node"):
            error.node = context.op_node  # type: ignore[attr-defined]
        raise
