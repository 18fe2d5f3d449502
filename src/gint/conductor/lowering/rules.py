"""The registry of lowering rules.

Knows operators. Does not know what a rule is given (emitter.py's Context) or does with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import fx

from gint.host.frontend import Value
from gint.isa import Opcode, opcode

Rule = Callable[[Any], Value]

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


def rule_for(target: Any) -> Rule:
    return _RULES[target]


def opcodes_of(target: Any) -> tuple[Opcode, ...]:
    """What the rule of an operator says it uses; nothing where it has none."""
    return _OPCODES.get(target, ())


def rules() -> dict[Any, Rule]:
    return dict(_RULES)
