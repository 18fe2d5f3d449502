"""No C++ compiler, or one that fails: a wheel all the same, which knows why it is poorer."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy
import pytest

pytestmark = pytest.mark.checkout

BUILD = "import sys; sys.path.insert(0, 'scripts'); import gint_build; gint_build.{hook}('dist')"
TREE = ("CMakeLists.txt", "LICENSE", "README.md", "pyproject.toml", "scripts", "src")
BUILT = shutil.ignore_patterns("*.so", "__pycache__", "_build_error.txt")
PACKAGE = "gint/native"


@pytest.fixture
def tree(root, tmp_path) -> Path:
    """A copy of what a build reads, with nothing built in it."""
    for name in TREE:
        if (root / name).is_dir():
            shutil.copytree(root / name, tmp_path / name, ignore=BUILT)
        else:
            shutil.copy(root / name, tmp_path)
    (tmp_path / "dist").mkdir()
    return tmp_path


def build(tree: Path, hook: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {k: v for k, v in os.environ.items() if k not in ("GINT_REQUIRE", "CXX")}
    return subprocess.run(
        [sys.executable, "-c", BUILD.format(hook=hook)],
        cwd=tree,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def only_cmake(folder: Path) -> str:
    """A PATH with CMake and Ninja, and no compiler."""
    folder.mkdir()
    for tool in ("cmake", "ninja"):
        found = shutil.which(tool, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        assert found is not None
        (folder / tool).symlink_to(found)
    return str(folder)


def test_failing_compiler_gives_a_pure_wheel(tree, tmp_path):
    result = build(tree, "build_wheel", CXX="/bin/false")
    assert result.returncode == 0, result.stderr
    assert "going on without it" in result.stdout
    (wheel,) = (tree / "dist").iterdir()
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert "/bin/false" in archive.read(f"{PACKAGE}/_build_error.txt").decode()
        archive.extractall(tmp_path / "installed")
    assert not (tree / "src" / PACKAGE / "_build_error.txt").exists()
    # -S: an editable installation would put the checkout before the unpacked wheel. NumPy is
    # all that is wanted of site-packages.
    packages = str(Path(numpy.__file__).parents[1])
    command = [sys.executable, "-S", "-m", "gint.cli", "info"]
    environment = os.environ | {"PYTHONPATH": packages}
    info = subprocess.check_output(command, cwd=tmp_path / "installed", text=True, env=environment)
    assert "could not be built" in info
    assert "/bin/false" in info


def test_no_compiler_editable(tree, tmp_path):
    # CC and CXX also come from Python's own build; a PATH without them is what counts.
    result = build(tree, "build_editable", PATH=only_cmake(tmp_path / "bin"))
    assert result.returncode == 0, result.stderr
    assert "CXX" in (tree / "src" / PACKAGE / "_build_error.txt").read_text()
    assert list((tree / "dist").glob("*-py3-none-any.whl"))


@pytest.mark.parametrize("hook", ["build_wheel", "build_editable"])
def test_required_native_module_fails(tree, hook):
    result = build(tree, hook, CXX="/bin/false", GINT_REQUIRE="cpp")
    assert result.returncode == 1
    assert "GINT_REQUIRE=cpp" in result.stdout
    assert not list((tree / "dist").iterdir())


def test_failure_removes_the_stale_module(tree):
    stale = tree / "src" / PACKAGE / f"_native.{sys.implementation.cache_tag}-x.so"
    stale.touch()
    assert build(tree, "build_editable", CXX="/bin/false").returncode == 0
    assert not stale.exists()


def test_sdist_leaves_the_link_out(tree):
    (tree / "mix").mkdir()
    (tree / "mix" / "target").symlink_to("../src")
    assert build(tree, "build_sdist").returncode == 0
    (archive,) = (tree / "dist").glob("gint-*.tar.gz")
    listing = subprocess.check_output(["tar", "-tzf", str(archive)], text=True)
    assert "scripts/gint_build.py" in listing
    assert "/mix" not in listing


PRINTS = """
import os, sys
sys.path.insert(0, "scripts")
import gint_build

log = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
with gint_build._copy_output(log):
    for n in range(5000):
        os.write(1, b"a line of a compiler's warning, of which there are many\\n")
"""


def test_a_build_goes_on_where_nobody_reads_its_output_any_more(root, tmp_path):
    log = tmp_path / "log"
    command = [sys.executable, "-c", PRINTS, str(log)]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        run.stdout.close()
        run.stderr.close()
        try:
            assert run.wait(timeout=30) == 0
        finally:
            run.kill()
    assert len(log.read_text().splitlines()) == 5000
