"""Probes in a process of their own: answers are kept, crashes and hangs are words."""

import os
import subprocess
import sys
import time

import pytest

from gint.backend import probing
from gint.backend.probing import NoAnswerError, list_in_subprocess, probe_in_subprocess
from gint.backend.protocol import Listing, Platform

ANSWER = (
    "from gint.backend.protocol import Probe\ndef probe_device(): return Probe(True, 'fine', 'x')"
)
CRASH = "import os, signal\ndef probe_device(): os.kill(os.getpid(), signal.SIGSEGV)"
RAISE = "def probe_device(): raise RuntimeError('the driver is of another version')"
HANG = "import time\ndef probe_device(): time.sleep(5)"


LIST = (
    "from gint.backend.protocol import Listing, Platform\n"
    "def list_platforms(): return Listing((Platform('p', ('d', 'e')), Platform('q', reason='r')))"
)
REFUSE = "from gint.backend.protocol import Probe\ndef probe_device(): return Probe(False, 'no.')"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Makes a module of the text given; answers are kept apart from the user's."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text: str) -> str:
        (tmp_path / "asked.py").write_text(text)
        return "asked"

    return make


def test_an_answer_is_kept_until_the_key_changes(module, monkeypatch):
    name = module(ANSWER)
    assert probe_in_subprocess(name, "1").description == "x"
    module(RAISE)
    assert probe_in_subprocess(name, "1").usable
    assert not probe_in_subprocess(name, "2").usable


@pytest.mark.skipif(os.name != "posix", reason="looks at modes and owners")
@pytest.mark.parametrize("shared", ["file", "folder", "owner"])
def test_what_somebody_else_may_have_written_is_asked_again(module, monkeypatch, tmp_path, shared):
    name = module(ANSWER)
    assert probe_in_subprocess(name, "1").usable
    folder = tmp_path / "cache/gint"
    (kept,) = folder.iterdir()
    assert folder.stat().st_mode & 0o777 == 0o700
    if shared == "owner":
        monkeypatch.setattr(os, "geteuid", lambda: kept.stat().st_uid + 1)
        monkeypatch.setattr(probing, "_ROOT", -1)
    else:
        (kept if shared == "file" else folder).chmod(0o777)
    module(REFUSE)
    assert not probe_in_subprocess(name, "1").usable
    assert not folder.stat().st_mode & 0o022 or shared == "owner"  # kept apart from now on


@pytest.mark.parametrize("text", [CRASH, REFUSE])
def test_what_is_not_usable_is_asked_again_later(module, monkeypatch, text):
    name = module(text)
    assert not probe_in_subprocess(name, "1").usable
    module(ANSWER)
    assert not probe_in_subprocess(name, "1").usable
    monkeypatch.setattr(probing.time, "time", lambda now=time.time: now() + 3600)
    assert probe_in_subprocess(name, "1").usable


@pytest.mark.parametrize("text", ["inf", "nan", "-1", "x", ""])
def test_a_limit_that_is_none(module, monkeypatch, text):
    monkeypatch.setenv("GINT_PROBE_SECONDS", text)
    assert 1 <= probing._limit() <= 60


def test_the_folder_it_starts_in_hides_no_module(module, monkeypatch, tmp_path):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "json.py").write_text("raise SystemExit('the wrong json')")
    monkeypatch.chdir(tmp_path / "here")
    assert probe_in_subprocess(module(ANSWER), "1").usable


def test_a_crash_is_an_answer_that_names_the_signal(module):
    answer = probe_in_subprocess(module(CRASH), "1")
    assert not answer.usable
    assert "SIGSEGV" in answer.reason
    assert "driver" in answer.remedy


def test_platforms_come_as_they_were_and_are_asked_for_each_time(module):
    found = list_in_subprocess(module(LIST), 20)
    assert found == Listing((Platform("p", ("d", "e")), Platform("q", reason="r")))
    name = module("def list_platforms(): raise RuntimeError('gone')")
    with pytest.raises(NoAnswerError, match="gone"):
        list_in_subprocess(name, 20)
    name = module("import time\ndef list_platforms(): time.sleep(5)")
    with pytest.raises(NoAnswerError, match=r"more than 0\.2 s"):
        list_in_subprocess(name, 0.2)
    for process in probing._unfinished:
        process.kill()
        process.wait()


def test_an_exception_is_told(module):
    assert "another version" in probe_in_subprocess(module(RAISE), "1").reason


def test_a_hang_takes_no_longer_than_the_limit(module, monkeypatch):
    monkeypatch.setenv("GINT_PROBE_SECONDS", "0.5")
    start = time.monotonic()
    answer = probe_in_subprocess(module(HANG), "1")
    assert time.monotonic() - start < 3
    assert not answer.usable
    assert "0.5 s" in answer.reason
    for process in probing._unfinished:
        process.kill()
        process.wait()


def test_a_slow_answer_is_there_for_the_next_process(module, monkeypatch):
    name = module("import time; time.sleep(1)\n" + ANSWER)
    monkeypatch.setenv("GINT_PROBE_SECONDS", "0.2")
    assert not probe_in_subprocess(name, "1").usable
    probing._unfinished.pop().wait(60)
    assert probe_in_subprocess(name, "1").usable


def test_a_broken_file_of_answers_is_asked_anew(module):
    name = module(ANSWER)
    probe_in_subprocess(name, "1")
    probing._file(name).write_text("{")
    assert probe_in_subprocess(name, "1").usable


def test_without_a_python_to_start_there_is_no_answer(module, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert "no process could be started" in probe_in_subprocess(module(ANSWER), "1").reason


@pytest.mark.skipif(sys.platform == "win32", reason="limits of POSIX")
def test_a_full_disk_keeps_no_answer_and_leaves_nothing(module, tmp_path):
    name = module(ANSWER)
    text = (
        "import resource, sys; from gint.backend.probing import probe_in_subprocess\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))\n"
        f"print(probe_in_subprocess({name!r}, 'key').usable)"
    )
    path = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", text], env=os.environ | {"PYTHONPATH": path},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert list((tmp_path / "cache" / "gint").iterdir()) == []
    assert probe_in_subprocess(name, "key").usable


def test_a_cache_that_cannot_be_made_is_done_without(module, monkeypatch, tmp_path):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a file"))
    assert probe_in_subprocess(module(ANSWER), "key").usable
