"""What the probe says of broken, empty and missing OpenCL installations. Each is asked in a process
of its own: loaders read their list of drivers once."""

import json
import os
import shutil
import subprocess
import sys
import time

import pytest

from gint.backend import registry
from gint.kernel.interpreter.opencl import probe as probe_module

pytest.importorskip("pyopencl")

ASK = """
import json, time
from dataclasses import asdict
from gint.kernel.interpreter.opencl.probe import probe
start = time.monotonic()
print(json.dumps(asdict(probe()) | {"took": time.monotonic() - start}))
"""


def ask(tmp_path, vendors, **environment):
    """The probe's answer with the ICD files in `vendors`, and how long it took."""
    settings = {
        "OCL_ICD_VENDORS": str(vendors),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=os.environ | settings, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def vendors(tmp_path):
    folder = tmp_path / "vendors"
    folder.mkdir()
    return folder


def library(tmp_path, text):
    """A shared library that does `text` when it is loaded."""
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no C compiler to make a broken driver with")
    source, made = tmp_path / "driver.c", tmp_path / "driver.so"
    source.write_text(
        "#include <stdlib.h>\n#include <unistd.h>\n"
        f"__attribute__((constructor)) static void load(void) {{ {text} }}\n"
    )
    subprocess.run([compiler, "-shared", "-fPIC", "-o", made, source], check=True)
    return made


def test_no_driver_is_a_reason_with_a_way_out(tmp_path, vendors):
    answer = ask(tmp_path, vendors)
    assert not answer["usable"]
    assert "platform" in answer["reason"]
    assert "pocl-opencl-icd" in answer["remedy"]
    assert answer["built"]


def test_a_driver_that_is_not_there_is_no_platform(tmp_path, vendors):
    (vendors / "gone.icd").write_text("/nowhere/libgone.so\n")
    assert not ask(tmp_path, vendors)["usable"]


def test_a_driver_that_crashes_does_not_take_us_along(tmp_path, vendors):
    made = library(tmp_path, "abort();")
    (vendors / "broken.icd").write_text(f"{made}\n")
    answer = ask(tmp_path, vendors)
    assert not answer["usable"]
    assert "SIGABRT" in answer["reason"]
    assert "driver" in answer["remedy"]


def test_a_driver_that_hangs_is_given_up(tmp_path, vendors):
    made = library(tmp_path, "sleep(20);")
    (vendors / "slow.icd").write_text(f"{made}\n")
    answer = ask(tmp_path, vendors, GINT_PROBE_SECONDS="1")
    assert not answer["usable"]
    assert answer["took"] < 5  # a second, and starting a process on a busy machine
    assert "1 s" in answer["reason"]


@pytest.mark.opencl
def test_the_answer_is_kept_until_the_drivers_change(tmp_path, vendors):
    installed = os.environ.get("OCL_ICD_VENDORS", "/etc/OpenCL/vendors")
    shutil.copytree(installed, vendors, dirs_exist_ok=True)
    first = ask(tmp_path, vendors)
    assert first["usable"]
    kept = next((tmp_path / "cache" / "gint").glob("probe-*.json"))
    before = kept.stat().st_mtime_ns
    assert ask(tmp_path, vendors)["usable"]
    assert kept.stat().st_mtime_ns == before
    for icd in vendors.iterdir():
        icd.unlink()
    assert not ask(tmp_path, vendors)["usable"]


@pytest.mark.opencl
def test_a_device_that_is_not_there_is_named_with_those_that_are(tmp_path, vendors):
    folder = os.environ.get("OCL_ICD_VENDORS", "/etc/OpenCL/vendors")
    answer = ask(tmp_path, folder, GINT_OPENCL_DEVICE="9:3")
    assert not answer["usable"]
    assert "'9:3'" in answer["reason"]
    assert "0:0 is" in answer["reason"]


@pytest.mark.opencl
def test_a_device_that_builds_no_kernel_is_not_usable(monkeypatch):
    """As the PoCL 3.0 wheel from PyPI on recent CPUs: "unknown target CPU 'generic'"."""
    monkeypatch.setattr(probe_module, "_TINY", "error: unknown target CPU 'generic'")
    answer = probe_module.probe_device()
    assert not answer.usable
    assert "no kernel runs on it" in answer.reason
    assert "error" in answer.reason


@pytest.mark.opencl
def test_the_device_of_the_probe_is_the_one_that_is_opened():
    from gint.kernel.interpreter.opencl.device import open_device

    assert open_device().name in registry.probe("opencl").description


def test_without_pyopencl_the_way_to_get_it_is_said(monkeypatch):
    monkeypatch.setattr(probe_module, "find_spec", lambda name: None)
    answer = probe_module.probe()
    assert not answer.built
    assert "gint[opencl]" in answer.remedy


def test_a_warm_answer_costs_no_process(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    probe_module.probe()
    start = time.monotonic()
    probe_module.probe()
    assert time.monotonic() - start < 0.5
