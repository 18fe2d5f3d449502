"""Building the device code, without a GPU: by nvcc for one architecture, by NVRTC; what it uses."""

import functools
import re

import pytest

from gint.backend import registry
from gint.kernel.interpreter.cuda import build

ARCHITECTURE = "sm_90"


@functools.cache
def why_no_nvcc() -> str | None:
    try:
        build.find_nvcc()
    except build.BuildError as error:
        return str(error)
    return None


needs_nvcc = pytest.mark.skipif("why_no_nvcc()", reason=f"no nvcc: {why_no_nvcc()}")
needs_nvrtc = pytest.mark.skipif(not build.has_nvrtc(), reason="NVRTC is not installed")


@pytest.fixture(scope="module")
def resources(tmp_path_factory):
    """What the kernels use on one architecture."""
    folder = tmp_path_factory.mktemp("fatbin")
    (folder / "interpreter-32-0123456789abcdef.fatbin").write_bytes(b"of other sources")
    paths, found = build.build_fatbin([ARCHITECTURE], folder)
    assert sorted(folder.glob("*.fatbin")) == sorted(paths)
    assert all(path.stat().st_size > 10_000 for path in paths)
    return {(r.kernel, r.architecture): r for r in found}


def test_the_source_of_every_build_is_in_the_package():
    for made in build.BINARIES:
        text = build.text_of(made)
        assert "__global__" in text
        assert not re.search(r'^#include "', text, re.MULTILINE)


@needs_nvcc
@pytest.mark.slow
@pytest.mark.checkout  # of the wheel's sources the same would come
def test_the_common_kernels_do_not_spill(resources):
    run = resources["gint_run_32", ARCHITECTURE]
    assert (run.spill_stores, run.spill_loads, run.stack) == (0, 0, 0)
    # So many threads of a multiprocessor's 65,536 registers hide the latency of its memory.
    assert 65_536 // run.registers * build.NARROW.elements >= 4_000
    products = {f"gint_quantized_{quads}_{rows}" for quads in (4, 8) for rows in (1, 8)}
    interpreter = {f"gint_{kernel}_{bits}" for kernel in ("run", "combine") for bits in (32, 64)}
    assert set(resources) == {(kernel, ARCHITECTURE) for kernel in products | interpreter}
    assert not any(resources[kernel, ARCHITECTURE].stack for kernel in products)


@needs_nvrtc
@pytest.mark.slow
def test_nvrtc_compiles_the_same_source():
    ptx = build.compile_nvrtc(build.text_of(build.NARROW), "compute_75").decode()
    assert ".entry gint_run_32" in ptx
    assert ".entry gint_combine_32" in ptx
    # Nothing contracts a product and a sum but where the source says fma.
    assert "fma.rn.ftz" not in ptx


@needs_nvrtc
def test_what_nvrtc_says_is_told():
    with pytest.raises(build.BuildError, match=r"NVRTC failed for sm_90:[^$]*nonsense"):
        build.compile_nvrtc("nonsense", "sm_90")


@needs_nvrtc
def test_nvrtc_compiles_once(monkeypatch, tmp_path):
    compiled = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(build, "compile_nvrtc", lambda b, a: compiled.append(a) or b"code")
    for capability in ((9, 0), (9, 0), (7, 5)):
        assert build.build_for(build.NARROW, capability) == b"code"
    assert compiled == ["sm_90", "sm_75"]


def test_without_any_compiler_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr(build, "has_nvrtc", lambda: False)
    monkeypatch.setattr(build, "is_built", lambda: False)
    monkeypatch.setattr("gint.kernel.interpreter.cuda.backend._is_installed", lambda: True)
    answer = registry.backend("cuda").probe()
    assert (answer.usable, answer.built) == (False, False)
    assert (answer.command, answer.remedy) == (build.COMMAND, "")


def test_without_the_bindings_there_is_a_sentence(monkeypatch):
    monkeypatch.setattr("gint.kernel.interpreter.cuda.backend._is_installed", lambda: False)
    answer = registry.backend("cuda").probe()
    assert (answer.usable, answer.built) == (False, False)
    assert "cuda-bindings" in answer.reason
    assert answer.remedy == "Install them: pip install 'gint[cuda]'."


def test_devices_between_and_after_the_architectures_have_ptx():
    flags = build._targets(build.ARCHITECTURES)
    ptx = [flag for flag in flags if "code=compute" in flag]
    assert [flag.rpartition("_")[2] for flag in ptx] == ["75", "120"]
    assert len(flags) == len(build.ARCHITECTURES) + 2
    assert len(build._targets(["sm_90"])) == 2


def test_an_old_nvcc_is_refused(monkeypatch, tmp_path):
    nvcc = tmp_path / "bin" / "nvcc"
    nvcc.parent.mkdir()
    nvcc.write_text("#!/bin/sh\necho 'release 12.4, V12.4.1'\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("CUDA_HOME", str(tmp_path))
    with pytest.raises(build.BuildError, match=r"version 12\.4; 12\.8 or newer"):
        build.find_nvcc()


LOG = """
ptxas info    : Compiling entry function 'gint_run_32' for 'sm_75'
ptxas info    : Function properties for gint_run_32
    136 bytes stack frame, 192 bytes spill stores, 296 bytes spill loads
ptxas info    : Used 128 registers, used 1 barriers, 2048 bytes smem
"""


def test_what_ptxas_reports_is_read():
    assert build.read_resources(LOG) == (
        build.Resources("sm_75", "gint_run_32", 128, 136, 192, 296, 2048),
    )
    assert "gint_run_32" in build.table(build.read_resources(LOG))
