"""`setup.py configure_backend`: what it prints, writes and refuses."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys

import pytest

from tests.airllm.cpp_ext.trees import ROOT, Tree

pytestmark = pytest.mark.checkout

DEFAULT = ("auto", ["cuda", "opencl", "cpp", "python"], None)
KEYS = ("preferred_backend", "backend_priority", "force_backend")


def shown(tree: Tree, preferred="auto", force=None, priority="cuda, opencl, cpp, python") -> str:
    return (
        "Current Backend Configuration:\n"
        f"  Preferred backend: {preferred}\n"
        f"  Force backend: {force}\n"
        f"  Priority order: {priority}\n"
        "\n"
        f"Configuration file: {tree.file}\n"
    )


def configure(tree: Tree, *options: str, **environment: str):
    return tree.setup("configure_backend", *options, **environment)


def written(tree: Tree) -> tuple:
    values = tree.values()
    assert tuple(values) == KEYS
    return tuple(values.values())


@pytest.mark.parametrize("options", [(), ("--show",)])
def test_show_prints_the_guides_text_and_nothing_else(tree, options):
    before = tree.file.read_bytes()
    assert configure(tree, *options).fine() == shown(tree)
    assert tree.file.read_bytes() == before


def test_the_file_of_a_fresh_checkout_is_the_guides():
    text = (ROOT / "src/airllm/cpp_ext/backend.json").read_text(encoding="utf-8")
    assert text == json.dumps(dict(zip(KEYS, DEFAULT, strict=True)), indent=2) + "\n"


def test_a_backend_is_written_and_shown(tree):
    assert configure(tree, "--backend=python").fine() == shown(tree, "python")
    assert written(tree) == ("python", DEFAULT[1], None)
    assert configure(tree, "--show").fine() == shown(tree, "python")


def test_the_value_may_be_a_word_of_its_own(tree):
    configure(tree, "--backend", "python", "--priority", "python, cpp").fine()
    assert written(tree) == ("python", ["python", "cpp"], None)


def test_force_writes_both_and_a_backend_alone_undoes_it(tree):
    assert configure(tree, "--backend=python", "--force").fine() == shown(tree, "python", "python")
    assert written(tree) == ("python", DEFAULT[1], "python")
    configure(tree, "--backend=python").fine()
    assert written(tree) == ("python", DEFAULT[1], None)
    configure(tree, "--force", "--backend=python").fine()
    configure(tree, "--backend=auto").fine()
    assert written(tree) == DEFAULT


def test_priority_alone_keeps_the_rest(tree):
    configure(tree, "--backend=python", "--force").fine()
    configure(tree, "--priority=cpp,cuda,opencl,python").fine()
    assert written(tree) == ("python", ["cpp", "cuda", "opencl", "python"], "python")


def test_all_of_it_at_once_and_shorter_lists(tree):
    printed = configure(tree, "--show", "--priority=python", "--force", "--backend=python").fine()
    assert printed == shown(tree, "python", "python", "python")
    assert written(tree) == ("python", ["python"], "python")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--force",), "--force needs the backend to force"),
        (("--force", "--backend=auto"), "Allowed: cuda, opencl, cpp, python"),
        (("--force", "--show"), "--force needs"),
        (("--force", "--priority=cpp"), "--force needs"),
        (("--backend=tpu",), "cannot be 'tpu'. Allowed: auto, cuda, opencl, cpp, python."),
        (("--backend=CPP",), "cannot be 'CPP'"),
        (("--backend=",), "cannot be ''. Allowed: auto"),
        (("--backend",), "expected one argument (usage: setup.py configure_backend [-h] [--show]"),
        (("--priority=cpp,tpu",), "cannot be 'tpu'. Allowed: cuda, opencl, cpp, python."),
        (("--priority=auto",), "cannot be 'auto'"),
        (("--priority=cpp,cuda,cpp",), "names 'cpp' twice"),
        (("--priority=",), "names no backend. Allowed: cuda"),
        (("--priority= ",), "names no backend"),
        (("--priority=cpp,,cuda",), "cannot be ''"),
        (("--backend=cpp", "--priority=tpu"), "cannot be 'tpu'"),
        (("--backend=tpu\nx",), r"cannot be 'tpu\nx'"),
        (("--back=cpp",), "unrecognized arguments: --back=cpp"),
        (("cpp",), "unrecognized arguments: cpp (usage: setup.py configure_backend [-h] [--show]"),
    ],
)
def test_mistakes_are_one_line_and_the_file_is_untouched(tree, options, words):
    before = tree.file.read_bytes()
    done = configure(tree, *options)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err
    assert tree.file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ('{"prefered_backend": "cpp"}', "unknown key 'prefered_backend'. Allowed: preferred_b"),
        ('{"backend_priority": "cpp"}', "must be a list"),
        ('{"preferred_backend": "tpu"}', "cannot be 'tpu'"),
        ('{"force_backend": 1}', "cannot be 1"),
    ],
)
@pytest.mark.parametrize("options", [("--show",), ("--backend=auto",)])
def test_a_file_that_cannot_be_used_is_told_and_untouched(tree, text, words, options):
    tree.file.write_text(text)
    done = configure(tree, *options)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert words in done.err
    assert str(tree.file) in done.err
    assert tree.file.read_text() == text


def test_a_read_only_file_is_untouched_for_root_too(tree):
    tree.file.chmod(0o444)
    before = tree.file.read_bytes()
    done = configure(tree, "--backend=python")
    assert (done.status, done.out) == (2, "")
    assert "is read-only" in done.err
    assert tree.file.read_bytes() == before
    assert stat.S_IMODE(tree.file.stat().st_mode) == 0o444
    assert configure(tree).fine() == shown(tree)


def test_a_missing_file_is_the_default_and_is_created_by_the_first_write(tree):
    tree.file.unlink()
    assert configure(tree).fine() == shown(tree)
    assert not tree.file.exists()
    configure(tree, "--backend=python").fine()
    assert written(tree) == ("python", DEFAULT[1], None)


@pytest.mark.parametrize("options", [("--show",), ("--backend=python",)])
def test_a_file_that_is_named_and_missing_is_an_error(tree, tmp_path, options):
    path = tmp_path / "mine.json"
    done = configure(tree, *options, GINT_BACKEND_CONFIG=str(path))
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert f"{path} does not exist" in done.err
    assert not path.exists()


def test_a_file_that_is_named_is_the_one_shown_and_written(tree, tmp_path):
    mine = Tree(tree.root, tree.start, tmp_path / "mine.json", tree.environment)
    mine.file.write_text('{"force_backend": null, "preferred_backend": "cpp"}')
    here = {"GINT_BACKEND_CONFIG": os.path.relpath(mine.file, tree.start.resolve())}
    assert configure(tree, **here).fine().startswith(shown(mine, "cpp").partition("Conf")[0])
    there = {"GINT_BACKEND_CONFIG": str(mine.file)}
    assert configure(tree, "--backend=python", **there).fine() == shown(mine, "python")
    # Its keys keep their order; those it lacked come last.
    assert list(mine.values()) == ["force_backend", "preferred_backend", "backend_priority"]
    assert written(tree) == DEFAULT


def test_a_backend_that_is_not_usable_is_configured_with_one_warning(tree):
    done = configure(tree, "--backend=opencl")
    assert (done.status, done.out) == (0, shown(tree, "opencl"))
    assert done.err.count("\n") == 1
    assert done.err.startswith("warning: 'opencl' is not usable here: ")
    assert written(tree)[0] == "opencl"


def test_without_numpy_it_configures_all_the_same(tree):
    """-I -S: nothing but the standard library, as before anything is installed."""
    command = (sys.executable, "-I", "-S", "setup.py", "configure_backend")
    assert tree.run(*command).fine() == shown(tree)
    done = tree.run(*command, "--backend=cpp", "--force")
    assert (done.status, done.out) == (0, shown(tree, "cpp", "cpp"))
    assert done.err.startswith("warning: whether 'cpp' is usable here cannot be told without NumPy")
    assert done.err.count("\n") == 1
    assert written(tree) == ("cpp", DEFAULT[1], "cpp")


def test_the_environment_that_rules_over_the_file_is_told(tree):
    done = configure(tree, "--backend=python", GINT_BACKEND="cpp")
    assert (done.status, done.out) == (0, shown(tree, "python"))
    assert done.err == "warning: GINT_BACKEND=cpp in the environment rules over this file.\n"


def test_writers_at_once_leave_one_whole_file(tree):
    command = [sys.executable, "-I", "-S", "setup.py", "configure_backend", "--backend"]
    running = [
        subprocess.Popen(
            [*command, name], cwd=tree.start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for name in ("cpp", "python", "cuda", "opencl") * 2
    ]
    while any(process.poll() is None for process in running):
        written(tree)
    assert not any(process.returncode for process in running)
    assert not [path for path in tree.start.iterdir() if path.name.startswith(".backend")]


def test_two_processes_with_their_own_files_do_not_disturb_each_other(tree, tmp_path):
    """Nor does a change to its file disturb one that has been running before."""
    code = (
        "import sys; from airllm import tensor_ops; print(flush=True); sys.stdin.readline()\n"
        "info = tensor_ops.get_backend_info()\n"
        "print(info['backend'], *info['config']['backend_priority'], info['config_file'])\n"
    )
    running = {}
    for order in ("python", "python cpp"):
        path = tmp_path / f"{order}.json"
        path.write_text(json.dumps({"backend_priority": order.split()}))
        running[order] = subprocess.Popen(
            [sys.executable, "-c", code],
            env=tree.environment | {"GINT_BACKEND_CONFIG": str(path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
    for order, process in running.items():
        assert process.stdout.readline() == "\n"
        named = {"GINT_BACKEND_CONFIG": str(tmp_path / f"{order}.json")}
        configure(tree, "--backend=cuda", "--priority=cuda", **named)
    for order, process in running.items():
        found = process.communicate("\n")[0]
        assert found == f"python {order} {tmp_path / order}.json\n"
    assert written(tree) == DEFAULT
