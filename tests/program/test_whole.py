"""A file is what it was or what was written, whatever happens meanwhile; nothing is left over."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gint.program import whole
from gint.program.whole import write_whole

_OLD, _NEW = b"old", b"new" * 100_000
_BEGIN = """
import os, pathlib, signal, sys
from gint.program import whole
from gint.program.whole import write_whole
path, new = pathlib.Path(sys.argv[1]), b"new" * 100_000
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "folder" / "file"
    file.parent.mkdir()
    write_whole(file, _OLD)
    return file


def _in_a_process(text: str, path: Path) -> subprocess.CompletedProcess[str]:
    asked = [sys.executable, "-c", _BEGIN + text, str(path)]
    return subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)


def test_what_is_written_is_read(path: Path) -> None:
    write_whole(path, _NEW, 0o600)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (_NEW, 0o600)
    assert list(path.parent.iterdir()) == [path]


def test_something_that_is_no_bytes(path: Path) -> None:
    with pytest.raises(TypeError):
        write_whole(path, None)  # type: ignore[arg-type]
    assert path.read_bytes() == _OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_no_room_for_all_of_it(path: Path) -> None:
    """As on a full disk: a part can be written, and then no more."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
    done = _in_a_process(limit + "write_whole(path, new)", path)
    assert "OSError" in done.stderr
    assert path.read_bytes() == _OLD
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_process_that_is_killed_amid_it(path: Path, where: str) -> None:
    kill = f"os.{where} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
    assert _in_a_process(kill + "write_whole(path, new)", path).returncode == -9
    assert path.read_bytes() == _OLD
    if where == "fsync" and whole._open_nameless(path.parent) is not None:
        assert list(path.parent.iterdir()) == [path]
    write_whole(path, _NEW)
    assert path.read_bytes() == _NEW


def test_a_file_system_whose_files_all_have_names(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(whole, "_open_nameless", lambda folder: None)
    write_whole(path, _NEW, 0o640)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (_NEW, 0o640)
    with pytest.raises(TypeError):
        write_whole(path, None)  # type: ignore[arg-type]
    assert list(path.parent.iterdir()) == [path]


def test_a_failure_says_which_file(path: Path) -> None:
    with pytest.raises(OSError, match="file") as told, whole.writing_whole(path):
        raise OSError(28, "No space left on device")
    assert told.value.filename == str(path)


@pytest.mark.skipif(sys.platform != "linux", reason="a folder in which root too can make no file")
def test_a_folder_that_takes_no_files_names_the_file_that_was_asked_for() -> None:
    path = Path("/proc/self/file")
    with pytest.raises(OSError, match="/proc/self/file") as told:
        write_whole(path, _NEW)
    assert told.value.filename == str(path)


def test_many_that_write_at_once(path: Path) -> None:
    """Threads here, and processes: whoever reads sees one of them, whole."""
    values = [bytes([n]) * 300_000 for n in range(6)]
    with ThreadPoolExecutor(9) as threads:
        writers = [
            threads.submit(lambda v=v: [write_whole(path, v) for _ in range(20)]) for v in values
        ]
        others = [
            threads.submit(_in_a_process, "for _ in range(20): write_whole(path, new)", path)
            for _ in range(2)
        ]
        while not all(w.done() for w in (*writers, *others)):
            assert path.read_bytes() in (_OLD, _NEW, *values)
        assert [w.result() for w in writers]
        assert [o.result().returncode for o in others] == [0, 0]
    assert list(path.parent.iterdir()) == [path]
