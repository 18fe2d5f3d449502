"""Memory while shapes change: beside what tracing alone leaves, a process grows by little.

`tests.conductor.growth` measures `aot_eager` in the same way: by 13 MiB with 600 dynamic sizes, by
29 with 59 sizes and a reset before each.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")

pytestmark = [pytest.mark.torch, pytest.mark.checkout]
ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(("case", "count", "most"), [("dynamic", 200, 113), ("static", 30, 79)])
def test_a_process_grows_by_a_hundred_mib_more_than_aot_eager_at_most(case, count, most) -> None:
    asked = [sys.executable, "-m", "tests.conductor.growth", case, "gint", str(count)]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    assert int(done.stdout) <= most
