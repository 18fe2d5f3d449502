"""`python benchmark.py`: the operations on the backend that is configured, beside NumPy and torch.

    python setup.py configure_backend --backend=cpp
    python benchmark.py

Lives in a checkout: the benchmarks themselves are in its folder benchmarks/. The number of threads
is set before anything that makes threads is imported.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]
ROOT = SOURCES.parent


def main(arguments: list[str]) -> int:
    """Run `gint bench tensor_ops` with the other arguments; the exit status."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--threads", default="2")
    options, others = parser.parse_known_args(arguments)
    if options.threads != "0":
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, options.threads)
    sys.path[:] = [str(SOURCES), str(ROOT), *(p for p in sys.path if Path(p).resolve() != HERE)]
    if not (ROOT / "benchmarks" / "tensor_ops.py").is_file():
        return _fail("the benchmarks are in a checkout of gint only.")
    try:
        from airllm import tensor_ops
        from benchmarks.command import main as bench
    except ModuleNotFoundError as error:
        return _fail(f"this needs {error.name}: pip install {str(error.name).partition('.')[0]}.")
    except (ImportError, ValueError) as error:  # what the configuration asks for is not there
        return _fail(str(error))
    print(f"The backend in effect is {tensor_ops.get_backend()}.")
    return bench(["tensor_ops", "--threads", options.threads, *others])


def _fail(sentence: str) -> int:
    print(f"benchmark.py: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
