"""Asking for devices in a process of its own: a broken driver may crash or hang it, not us.

    python -m gint.backend.probing MODULE FUNCTION [KEY]

imports MODULE, calls FUNCTION() and prints what it returns as JSON. With KEY that is a Probe, which
is also left in the user's cache under what it depends on (drivers, packages): what is usable is not
asked again under the same key, what is not after ten minutes.

A probe waits a second (GINT_PROBE_SECONDS). What takes longer, such as a first kernel build on a
slow machine, goes on in the background for a while and leaves its answer for the next process.
Standard library only. Does not know any driver.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from gint.program.whole import write_whole

from .protocol import Listing, Platform, Probe

VARIABLE = "GINT_PROBE_SECONDS"
_SECONDS = 1.0
#: A probe that is not over by then ends itself.
_BACKGROUND_SECONDS = 60
#: For how long a refusal or a crash is believed: it may have been the machine's load, a full disk.
_DOUBTFUL_SECONDS = 600
_ROOT = 0
_unfinished: list[subprocess.Popen] = []


def cache_directory() -> Path:
    """Where answers are kept: gint/ in the user's cache directory."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return Path(base) / "gint"


def is_our_own(path: Path) -> bool:
    """Whether nobody but this user and root can have written `path`, a file of the cache.

    The cache may lie where others write: XDG_CACHE_HOME may be a folder of all.
    """
    if not hasattr(os, "geteuid"):
        return path.exists()
    try:
        found = [path.stat(), path.parent.stat()]
    except OSError:
        return False
    return all(f.st_uid in (_ROOT, os.geteuid()) and not f.st_mode & 0o022 for f in found)


def make_folder(folder: Path) -> None:
    """Make a folder of the cache, which nobody else may write to. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    mode = folder.stat().st_mode
    if os.name == "posix" and mode & 0o022:
        folder.chmod(mode & ~0o022)


class NoAnswerError(RuntimeError):
    """Nothing came back: `reason` and `remedy` are sentences; `died`, and would again, at once."""

    def __init__(self, reason: str, remedy: str = "", died: bool = False) -> None:
        super().__init__(f"{reason} {remedy}".strip())
        self.reason, self.remedy, self.died = reason, remedy, died


def probe_in_subprocess(module: str, key: str) -> Probe:
    """The answer of `module`'s probe_device(): the one kept under `key`, or asked for now."""
    kept = _kept(module, key)
    if kept is not None:
        return kept
    try:
        return Probe(**_ask(_limit(), module, "probe_device", key))
    except NoAnswerError as error:
        answer = Probe(False, error.reason, remedy=error.remedy)
        if error.died:
            _keep(module, key, answer, time.time() + _DOUBTFUL_SECONDS)
        return answer


def list_in_subprocess(module: str, seconds: float) -> Listing:
    """What `module`'s list_platforms() finds now. Raises NoAnswerError after some seconds, too."""
    platforms, why_none = _ask(seconds, module, "list_platforms")
    return Listing(
        tuple(Platform(name, tuple(devices), reason) for name, devices, reason in platforms),
        why_none,
    )


def _ask(seconds: float, *request: str) -> Any:
    """What a process prints that is started as above. Raises NoAnswerError."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "gint.backend.probing", *request],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            text=True, start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise NoAnswerError(f"no process could be started to ask for devices: {error}.") from error
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        _unfinished.append(process)
        raise NoAnswerError(
            f"asking for devices took more than {seconds:g} s.",
            "It goes on in the background: try again in a minute. If that does not help, "
            "a driver hangs; `clinfo` or `nvidia-smi` show which.",
        ) from None
    if process.returncode == 0 and out.strip():
        return json.loads(out.strip().splitlines()[-1])
    words = err.strip().splitlines()[-1:] or ["it said nothing"]
    status = process.returncode
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"failed: {words[0]}"
    raise NoAnswerError(
        f"the process that asks for devices {how}.",
        "A driver is broken: remove or update the one installed last.",
        died=True,
    )


def _limit() -> float:
    try:
        seconds = float(os.environ.get(VARIABLE, _SECONDS))
    except ValueError:
        return _SECONDS
    return min(seconds, _BACKGROUND_SECONDS) if seconds >= 0 else _SECONDS


def _file(module: str) -> Path:
    return cache_directory() / f"probe-{module}.json"


def _kept(module: str, key: str) -> Probe | None:
    path = _file(module)
    if not is_our_own(path):
        return None
    try:
        kept = json.loads(path.read_text())
        if kept["key"] != key or (kept["until"] and kept["until"] < time.time()):
            return None
        return Probe(**{f.name: kept["probe"][f.name] for f in fields(Probe)})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _keep(module: str, key: str, answer: Probe, until: float) -> None:
    """Without a cache directory that can be written, every process asks."""
    kept = {"key": key, "until": until, "probe": asdict(answer)}
    with contextlib.suppress(OSError):
        make_folder(cache_directory())
        write_whole(_file(module), json.dumps(kept).encode())


def main(argv: list[str]) -> int:
    if len(argv) not in (2, 3):
        print("usage: python -m gint.backend.probing MODULE FUNCTION [KEY]", file=sys.stderr)
        return 2
    module, function, *key = argv
    if hasattr(signal, "alarm"):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends a call that hangs in a driver, too
        signal.alarm(_BACKGROUND_SECONDS)
    answer = getattr(import_module(module), function)()
    if key:
        _keep(module, key[0], answer, 0 if answer.usable else time.time() + _DOUBTFUL_SECONDS)
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(answer, default=asdict), flush=True)
    return 0


if __name__ == "__main__":
    # The reader may be gone by now, and drivers that crash on the way out are none of our concern.
    status = main(sys.argv[1:])
    sys.stdout = None
    os._exit(status)
