"""What the loader says where the native module cannot be loaded."""

import pytest

from gint.native import loader


def fail_with(monkeypatch: pytest.MonkeyPatch, text: str) -> str:
    def import_module(name: str):
        raise ImportError(text)

    monkeypatch.setattr(loader, "import_module", import_module)
    with pytest.raises(loader.NativeMissingError) as error:
        loader.load_native()
    return str(error.value)


def test_openmp_runtime_missing(monkeypatch):
    monkeypatch.setattr(loader, "_preload_torch_openmp", lambda: False)
    said = fail_with(monkeypatch, "libgomp.so.1: cannot open shared object file")
    assert "apt-get install libgomp1" in said


def test_not_built(monkeypatch, tmp_path):
    monkeypatch.setattr(loader, "_HERE", tmp_path)
    assert "not built" in fail_with(monkeypatch, "No module named '_native'")


def test_build_failed(monkeypatch, tmp_path):
    (tmp_path / "_build_error.txt").write_text("error: no such thing\n")
    monkeypatch.setattr(loader, "_HERE", tmp_path)
    assert "gint info" in fail_with(monkeypatch, "No module named '_native'")
    assert loader.build_error() == "error: no such thing"


def test_other_python(monkeypatch, tmp_path):
    (tmp_path / "_native.cpython-399-x.so").touch()
    monkeypatch.setattr(loader, "_HERE", tmp_path)
    assert "_native.cpython-399-x.so" in fail_with(monkeypatch, "No module named '_native'")
