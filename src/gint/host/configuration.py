"""The backend configuration: what a `backend.json` may say, and which file is in effect.

    {"preferred_backend": "auto", "backend_priority": ["cuda", ...], "force_backend": null}

Reads and writes such files; does not know which backends are usable. Standard library only
(platformdirs where there is no checkout), so that it works before anything is built.
"""

from __future__ import annotations

import json
import os
import re
import stat
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gint.backend import registry
from gint.dataclass import frozen
from gint.program.whole import write_whole

#: Names a file with the configuration for one run.
FILE_VARIABLE = "GINT_BACKEND_CONFIG"
#: Names a backend for one run; see gint.host.selection.
BACKEND_VARIABLE = "GINT_BACKEND"
AUTO = "auto"

#: The file that a checkout names. Every process looks for it, and tomllib takes 3 ms to import.
_OWN_TABLE = re.compile(r'^\[tool\.gint\]$[^[]*^configuration = "(.+)"$', re.MULTILINE)

#: The folder of the packages: src/ of a checkout, or site-packages.
SOURCES = Path(__file__).resolve().parents[2]


class ConfigurationError(ValueError):
    """A configuration that cannot be used; the message names the file, what is wrong in it, and
    what is allowed."""


@frozen
class Configuration:
    """What the user wants. The defaults are those of a missing file.

    preferred_backend  "auto", or the backend to try before `backend_priority`
    backend_priority   the backends to try, in order; those left out are not tried
    force_backend      the one backend allowed, or None

    Raises ConfigurationError, without a file's name, for values that are not allowed.
    """

    preferred_backend: str = AUTO
    backend_priority: tuple[str, ...] = registry.names()
    force_backend: str | None = None

    def __post_init__(self) -> None:
        _check_name("preferred_backend", self.preferred_backend, also=AUTO)
        if self.force_backend is not None:
            _check_name("force_backend", self.force_backend, also=None)
        _check_priority(self.backend_priority)

    def as_dict(self) -> dict[str, Any]:
        """The JSON object, keys in the documented order."""
        return {
            "preferred_backend": self.preferred_backend,
            "backend_priority": list(self.backend_priority),
            "force_backend": self.force_backend,
        }


class Location(NamedTuple):
    """The file in effect. `required`: it was named, so that its absence is an error."""

    path: Path
    required: bool = False


def locate() -> Location:
    """The file in effect: $GINT_BACKEND_CONFIG, a checkout's own, or the user's."""
    if named := os.environ.get(FILE_VARIABLE):
        return _named(named)
    if is_checkout(SOURCES) and (file := _file_of_checkout(SOURCES.parent)):
        return Location(file)
    import platformdirs

    return Location(platformdirs.user_config_path("gint") / "backend.json")


@cache
def _file_of_checkout(root: Path) -> Path | None:
    """What its pyproject.toml calls `configuration` in [tool.gint], from the root on, or None."""
    found = _OWN_TABLE.search((root / "pyproject.toml").read_text(encoding="utf-8"))
    return root / found[1] if found else None


@cache
def _named(file: str) -> Location:
    """Absolute from the first time on: a program may go to another folder."""
    return Location(Path(file).absolute(), required=True)


def is_checkout(sources: Path) -> bool:
    """Whether the packages in the folder `sources` are a source tree and not installed."""
    return sources.name == "src" and (sources.parent / "pyproject.toml").is_file()


def current() -> Configuration:
    """The configuration of this process: of the file in effect, as it was when first asked for.

    Raises ConfigurationError for a file that cannot be used, or is named and missing.
    """
    return _read_once(locate())


@cache
def _read_once(location: Location) -> Configuration:
    return read(location)


def read(location: Location) -> Configuration:
    """The configuration in a file; the default where the file may be missing, and is.

    Raises ConfigurationError.
    """
    return _parse(location)[0]


def write(location: Location, configuration: Configuration) -> None:
    """Put the configuration into the file, at once or not at all; its keys keep their order.

    Raises ConfigurationError for a file that holds something else, is read-only (by its mode:
    root is told too) or cannot be written. The file is then as it was.
    """
    _, order = _parse(location)
    values = configuration.as_dict()
    text = json.dumps({key: values[key] for key in [*order, *values]}, indent=2) + "\n"
    path = location.path.resolve()  # a link stays a link
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        mode = 0o644
    if not mode & stat.S_IWUSR:
        raise ConfigurationError(
            f"{location.path} is read-only. Allow writing (chmod u+w), or name another file in "
            f"{FILE_VARIABLE}."
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, text.encode(), mode)
    except OSError as error:
        raise ConfigurationError(
            f"{location.path} cannot be written: {error.strerror}. Name another file in "
            f"{FILE_VARIABLE}."
        ) from error


def _parse(location: Location) -> tuple[Configuration, list[str]]:
    """The configuration, and the keys in the file's order."""
    path = location.path
    try:
        if not stat.S_ISREG(mode := path.stat().st_mode) and not stat.S_ISDIR(mode):
            # A pipe's writer would be waited for, and a device need not end.
            raise ConfigurationError(f"{path} is not a file but a pipe, a socket or a device.")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if location.required:
            raise ConfigurationError(
                f"{path} does not exist, and {FILE_VARIABLE} names it. Create it ({{}} will do), "
                f"or unset {FILE_VARIABLE}."
            ) from None
        return Configuration(), []
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {why}.") from error
    try:
        raw = json.loads(text, object_pairs_hook=_no_repeated_keys)
        return _from_json(raw), list(raw)
    except json.JSONDecodeError as error:
        raise ConfigurationError(
            f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}. "
            "Correct it, or delete it to have the defaults."
        ) from error
    except RecursionError:
        raise ConfigurationError(f"{path} is nested too deeply for a configuration.") from None
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error}") from error
    except ValueError:  # json's own, for an integer of thousands of digits
        raise ConfigurationError(f"{path} holds a number too long for a configuration.") from None


def _from_json(raw: object) -> Configuration:
    if not isinstance(raw, Mapping):
        raise ConfigurationError(f"expected a JSON object, found {_json_type(raw)}.")
    known = Configuration().as_dict()
    for key in raw:
        if key not in known:
            raise ConfigurationError(f"unknown key {key!r}. Allowed: {', '.join(known)}.")
    values = {**known, **raw}
    if not isinstance(values["backend_priority"], list):
        raise ConfigurationError(
            f"backend_priority must be a list of backends, not "
            f"{_json_type(values['backend_priority'])}. Allowed: {', '.join(registry.names())}."
        )
    return Configuration(
        values["preferred_backend"], tuple(values["backend_priority"]), values["force_backend"]
    )


def _no_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ConfigurationError(f"the key {key!r} occurs twice.")
        found[key] = value
    return found


def _check_name(what: str, name: object, also: str | None) -> None:
    allowed = [*([AUTO] if also == AUTO else []), *registry.names()]
    if not isinstance(name, str) or name not in allowed:
        words = ", ".join(allowed) + (", or null" if what == "force_backend" else "")
        raise ConfigurationError(f"{what} cannot be {name!r}. Allowed: {words}.")


def _check_priority(priority: Sequence[object]) -> None:
    if not priority:
        raise ConfigurationError(
            f"backend_priority names no backend. Allowed: {', '.join(registry.names())}."
        )
    for i, name in enumerate(priority):
        _check_name("A name in backend_priority", name, also=None)
        if name in priority[:i]:
            raise ConfigurationError(f"backend_priority names {name!r} twice.")


_JSON_TYPES = {dict: "an object", list: "a list", str: "a string", bool: "a boolean"}


def _json_type(value: object) -> str:
    return _JSON_TYPES.get(type(value), "null" if value is None else "a number")
