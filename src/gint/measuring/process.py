"""Measurements in processes of their own, with empty caches: `python -m MODULE RESULT ARGUMENTS`.

The module measures what the arguments say and writes JSON into the file RESULT. A process that is
to take turns with others stays, and answers: `Companion`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TIME_LIMIT_S = 600
_EXCEPTION = re.compile(r"[\w.]*(Error|Exception)(:|$)|.*: error: ")


class ProcessError(RuntimeError):
    """A process that wrote no result: `reason` in one line, and all that it said."""

    def __init__(self, command: str, reason: str, said: str = "") -> None:
        """`command` is what it was asked, `said` its error output."""
        super().__init__(f"{command}: {reason}\n{said}".rstrip())
        self.reason = reason


def run_child(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Any:
    """Run `module` in a fresh process whose compile caches are empty; return the JSON it wrote.

    `environment` is set beside, and instead of, what makes them so. The child finds the module's
    package where this process has found it. Raises ProcessError.
    """
    with tempfile.TemporaryDirectory(prefix="gint-measuring-") as folder:
        result = Path(folder) / "result.json"
        variables = _variables(module, Path(folder), environment)
        asked = ["-m", module, str(result), *arguments]
        try:
            done = subprocess.run(
                [sys.executable, *asked],
                env=variables,
                capture_output=True,
                text=True,
                timeout=TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            reason = f"no answer within {TIME_LIMIT_S} s"
            raise ProcessError(" ".join(asked), reason) from error
        if done.returncode != 0:
            reason = reason_of(done.stderr) or f"exit status {done.returncode}"
            raise ProcessError(" ".join(asked), reason, done.stderr)
        return json.loads(result.read_text(encoding="utf-8"))


class Companion:
    """A process of `module`, as `run_child` starts it, that stays and answers; a context manager.

    The module calls `answer`. Where a question gets no answer, ProcessError is raised.
    """

    def __init__(
        self, module: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gint-measuring-")
        self._said = Path(self._folder.name) / "said.txt"
        self._command = ["-m", module, *arguments]
        with self._said.open("w", encoding="utf-8") as said:
            self._process = subprocess.Popen(
                [sys.executable, *self._command],
                env=_variables(module, Path(self._folder.name), environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
            )

    def ask(self, question: Any) -> Any:
        """What the module's function makes of the question, both as JSON has them."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        too_long = threading.Event()

        def stop() -> None:
            too_long.set()
            process.kill()

        limit = threading.Timer(TIME_LIMIT_S, stop)
        limit.start()
        try:
            process.stdin.write(json.dumps(question) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        finally:
            limit.cancel()
        if not answer:
            status, said = process.wait(), self._said.read_text(encoding="utf-8")
            reason = reason_of(said) or f"exit status {status}"
            if too_long.is_set():
                reason = f"no answer within {TIME_LIMIT_S} s"
            raise ProcessError(" ".join(self._command), reason, said)
        return json.loads(answer)

    def __enter__(self) -> Companion:
        return self

    def __exit__(self, *raised: object) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._process.communicate()  # it ends where its input ends
        self._folder.cleanup()


def answer(function: Callable[[Any], Any]) -> None:
    """Answer a Companion's questions until there are no more. What is printed meanwhile goes to
    the error output."""
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as answers:
        os.dup2(2, 1)
        for line in sys.stdin:
            answers.write(json.dumps(function(json.loads(line))) + "\n")
            answers.flush()


def _variables(module: str, folder: Path, environment: Mapping[str, str] | None) -> dict[str, str]:
    # Installed packages are compiled, by pip or by their first import; a checkout's are then too.
    compiled = {"PYTHONDONTWRITEBYTECODE": ""}
    variables = {**empty_caches(folder), **compiled, **(environment or {})}
    path = (_home_of(module), variables.get("PYTHONPATH", ""))
    variables["PYTHONPATH"] = os.pathsep.join(p for p in path if p)
    return variables


def empty_caches(folder: Path) -> dict[str, str]:
    """Return an environment in which torch finds nothing it compiled before, and no network."""
    return {
        **os.environ,
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
        "TORCHINDUCTOR_FX_GRAPH_CACHE": "0",
        "TORCHINDUCTOR_AUTOGRAD_CACHE": "0",
        "HF_HUB_OFFLINE": "1",
    }


def peak_bytes() -> int:
    """Return the most memory this process has ever had resident.

    Linux's own figure begins with the program. getrusage's, which serves elsewhere, would begin
    with what the process that started this one had.
    """
    with contextlib.suppress(OSError):
        found = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.M)
        if found:
            return int(found[1]) << 10
    import resource

    unit = 1 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def reason_of(stderr: str) -> str:
    """Return the exception's line of an error output, or its last line: libraries talk at exit."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    return (exceptions or lines or [""])[-1]


def _home_of(module: str) -> str:
    """Return the folder that the module's topmost package lies in."""
    spec = find_spec(module.partition(".")[0])
    assert spec is not None
    assert spec.submodule_search_locations
    return str(Path(spec.submodule_search_locations[0]).parent)
