"""backend.json: what it may say, where it lies, how it is written."""

import json
import os
import stat
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from gint.host import configuration
from gint.host.configuration import (
    Configuration,
    ConfigurationError,
    Location,
    is_checkout,
    locate,
    read,
    write,
)

DEFAULT = {
    "preferred_backend": "auto",
    "backend_priority": ["cuda", "opencl", "cpp", "python"],
    "force_backend": None,
}


@pytest.fixture
def file(tmp_path):
    return Location(tmp_path / "backend.json")


def test_the_default_is_the_guides():
    assert Configuration().as_dict() == DEFAULT


def test_a_missing_file_is_the_default_unless_it_was_named(file):
    assert read(file) == Configuration()
    with pytest.raises(ConfigurationError, match=r"does not exist.*GINT_BACKEND_CONFIG"):
        read(Location(file.path, required=True))


def test_what_is_written_is_read(file):
    wanted = Configuration("cpp", ("python", "cpp"), "cuda")
    write(file, wanted)
    assert read(file) == wanted
    assert [p.name for p in file.path.parent.iterdir()] == ["backend.json"]


def test_written_files_look_like_the_guides(file):
    write(file, Configuration())
    assert file.path.read_text() == json.dumps(DEFAULT, indent=2) + "\n"


def test_keys_left_out_have_their_defaults_and_the_order_of_keys_is_kept(file):
    file.path.write_text('{"force_backend": null, "preferred_backend": "cpp"}')
    assert read(file) == Configuration("cpp")
    write(file, Configuration("opencl"))
    assert list(json.loads(file.path.read_text())) == [
        "force_backend", "preferred_backend", "backend_priority",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", r"is not JSON: .* in line 1, column 2"),
        ("", "is not JSON"),
        ("[" * 100000, "nested too deeply|is not JSON"),
        ("[]", "expected a JSON object, found a list"),
        ("null", "found null"),
        ("1" * 5000, "holds a number too long"),
        ('{"prefered_backend": "cpp"}', "unknown key 'prefered_backend'. Allowed: preferred_b"),
        ('{"preferred_backend": "gpu"}', "cannot be 'gpu'. Allowed: auto, cuda, opencl, cpp, py"),
        ('{"preferred_backend": null}', "preferred_backend cannot be None"),
        ('{"preferred_backend": ["cpp"]}', r"preferred_backend cannot be \['cpp'\]"),
        ('{"force_backend": "auto"}', "force_backend cannot be 'auto'. Allowed: .*null"),
        ('{"force_backend": false}', "force_backend cannot be False"),
        ('{"backend_priority": "cpp"}', "must be a list of backends, not a string"),
        ('{"backend_priority": []}', "names no backend. Allowed: cuda"),
        ('{"backend_priority": ["cpp", "cpp"]}', "names 'cpp' twice"),
        ('{"backend_priority": ["cpp", 1]}', "cannot be 1"),
        ('{"force_backend": null, "force_backend": "cpp"}', "'force_backend' occurs twice"),
    ],
)
def test_what_a_file_may_not_say(file, text, words):
    file.path.write_text(text)
    with pytest.raises(ConfigurationError, match=words) as caught:
        read(file)
    assert str(file.path) in str(caught.value)
    assert "\n" not in str(caught.value)
    with pytest.raises(ConfigurationError):
        write(file, Configuration())
    assert file.path.read_text() == text


def test_a_file_that_is_no_text_and_a_folder(file):
    file.path.write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        read(file)
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        read(Location(file.path.parent))


def test_a_read_only_file_is_left_alone_even_for_root(file):
    write(file, Configuration())
    before = file.path.read_text()
    file.path.chmod(0o444)
    with pytest.raises(ConfigurationError, match="is read-only"):
        write(file, Configuration("cpp"))
    assert file.path.read_text() == before


def test_mode_and_links_survive(file, tmp_path):
    write(file, Configuration())
    file.path.chmod(0o600)
    link = tmp_path / "link.json"
    link.symlink_to(file.path)
    write(Location(link), Configuration("cpp"))
    assert link.is_symlink()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    assert read(file) == Configuration("cpp")


def test_a_write_that_fails_leaves_nothing_behind(file, monkeypatch):
    write(file, Configuration())

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(ConfigurationError, match="cannot be written: No space left"):
        write(file, Configuration("cpp"))
    assert read(file) == Configuration()
    assert [p.name for p in file.path.parent.iterdir()] == ["backend.json"]


def test_where_it_lies(monkeypatch, tmp_path):
    monkeypatch.delenv("GINT_BACKEND_CONFIG", raising=False)
    sources = tmp_path / "src"
    sources.mkdir()
    monkeypatch.setattr(configuration, "SOURCES", sources)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert locate() == Location(tmp_path / "home" / "gint" / "backend.json")
    (tmp_path / "pyproject.toml").write_text('[tool.gint]\nconfiguration = "src/x/mine.json"\n')
    assert is_checkout(sources)
    assert locate() == Location(sources / "x" / "mine.json")
    monkeypatch.setenv("GINT_BACKEND_CONFIG", "mine.json")
    assert locate() == Location(Path("mine.json").absolute(), required=True)


def test_a_checkout_that_names_no_file_has_the_users(monkeypatch, tmp_path):
    monkeypatch.delenv("GINT_BACKEND_CONFIG", raising=False)
    (tmp_path / "src").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.setattr(configuration, "SOURCES", tmp_path / "src")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    assert locate() == Location(tmp_path / "home" / "gint" / "backend.json")


@pytest.mark.checkout
def test_this_checkout_names_the_file_that_its_commands_write(monkeypatch):
    monkeypatch.delenv("GINT_BACKEND_CONFIG", raising=False)
    assert locate() == Location(configuration.SOURCES / "airllm" / "cpp_ext" / "backend.json")
    root = configuration.SOURCES.parent
    values = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["gint"]
    assert locate().path == root / values["configuration"]


def test_needs_the_standard_library_only():
    code = "import sys, gint.host.configuration as c; c.read(c.Location(c.Path('/nonexistent')))\n"
    code += "print({'numpy', 'platformdirs', 'torch'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


def test_a_named_file_stays_the_same_when_the_folder_changes(monkeypatch, tmp_path):
    (tmp_path / "there").mkdir()
    monkeypatch.setenv("GINT_BACKEND_CONFIG", "stays-the-same.json")
    monkeypatch.chdir(tmp_path)
    assert locate() == Location(tmp_path / "stays-the-same.json", required=True)
    monkeypatch.chdir(tmp_path / "there")
    assert locate() == Location(tmp_path / "stays-the-same.json", required=True)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_pipe_is_refused_and_not_waited_for(file):
    os.mkfifo(file.path)
    code = (
        "import sys; from pathlib import Path; from gint.host.configuration import Location, read\n"
        "try: read(Location(Path(sys.argv[1])))\n"
        "except ValueError as error: print(error)"
    )
    said = subprocess.check_output([sys.executable, "-c", code, file.path], text=True, timeout=30)
    assert "is not a file" in said
