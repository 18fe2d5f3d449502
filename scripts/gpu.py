"""`make gpu`: build, GPU suite and sweep in one go, with the Python at hand and nothing installed.

Meant for a machine that has a GPU and no network: torch with CUDA, NumPy and pytest are there, and
perhaps not the test packages, a C++ compiler or an installed gint. What is missing is said; what
does not need it runs. The last thing printed is a short table; the exit status is 0 only if every
step that was asked for has run and passed.

    python3 scripts/gpu.py                        everything
    python3 scripts/gpu.py --only build,suite     some of these steps, the device first
    python3 scripts/gpu.py --quick                fewer samples and variants
    python3 scripts/gpu.py --out FOLDER           where the JSON files go (out/gpu)

Knows the steps. Does not know kernels, and imports torch nowhere: each step is a process.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDED = {"numpy": "numpy", "torch": "torch", "pytest": "pytest", "cuda.bindings": "cuda-bindings"}
#: Without plug-ins of pytest's that may be missing, and without options that need them.
PYTEST = ("-m", "pytest", "-m", "gpu", "-q", "-p", "no:cacheprovider", "-W", "ignore",
          "-o", "addopts=--import-mode=importlib")  # fmt: skip


@dataclass
class Row:
    step: str
    result: str
    seconds: float = 0.0
    passed: bool = False


def main(argv: list[str] | None = None) -> int:
    options = _parser().parse_args(argv)
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = os.pathsep.join(
        p for p in (str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH", "")) if p
    )
    sys.path.insert(0, str(ROOT / "src"))
    missing = [name for module, name in NEEDED.items() if not _has(module)]
    if missing:
        print(f"gint: make gpu needs {', '.join(missing)} in {sys.executable}.", file=sys.stderr)
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    steps: dict[str, Callable[[argparse.Namespace], Row]] = {
        "device": device, "build": build, "suite": suite, "sweep": sweep, "kernels": kernels,
    }  # fmt: skip
    rows = []
    for name in options.only:
        print(f"\n=== {name}", flush=True)
        begun = time.perf_counter()
        row = steps[name](options)
        row.seconds = time.perf_counter() - begun
        rows.append(row)
        if name in ("device", "build") and not row.passed:
            rows += [Row(rest, "not run") for rest in options.only[len(rows) :]]
            break
    _show(rows)
    return 0 if all(row.passed for row in rows) else 1


def device(options: argparse.Namespace) -> Row:
    """Is there one? Asked of the driver, whatever is built."""
    from gint.backend.probing import probe_in_subprocess
    from gint.kernel.interpreter.cuda import driver

    os.environ.setdefault("GINT_PROBE_SECONDS", "30")  # the first start of a driver may be slow
    answer = probe_in_subprocess(driver.__name__, driver.state())
    if answer.usable:
        return Row("device", f"{answer.description}, {answer.reason}", passed=True)
    return Row("device", f"NO DEVICE: {answer.reason.splitlines()[0]}")


def build(options: argparse.Namespace) -> Row:
    """The fatbin by nvcc; without nvcc, NVRTC builds when the first kernel is loaded."""
    from gint.kernel.interpreter.cuda import build

    if build.is_built():
        return Row("build", "the fatbin is there already", passed=True)
    try:
        build.find_nvcc()
    except build.BuildError as error:
        if not build.has_nvrtc():
            return Row("build", f"no nvcc, no NVRTC: {error}")
        return Row("build", "no nvcc: NVRTC builds at the first launch", passed=True)
    done = _run("-m", build.__name__)
    return Row("build", "nvcc" if done == 0 else "nvcc FAILED", passed=done == 0)


def suite(options: argparse.Namespace) -> Row:
    """All tests marked gpu, whatever backend's they are."""
    os.environ["GINT_REQUIRE"] = "cuda"
    report = options.out / "suite.xml"
    done = _run(*PYTEST, f"--junitxml={report}", "tests")
    return Row("suite", _counts(report) + f" ({report})", passed=done == 0)


def _counts(report: Path) -> str:
    from xml.etree import ElementTree

    if not report.exists():
        return "FAILED: pytest did not run"
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    numbers = {
        name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
    }
    failed, skipped = numbers["failures"] + numbers["errors"], numbers["skipped"]
    return f"{numbers['tests'] - failed - skipped} passed, {failed} failed, {skipped} skipped"


def sweep(options: argparse.Namespace) -> Row:
    return _benchmark(options, "sweep", "benchmarks.gpu_sweep")


def kernels(options: argparse.Namespace) -> Row:
    return _benchmark(options, "kernels", "benchmarks.gpu_kernels")


def _benchmark(options: argparse.Namespace, step: str, module: str) -> Row:
    path = options.out / f"{step}.json"
    quick = ["--quick"] if options.quick else []
    done = _run("-m", module, "--json", str(path), *quick)
    return Row(step, str(path) if done == 0 else "FAILED", passed=done == 0)


def _run(*arguments: str) -> int:
    return subprocess.run([sys.executable, *arguments], check=False).returncode


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _show(rows: list[Row]) -> None:
    print("\nstep      passed  seconds  result")
    for row in rows:
        print(f"{row.step:9} {'yes' if row.passed else 'NO':7} {row.seconds:7.0f}  {row.result}")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make gpu", description="Build, GPU suite and sweep.")
    steps = ("build", "suite", "sweep", "kernels")
    parser.add_argument(
        "--only", type=_steps(steps), default=("device", *steps), help=",".join(steps)
    )
    parser.add_argument("--quick", action="store_true", help="fewer samples and variants")
    parser.add_argument("--out", type=Path, default=Path("out/gpu"), metavar="FOLDER")
    return parser


def _steps(known: tuple[str, ...]) -> Callable[[str], tuple[str, ...]]:
    def read(text: str) -> tuple[str, ...]:
        asked = [name.strip() for name in text.split(",")]
        for name in asked:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is no step; {', '.join(known)} are.")
        return ("device", "build", *(name for name in known if name in asked and name != "build"))

    return read


if __name__ == "__main__":
    sys.exit(main())
