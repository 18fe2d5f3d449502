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
Choice = Callable[[fx.Node, Any], bool]

_RULES: dict[Any, Rule] = {}
_CHOICES: dict[Any, Choice] = {}
_OPCODES: dict[Any, tuple[Opcode, ...]] = {}
_LOOKING_BEYOND: set[Any] = set()


class NotLowerableError(Exception):
    """A node no program can compute; it is left to eager with this reason."""

    node: fx.Node | None = None


def lowers(*targets: Any, uses: Iterable[str] = (), beyond: bool = False) -> Callable[[Rule], Rule]:
    """Decorator: the function is the rule of these operator overloads.

    `uses` names the opcodes it may emit that cost more than cheap arithmetic. `beyond` says that it
    asks how values were made that it loads.
    """
    opcodes = tuple(opcode(name) for name in uses)

    def register(rule: Rule) -> Rule:
        for target in targets:
            _RULES[target], _OPCODES[target] = rule, opcodes
        if beyond:
            _LOOKING_BEYOND.update(targets)
        return rule

    return register


def lowered_where(*targets: Any) -> Callable[[Choice], Choice]:
    """Decorator: the function says of a node of these operators, which are left whole otherwise,
    whether it is part of a program here, and of its Graph."""

    def register(choice: Choice) -> Choice:
        _CHOICES.update(dict.fromkeys(targets, choice))
        return choice

    return register


def is_lowered(node: fx.Node, graph: Any) -> bool:
    """Whether a node of an operator that is left whole otherwise is part of a program here."""
    choice = _CHOICES.get(node.target)
    return choice is not None and choice(node, graph)


def has_rule(target: Any) -> bool:
    return target in _RULES


def rule_for(target: Any) -> Rule:
    return _RULES[target]


def opcodes_of(target: Any) -> tuple[Opcode, ...]:
    """What the rule of an operator says it uses; nothing where it has none."""
    return _OPCODES.get(target, ())


def looks_beyond(target: Any) -> bool:
    """Whether the rule of an operator asks how values were made that it loads."""
    return target in _LOOKING_BEYOND


def rules() -> dict[Any, Rule]:
    return dict(_RULES)
