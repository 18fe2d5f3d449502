"""The rehearsal driver, built once for all workers of pytest."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.once import once

ROOT = Path(__file__).parents[4]


@pytest.fixture(scope="session")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Runs Python with `-c` (or other arguments) on the rehearsal driver; what it prints.

    Keywords are the driver's settings (see driver.cpp). Fails where the process does.
    """
    try:
        installed = importlib.util.find_spec("cuda.bindings") is not None
    except ModuleNotFoundError:
        installed = False
    if not installed:
        pytest.skip("cuda-bindings are not installed")
    if not shutil.which("g++"):
        pytest.skip("the rehearsal driver needs g++")
    from tests.kernel.interpreter.cuda.rehearsal.driver import build_driver, environment_of

    folder = once(tmp_path_factory, "rehearsal", build_driver)
    # What a probe says is kept in the cache, and depends on the settings: each worker has its own.
    return Rehearsal(environment_of(folder, tmp_path_factory.mktemp("cache"))).run


class Rehearsal:
    def __init__(self, environment: dict[str, str]) -> None:
        path = os.pathsep.join([str(ROOT / "src"), str(ROOT)])
        self.environment = {**os.environ, **environment, "PYTHONPATH": path}

    def run(self, *arguments: str, **settings: object) -> str:
        for answer in Path(self.environment["XDG_CACHE_HOME"]).glob("gint/probe-*.json"):
            answer.unlink()  # it was given with other settings
        told = {f"GINT_REHEARSAL_{name}": str(value) for name, value in settings.items()}
        command = [sys.executable, *(arguments if len(arguments) > 1 else ("-c", *arguments))]
        done = subprocess.run(
            command, env={**self.environment, **told}, cwd=ROOT, capture_output=True, text=True,
            timeout=280, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout
