import subprocess
import sys

import pytest

from gint.backend import machine


def test_what_is_left_is_no_more_than_the_machine_has():
    left = machine.memory_left()
    assert left is not None
    assert 0 < left < 1 << 50


def test_a_limit_of_the_process_counts():
    program = """
import resource
from gint.backend.machine import memory_left, need_memory
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
assert memory_left() < 1 << 30
need_memory(200 << 20, "Something small")
try:
    need_memory(1 << 31, "Something")
except MemoryError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "Something takes 2,048 MiB, and" in done.stdout, done.stderr
    assert done.stdout.strip().endswith("are left here.")


def test_a_control_group_counts(tmp_path, monkeypatch):
    for name, text in (
        ("memory.max", "5000000"), ("memory.current", "3000000"),
        ("memory.stat", "anon 1\ninactive_file 1000000\n"),
    ):  # fmt: skip
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(machine, "_groups", lambda: (tmp_path,))
    assert machine.memory_left() == 3_000_000
    (tmp_path / "memory.max").write_text("max")
    assert machine.memory_left() > 3_000_000


def test_where_nothing_says_it_nothing_is_refused(monkeypatch):
    monkeypatch.setattr(machine, "memory_left", lambda: None)
    machine.need_memory(1 << 60, "Something")


@pytest.mark.parametrize(
    ("nbytes", "text"), [(12, "12 bytes"), (300 << 20, "300 MiB"), (16 << 30, "16.0 GiB")]
)
def test_bytes_as_people_read_them(nbytes, text):
    assert machine.shown(nbytes) == text
