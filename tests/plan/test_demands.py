"""What is counted for a call is no less than what the process is seen to hold, for every operator
that a saved plan may call."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from gint.plan.demands import NOTHING, SCRATCH, Demand, demand_of, is_asked
from gint.plan.operators import EXTERNS, VIEWS
from tests.once import once

from .test_results import typed

torch = pytest.importorskip("torch")

from .large_calls import CALLS, NOT_CALLED

pytestmark = pytest.mark.torch

#: Of a process beside what a call holds: code that is read, the interpreter's own.
SLACK = 1 << 20
#: Of these oneDNN takes so much as soon as there are some elements.
OF_SCRATCH = ("aten.dot.default", "aten.vdot.default")
#: The processes, which share the operators.
PARTS = 2


@pytest.fixture(scope="module")
def peaks(tmp_path_factory):
    """By packet, of processes beside each other."""
    folder = once(tmp_path_factory, "peaks", measure)
    found = defaultdict(list)
    for peak in [peak for file in files_in(folder) for peak in json.loads(file.read_text())]:
        found[peak[0].split(".")[1]].append(peak)
    return found


def measure(folder: Path) -> None:
    names, command = sorted(CALLS), [sys.executable, "-m", "tests.plan.peaks"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    running = [
        subprocess.Popen([*command, str(file), *names[n::PARTS]], env=environment)
        for n, file in enumerate(files_in(folder))
    ]
    statuses = [process.wait() for process in running]
    assert not any(statuses)


def files_in(folder: Path) -> list[Path]:
    return [folder / f"{n}.json" for n in range(PARTS)]


@pytest.mark.skipif(
    not os.access("/proc/self/clear_refs", os.W_OK), reason="Linux says what is resident"
)
@pytest.mark.parametrize("packet", sorted(CALLS))
def test_what_is_held_is_counted(packet, peaks):
    assert peaks[packet], "no call of it was made"
    for operator, call, dtype, on, held, counted in peaks[packet]:
        most = counted + SLACK + SCRATCH * (operator in OF_SCRATCH)
        assert held <= most, (
            f"{operator}({call}) of {dtype} on {on}: {held:,} bytes, not {counted:,}"
        )


def test_every_operator_of_saved_plans_is_called():
    named = {name for names in EXTERNS.values() for name in names}
    backward = {name for name in named if name.endswith("_backward")} - {"embedding_dense_backward"}
    assert named - backward == (set(CALLS) | set(NOT_CALLED)) & named
    assert not set(CALLS) & set(NOT_CALLED)


def test_views_take_nothing():
    assert {name for name in VIEWS if is_asked(f"aten.{name}.default")} == {
        "expand", "as_strided", "unfold", "split", "split_with_sizes", "unbind",
    }  # fmt: skip
    assert demand_of("aten.view.default", (typed(3, 4), [4, 3]), {}) == NOTHING


@pytest.mark.parametrize(
    ("operator", "args", "kwargs", "made"),
    [
        ("aten.mm.default", ((3, 4), (4, 5)), {}, 3 * 5 * 4),
        ("aten.mm.dtype", ((3, 4), (4, 5)), {"out_dtype": torch.float64}, 3 * 5 * 8),
        ("aten._fft_r2c.default", ((3, 4), [1], 0, True), {}, 3 * 3 * 8),
        ("aten.nonzero.default", ((3, 4),), {}, 3 * 4 * 2 * 8),
        ("aten.sort.default", ((3, 4),), {}, 3 * 4 * (4 + 8)),
        ("aten.mul.Tensor", ((100, 1), (1, 100)), {}, 100 * 100 * (4 + 8)),
        ("aten.cat.default", ([(3, 4), (2, 4)],), {}, 5 * 4 * 4),
        ("aten.max_pool2d_with_indices.default", ((1, 1, 4, 4), [2, 2]), {}, 4 * (4 + 8)),
    ],
)  # fmt: skip
def test_what_is_made(operator, args, kwargs, made):
    assert demand_of(operator, _typed(args), kwargs).made == made


def _typed(a):
    """Tuples of numbers as operands."""
    if isinstance(a, tuple) and all(type(n) is int for n in a):
        return typed(*a)
    return [_typed(x) for x in a] if isinstance(a, (list, tuple)) else a


def test_what_lies_as_a_kernel_reads_it_is_not_copied():
    x, across = typed(64, 32), typed(32, 64, strides=(1, 32))
    assert demand_of("aten.mm.default", (x, across), {}) == Demand(64 * 64 * 4, 64 * 64 * 4)
    half = demand_of("aten.mm.default", (typed(64, 32, dtype="bfloat16"),) * 2, {})
    assert half.taken - half.made > 2 * 64 * 32 * 4
    shown = typed(64, 32, strides=(0, 1))
    taken = demand_of("aten.mm.default", (shown, across), {}).taken
    assert taken == 64 * 64 * 4 + 64 * 32 * 4
    rows = demand_of("aten.embedding.default", (typed(1000, 8), typed(3, dtype="int64")), {})
    assert rows == Demand(3 * 8 * 4, 3 * 8 * 4)


def test_windows_that_are_copied_are_counted():
    image, weight = typed(1, 8, 32, 32, dtype="float64"), typed(8, 8, 7, 7, dtype="float64")
    numbers = ([1, 1], [3, 3], [1, 1], False, [0, 0], 1)
    taken = demand_of("aten.convolution.default", (image, weight, None, *numbers), {}).taken
    assert taken > 8 * 49 * 32 * 32 * 8
