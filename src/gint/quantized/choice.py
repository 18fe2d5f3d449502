"""Which weight of a model takes which format: what a user says, read into an object.

Knows names of weights and of formats. Does not know where weights are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any
from warnings import warn

from gint.dataclass import frozen

from .formats import FORMATS, QuantizedFormat, format_of

KEEP = "keep"


@frozen
class WeightFormats:
    """Patterns of names, and the format of what matches or None for what is kept as it is. The
    first pattern that matches decides; what none matches is kept."""

    patterns: tuple[tuple[str, QuantizedFormat | None], ...]

    @classmethod
    def of(cls, weights: str | Mapping[str, str]) -> WeightFormats:
        """A format's name, for all weights, or patterns (fnmatch's, case counts) to names; "keep"
        is a name too. Raises ValueError for anything else."""
        if isinstance(weights, str):
            weights = {"*": weights}
        if not isinstance(weights, Mapping) or not weights:
            raise ValueError(
                "weights is the name of a format, such as 'q8_0', or a dict of patterns to such "
                f"names, not {weights!r}; '{KEEP}' keeps weights as they are."
            )
        return cls(tuple((_pattern(p), _format(name)) for p, name in weights.items()))

    def format_for(self, name: str) -> QuantizedFormat | None:
        """The format of the weight of this name, or None for one that is kept."""
        return next((f for pattern, f in self.patterns if fnmatchcase(name, pattern)), None)

    def warn_of_unmatched(self, names: Iterable[str]) -> None:
        """Warn of a pattern that none of a model's weights has: it is misspelt, most likely."""
        names = [*names]
        for pattern, _ in self.patterns:
            if pattern != "*" and not any(fnmatchcase(name, pattern) for name in names):
                known = f"{names[0]!r} to {names[-1]!r}" if names else "none"
                warn(
                    f"No weight has a name like {pattern!r}; there are {known}.",
                    RuntimeWarning,
                    stacklevel=3,
                )


def _pattern(pattern: Any) -> str:
    if not isinstance(pattern, str):
        raise ValueError(f"A pattern of weights' names is a str, not {pattern!r}.")
    return pattern


def _format(name: Any) -> QuantizedFormat | None:
    if name == KEEP:
        return None
    try:
        return format_of(name)
    except ValueError:
        known = ", ".join(f.name for f in FORMATS)
        raise ValueError(f"{name!r} is no format of weights. There are: {known}, {KEEP}.") from None
