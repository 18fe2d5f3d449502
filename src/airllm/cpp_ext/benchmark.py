"""`python benchmark.py`: the operations on the backend that is configured, beside NumPy and torch.

    python setup.py configure_backend --backend=cpp
    python benchmark.py

Lives in a checkout: the benchmarks themselves are in its folder benchmarks/.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE.parents[1]
ROOT = SOURCES.parent


def main(arguments: list[str]) -> int:
    """Run `gint bench tensor_ops quantized` with two threads, or as the arguments say."""
    sys.path[:] = [str(SOURCES), str(ROOT), *(p for p in sys.path if Path(p).resolve() != HERE)]
    if not (ROOT / "benchmarks" / "tensor_ops.py").is_file():
        return _fail("the benchmarks are in a checkout of gint only.")
    from benchmarks.command import main as bench
    from gint.host.configuration import ConfigurationError

    try:
        return bench(arguments, ("tensor_ops", "quantized"), threads=2, program="benchmark.py")
    except ModuleNotFoundError as error:
        return _fail(f"this needs {error.name}: pip install {str(error.name).partition('.')[0]}.")
    except (ImportError, ConfigurationError) as error:  # what is configured cannot be had
        return _fail(str(error))


def _fail(sentence: str) -> int:
    print(f"benchmark.py: {sentence}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
