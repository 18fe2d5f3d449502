"""Make `.venv` ready: create it, install the dependencies, build the native module.

Each step runs only if something it depends on has changed. Called by the Makefile with whatever
`python3` is there, so it is written in syntax that old versions can read, and says in one sentence
what is wrong. Knows pip and pyproject.toml. Does not know gint.
"""
# ruff: noqa: UP031, RUF005

import hashlib
import os
import subprocess
import sys

MINIMUM = (3, 11)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EXTRAS = ("torch", "opencl", "test", "bench", "dev")
NETWORK_SIGNS = (
    "No matching distribution",
    "ResolutionImpossible",  # no candidate at all for a package that constraints.txt pins
    "NewConnectionError",
    "Connection",
    "Temporary failure in name resolution",
    "ProxyError",
    "ReadTimeout",
)


def fail(sentence):
    sys.stderr.write("gint: %s\n" % sentence)
    sys.exit(2)


def say(sentence):
    sys.stdout.write("gint: %s\n" % sentence)
    sys.stdout.flush()


def check_python():
    if sys.version_info[:2] < MINIMUM:
        fail(
            "Python %d.%d or newer is needed, and %s is %d.%d.\n"
            "Name another one: make PYTHON=python3.12 ..."
            % (MINIMUM + (sys.executable,) + sys.version_info[:2])
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        fail(
            "%s has no venv module.\nOn Debian or Ubuntu: apt-get install python%d.%d-venv"
            % ((sys.executable,) + sys.version_info[:2])
        )


class Environment:
    """A virtual environment, and the stamps (content hashes) of what was done in it."""

    def __init__(self, folder):
        self.folder = os.path.join(ROOT, folder)
        self.python = os.path.join(self.folder, "bin", "python")

    def create(self):
        version = "%d.%d" % sys.version_info[:2]
        if self.is_done("python", version) and os.path.exists(self.python):
            return
        say("creating %s with Python %s" % (os.path.basename(self.folder), version))
        # Not sys.executable: that may be the very environment that is made anew.
        python = getattr(sys, "_base_executable", sys.executable)
        if subprocess.call([python, "-m", "venv", "--clear", self.folder]) != 0:
            fail("%s could not be created; the message above says why." % self.folder)
        self.done("python", version)

    def stamp(self, step):
        return os.path.join(self.folder, ".stamp-" + step)

    def is_done(self, step, key):
        try:
            with open(self.stamp(step)) as file:
                return file.read() == key
        except OSError:
            return False

    def done(self, step, key):
        with open(self.stamp(step), "w") as file:
            file.write(key)

    def pip_install(self, arguments):
        """pip's own output only where it fails, or on a terminal, where it shows progress."""
        command = [self.python, "-m", "pip", "install", "--disable-pip-version-check"]
        show = sys.stdout.isatty()
        process = subprocess.Popen(
            command + ([] if show else ["--quiet"]) + arguments,
            cwd=ROOT,
            stderr=subprocess.PIPE,
            universal_newlines=True,
        )
        _, errors = process.communicate()
        if process.returncode == 0:
            return
        sys.stderr.write(errors)
        if any(sign in errors for sign in NETWORK_SIGNS):
            fail(
                "pip could not get what constraints.txt asks for from a package index"
                " (its words are above).\n"
                "Is there a network, and a torch for this version of Python?"
            )
        fail("pip failed; its words are above.")


def digest(paths, *words):
    total = hashlib.sha256(repr(words).encode())
    for path in sorted(paths):
        with open(os.path.join(ROOT, path), "rb") as file:
            total.update(path.encode() + b"\0" + file.read() + b"\0")
    return total.hexdigest()


def project():
    import tomllib

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return tomllib.load(file)


def requirements(extras):
    table = project()
    found = list(table["project"]["dependencies"])
    for extra in extras:
        found += table["project"]["optional-dependencies"][extra]
    return found, table["build-system"]["requires"]


def install_dependencies(env, torch_index):
    key = digest(["pyproject.toml", "constraints.txt"], torch_index)
    if env.is_done("dependencies", key):
        return
    found, build = requirements(EXTRAS)
    # torch first and alone: nothing else may choose which torch this is.
    torch = ["--constraint", "constraints.txt", "torch"]
    say("installing torch (CPU build: 200 MB; the default Linux build from PyPI: several GB)")
    env.pip_install((["--index-url", torch_index] if torch_index else []) + torch)
    say("installing the other dependencies (about 120 MB)")
    env.pip_install(["--constraint", "constraints.txt"] + found + build)
    tools = subprocess.check_output(
        [env.python, "scripts/gint_build.py", "requires"], cwd=ROOT, universal_newlines=True
    ).split()
    if tools:
        env.pip_install(tools)
    env.done("dependencies", key)


def native_sources():
    found = ["CMakeLists.txt", "scripts/gint_build.py", "pyproject.toml"]
    interpreters = "src/gint/kernel/interpreter/"
    native = "src/gint/native/src"
    for folder in (native, interpreters + "cpp/src", interpreters + "portable", "src/gint/isa"):
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            found += [
                os.path.relpath(os.path.join(where, name), ROOT)
                for name in names
                if name.endswith((".cpp", ".h", ".hpp", ".inc", ".py"))
            ]
    return found


def native_present(env):
    """Whether a native module for this Python lies in src/. One that failed is tried again."""
    suffix = subprocess.check_output(
        [env.python, "-c", "import sysconfig; print(sysconfig.get_config_var('EXT_SUFFIX'))"],
        universal_newlines=True,
    ).strip()
    return os.path.exists(os.path.join(ROOT, "src/gint/native/_native" + suffix))


def build_native(env):
    key = digest(native_sources(), os.environ.get("CXX"), os.environ.get("CXXFLAGS"))
    if env.is_done("native", key) and native_present(env):
        return
    say("building the C++ interpreter (the first time takes minutes)")
    if subprocess.call([env.python, "scripts/gint_build.py", "inplace"], cwd=ROOT) != 0:
        fail("the C++ interpreter could not be built, and GINT_REQUIRE=cpp asks for it.")
    env.done("native", key)


def install_gint(env):
    """Entry points and metadata; the native module is in place already."""
    key = digest(["pyproject.toml", "src/gint/__init__.py", "scripts/gint_build.py"], ROOT)
    if env.is_done("gint", key):
        return
    settings = "--config-settings=gint.native=done"
    env.pip_install(["--no-deps", "--no-build-isolation", settings, "--editable", "."])
    env.done("gint", key)


def install_wheel(env, wheel):
    """The built wheel and what its tests need, OpenCL too, nothing of torch."""
    found, _ = requirements(["opencl", "test"])
    key = digest(["pyproject.toml", "constraints.txt"])
    if not env.is_done("dependencies", key):
        env.pip_install(["--constraint", "constraints.txt"] + found)
        env.done("dependencies", key)
    key = digest([wheel])
    if not env.is_done("wheel", key):
        env.pip_install(["--no-deps", "--force-reinstall", wheel])
        env.done("wheel", key)


def main(arguments):
    check_python()
    if arguments[:1] == ["--wheel"]:
        env = Environment(".venv-wheel")
        env.create()
        install_wheel(env, arguments[1])
        return
    env = Environment(".venv")
    env.create()
    install_dependencies(env, os.environ.get("TORCH_INDEX", ""))
    build_native(env)
    install_gint(env)


if __name__ == "__main__":
    main(sys.argv[1:])
