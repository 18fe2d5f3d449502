"""The kinds of fuzz, and what each offers."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, NamedTuple, Protocol

#: By name, the modules that hold them, in the order of a campaign.
KINDS = {
    "programs": "tests.fuzz.programs",
    "files": "tests.fuzz.files",
    "texts": "tests.fuzz.texts",
    "plans": "tests.fuzz.plans",
    "bundles": "tests.fuzz.bundles",
    "arrays": "tests.fuzz.arrays",
    "graphs": "tests.fuzz.graphs",
    "modules": "tests.fuzz.modules",
    "load": "tests.fuzz.load",
}


class Outcome(NamedTuple):
    """A line of the table: who answered a case, and what."""

    who: str
    what: str


class Kind(Protocol):
    """One kind of fuzz. A case is anything that `dump` can write down."""

    def case(self, seed: int, number: int) -> Any:
        """The case of a seed and a number: the same one in every process."""

    def run(self, case: Any) -> Iterable[Outcome]:
        """Try a case; what became of it. An exception is a finding."""

    def smaller(self, case: Any) -> Iterator[Any]:
        """Cases with something less, those that lack most first."""

    def dump(self, case: Any) -> dict:
        """The case as what JSON can say."""

    def load(self, written: dict) -> Any:
        """The case that `dump` wrote down."""


def written(data: bytes) -> str:
    """Bytes as JSON can have them, short."""
    return base64.b85encode(zlib.compress(data, 9)).decode()


def read(text: str) -> bytes:
    """What `written` wrote down."""
    return zlib.decompress(base64.b85decode(text))


def kind(name: str) -> Kind:
    """The kind called `name`. Raises ValueError naming the known ones."""
    if name not in KINDS:
        raise ValueError(f"There is no kind of fuzz {name!r}. Known: {', '.join(KINDS)}.")
    return import_module(KINDS[name]).KIND
