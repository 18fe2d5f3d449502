"""Saved functions on NumPy arrays; nothing here needs torch."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

import gint
from gint.plan import (
    Allocate,
    Define,
    Input,
    Launch,
    Operation,
    Plan,
    SlotUse,
    TensorType,
    Use,
    View,
)
from gint.plan.file import Saved, write
from gint.plan.signature import Signature
from gint.plan.verifier import PlanError
from gint.program import VerificationError, assemble, verify
from gint.runtime.explain_cli import main as explain
from gint.runtime.run_cli import main as run
from tests.plan.saving import BYTES, ROWS, WEIGHTS, N, expected, plan, save


@pytest.fixture
def path(tmp_path):
    return save(tmp_path / "a.gint")


def rows(n: int) -> np.ndarray:
    return np.linspace(-1, 1, 4 * n, dtype=np.float32).reshape(n, 4)


@pytest.mark.parametrize(
    "backend", ["cpp", "python", pytest.param("opencl", marks=pytest.mark.opencl)]
)
def test_every_length_in_one_file(path, backend):
    if backend == "cpp":
        pytest.importorskip("gint.native._native")
    loaded = gint.load(path, backend=backend)
    for n in (3, 1, 0, 17, 3):
        x = rows(n)
        for found in (loaded(x), loaded(x=x), loaded(np.asfortranarray(x)), loaded(x[::-1][::-1])):
            for name, wanted in expected(x).items():
                np.testing.assert_allclose(found[name], wanted, rtol=1e-6)


def test_arguments_that_do_not_fit_are_refused_in_words(path):
    loaded = gint.load(path, check=True)
    with pytest.raises(TypeError, match="x is of float32, not of float64"):
        loaded(rows(2).astype(np.float64))
    with pytest.raises(ValueError, match=r"x has the shape \(n, 4\), not \(2, 5\), where n = 2"):
        loaded(np.ones((2, 5), np.float32))
    with pytest.raises(ValueError, match="x has 2 dimensions, not 1"):
        loaded(np.ones(4, np.float32))
    with pytest.raises(TypeError, match="x is a NumPy array, not a list"):
        loaded([[1.0]])
    with pytest.raises(TypeError, match="takes 1 positional arguments, not 2"):
        loaded(rows(2), rows(2))
    with pytest.raises(TypeError, match="The argument 'x' is missing"):
        loaded()
    with pytest.raises(TypeError, match=r"no argument 'z'\. It takes: x"):
        loaded(rows(2), z=3)


def test_a_missing_file_is_a_sentence(tmp_path, capsys):
    for call in (gint.load, lambda path: gint.load(path, check=True)):
        with pytest.raises(FileNotFoundError, match=r"^There is no file '.*none\.gint'\.$"):
            call(tmp_path / "none.gint")
    with pytest.raises(ValueError, match="is a folder, not a saved function"):
        gint.load(tmp_path)
    for tool in (run, explain):
        assert tool([str(tmp_path / "none.gint")]) == 2
        assert capsys.readouterr().err.count("There is no file") == 1


@pytest.mark.parametrize(
    ("path", "options", "reason"),
    [
        (None, {}, "path is that of a file, a str or a Path, not None"),
        (3, {}, "path is that of a file"),
        ("a.gint", {"backend": 3}, "backend is the name of one, not 3"),
        ("a.gint", {"operators": "aten.mm"}, "operators is a list of names"),
        ("a.gint", {"operators": [3]}, "operators is a list of names"),
    ],
)
def test_what_cannot_be_loaded_is_said(path, options, reason):
    with pytest.raises(TypeError, match=reason):
        gint.load(path, **options)


@pytest.mark.parametrize("beside", [False, True])
def test_a_file_that_is_cut_while_it_is_loaded_is_refused(tmp_path, beside):
    """To read the pages that are gone would end the process."""
    path = save(tmp_path / "a.gint", beside=beside)
    loaded, replaced = gint.load(path), path.with_suffix(".safetensors") if beside else path
    found = loaded(rows(3))["y"]
    data = replaced.read_bytes()
    os.truncate(replaced, 4)
    with pytest.raises(ValueError, match="was cut short while it was loaded"):
        loaded(rows(3))
    replaced.unlink()  # as one that is renamed onto it would: what is loaded is the old one
    replaced.write_bytes(data)
    np.testing.assert_array_equal(gint.load(path)(rows(3))["y"], found)


def test_threads_load_and_call_at_once(path):
    wanted = expected(rows(17))
    shared = gint.load(path)

    def call(n: int) -> None:
        loaded = shared if n % 2 else gint.load(path)
        for _ in range(20):
            for name, found in loaded(rows(17)).items():
                np.testing.assert_allclose(found, wanted[name], rtol=1e-6)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(16)))


def test_what_reaches_beyond_a_value_does_not_run(tmp_path):
    steps = plan().steps
    too_far = replace(plan(), steps=(steps[0], View(2, 1, (4,), (1,), 5), *steps[2:]))
    with pytest.raises(PlanError, match=r"seen as \[4\] from element 5 .* has 8 .value 2"):
        gint.load(save(tmp_path / "a.gint", too_far))(rows(2))
    launch = steps[3]
    first = replace(launch.slots[0], nbytes=Operation("add", (BYTES, 4)))
    longer = replace(launch, slots=(first, *launch.slots[1:]))
    made = replace(plan(), steps=(*steps[:3], longer, *steps[4:]))
    with pytest.raises(
        PlanError, match="where n = 2: scaled would reach 36 bytes of a tensor that has 32"
    ):
        gint.load(save(tmp_path / "b.gint", made))(rows(2))


def in_place(tmp_path):
    """x *= y, for arrays of (n, 4)."""
    program = assemble(
        "program scaled\naxis i parallel\naxis j parallel\n"
        "slot x f32 in (i, j)\nslot y f32 in (i, j)\nslot z f32 out (i, j)\nmap\n"
        "  load.f32 r[0] <- s[x]\n  load.f32 r[1] <- s[y]\n"
        "  mul.f32 r[2] <- r[0] * r[1]\n  store.f32 s[z] <- r[2]\n"
    )
    slots = tuple(SlotUse(n, BYTES, 0, (4, 1)) for n in (0, 1, 0))
    steps = (Define("n", 0, ("size", 0)), Launch(0, (N, 4), (), slots, "cpu", on_copies=False))
    inputs = (Input("x", ROWS, written=True), Input("y", ROWS))
    made = Plan(inputs, (), (verify(program),), steps, (Use(0),))
    signature = Signature((Use(0), Use(1)), ("x", "y"), {}, Use(0))
    (path,) = write(tmp_path / "a.gint", Saved(made, signature, ()), False)
    return gint.load(path)


def test_an_argument_that_is_written_shares_no_memory_with_another(tmp_path):
    function = in_place(tmp_path)
    memory = np.ones((9, 4), np.float32)
    for x, y in ((memory, memory), (memory[:-1], memory[1:]), (memory[1:4], memory[3:0:-1])):
        with pytest.raises(ValueError, match="x is written into, and y lies in the same memory"):
            function(x, y)
    assert (memory == 1).all()
    function(memory[:4], memory[4:8] * 3)
    function(memory[4:8], memory[:4])
    assert (memory[:8] == 3).all()
    columns = np.ones((4, 8), np.float32)
    function(columns[:1, :4], columns[:1, 4:])
    both = np.ones((3, 2, 4), np.float32)  # each between the other's rows, and yet apart
    with pytest.raises(ValueError, match="x is written into, and has the strides"):
        function(both[:, 0], both[:, 1])


@pytest.mark.parametrize("strides", [(100, 1), (1, 70), (12, 3), (4, 1), (0, 1)])
def test_memory_with_gaps_between_elements(tmp_path, strides):
    """As a copy of a view has in torch: all of it is there, up to the last element."""
    define, view, _, launch, release, *_ = plan().steps
    wide = TensorType("float32", (N, 4), strides)
    reach = Operation("add", (Operation("mul", (4 * strides[0], N)), 4 * (3 * strides[1] + 1)))
    nbytes = Operation("add", (reach, -4 * strides[0]))
    slots = (*launch.slots[:2], SlotUse(3, nbytes, 0, strides))
    steps = (define, view, Allocate(3, wide, "cpu"), replace(launch, slots=slots), release)
    made = replace(plan(), steps=steps, result=(Use(3), Use(3)))
    loaded, x = gint.load(save(tmp_path / "a.gint", made)), rows(64)
    if not strides[0]:
        with pytest.raises(VerificationError, match="share an element"):
            loaded(x)
        return
    found = loaded(x)["y"]
    np.testing.assert_allclose(found, expected(x)["y"], rtol=1e-6)
    assert found.strides == tuple(4 * s for s in strides)


def test_strides_that_turn_out_to_be_negative_are_refused(tmp_path):
    steps = plan().steps
    backwards = Operation("add", (N, -9))
    seen = replace(plan(), steps=(steps[0], View(2, 1, (4,), (backwards,), 4), *steps[2:]))
    with pytest.raises(
        PlanError, match=r"where n = 2: a tensor seen as .* would have to have -16 elements"
    ):
        gint.load(save(tmp_path / "a.gint", seen))(rows(2))
    kind = TensorType("float32", (N, 4), (backwards, 1))
    made = replace(plan(), steps=(*steps[:2], Allocate(3, kind, "cpu"), *steps[3:]))
    with pytest.raises(PlanError, match=r"Value 3 has the strides \(-7, 1\)"):
        gint.load(save(tmp_path / "b.gint", made))(rows(2))


@pytest.mark.parametrize("is_state", [False, True])
def test_constants_can_be_written_where_they_are_state_alone(tmp_path, is_state):
    made = plan()
    constant = replace(made.constants[0], written=is_state)
    made = replace(made, constants=(constant,), result=(Use(1), Use(5)))
    loaded = gint.load(save(tmp_path / "a.gint", made))
    weights = loaded(rows(2))["y"]
    assert weights.flags.writeable is is_state
    np.testing.assert_array_equal(weights, WEIGHTS)


def test_state_is_written_in_place_and_must_be_writable(tmp_path):
    define, view, _, launch, *_ = plan().steps
    in_place = replace(launch, slots=(*launch.slots[:2], launch.slots[0]))
    made = replace(
        plan(), inputs=(Input("x", ROWS, written=True),), steps=(define, view, in_place),
        result=(Use(0), Use(0)),
    )  # fmt: skip
    loaded = gint.load(save(tmp_path / "a.gint", made))
    x = rows(3)
    wanted = expected(x)["y"]
    loaded(x)
    np.testing.assert_allclose(x, wanted, rtol=1e-6)
    x.flags.writeable = False
    with pytest.raises(ValueError, match="x is written into, and the array given is read-only"):
        loaded(x)
    with pytest.raises(ValueError, match=r"x is written into, and has the strides \(1, 3\)"):
        loaded(np.asfortranarray(rows(3)))


def test_loading_imports_no_torch(path):
    code = (
        "import sys, gint, numpy as np\n"
        f"gint.load({str(path)!r})(np.ones((2, 4), np.float32))\n"
        "print([m for m in ('torch', 'sympy', 'gint.conductor') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_run_on_files(path, tmp_path, capsys):
    np.save(tmp_path / "x.npy", rows(3))
    out = tmp_path / "out.npz"
    assert run([str(path), "--input", f"x={tmp_path}/x.npy", "--output", str(out)]) == 0
    assert "product: float32[3, 2]" in capsys.readouterr().out
    with np.load(out) as found:
        for name, wanted in expected(rows(3)).items():
            np.testing.assert_allclose(found[name], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--input", "x"], "'x' is no input. Write NAME=FILE.npy"),
        (["--input", "x=missing.npy"], "There is no file 'missing.npy'"),
        (["--input", "x=3"], "x is a NumPy array, not a int"),
        ([], "The argument 'x' is missing"),
        (["--input", "x={x}", "--output", "a.npy"], "2 results do not go into a.npy"),
        (["--input", "x={x}", "--output", "a.txt"], "a.txt is no file for results"),
        (["--input", "x={x}", "--output", "none/a.npz"], "There is no folder 'none' for 'a.npz'"),
        (["--input", "z={x}"], "It has no argument 'z'. It takes: x."),
        (["--input", "x={x}", "--input", "x={x}"], "The argument 'x' is given twice"),
    ],
)
def test_run_says_what_is_wrong(path, tmp_path, capsys, arguments, reason):
    np.save(tmp_path / "x.npy", rows(3))
    assert run([str(path), *(a.format(x=tmp_path / "x.npy") for a in arguments)]) == 2
    assert reason in capsys.readouterr().err
