"""The registry of lowering rules.

Knows operators. Does not know what a rule is given (emitter.py's Context) or does with it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import fx

from gint.host.frontend import Value

Rule = Callable[[Any], Value]

_RULES: dict[Any, Rule] = {}


class NotLowerableError(Exception):
    """A node no program can compute; it is left to eager with this reason."""

    node: fx.Node | None = None


def lowers(*targets: Any) -> Callable[[Rule], Rule]:
    """Decorator: the function is the rule of these operator overloads."""

    def register(rule: Rule) -> Rule:
        for target in targets:
            _RULES[target] = rule
        return rule

    return register


def has_rule(target: Any) -> bool:
    return target in _RULES


def rule_for(target: Any) -> Rule:
    return _RULES[target]


def rules() -> dict[Any, Rule]:
    return dict(_RULES)
