"""Eight models run without torch, and equal eager."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from gint.conductor import export

from .small_models import NAMES, build

pytestmark = [pytest.mark.torch, pytest.mark.checkout]

#: Runs a saved function on the arrays of a file, where importing torch is an error.
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
import gint
for path in sys.argv[2:]:
    given = dict(np.load(path + ".npz"))
    if "use_cache" in given:
        given["use_cache"] = False
    result = gint.load(path + ".gint", backend=sys.argv[1])(**given)
    found = result if isinstance(result, np.ndarray) else next(iter(
        result.values() if isinstance(result, dict) else result))
    np.save(path + ".npy", found)
"""


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["cpp"])
def test_runs_without_torch_and_equals_eager(name, backend, tmp_path):
    model, arguments = build(name)
    path = tmp_path / "model"
    with torch.no_grad():
        wanted = model(**arguments)[0]
        export(model, (), arguments, path=path.with_suffix(".gint"))
    given = {k: v.numpy() if torch.is_tensor(v) else v for k, v in arguments.items()}
    np.savez(path.with_suffix(".npz"), **given)
    command = [sys.executable, "-c", WITHOUT_TORCH, backend, str(path)]
    subprocess.run(command, check=True, timeout=120)
    found = np.load(path.with_suffix(".npy"))
    np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["Llama", "BERT"])
def test_one_file_is_for_all_lengths(name, tmp_path):
    model, arguments = build(name)
    path = tmp_path / "model.gint"
    free = {
        k: {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=32)}
        if k == "input_ids" else None
        for k in arguments
    }  # fmt: skip
    with torch.no_grad():
        export(model, (), arguments, path=path, dynamic_shapes=free)
    import gint

    load = gint.load(path, backend="cpp")
    for shape in ((1, 1), (1, 5), (3, 11), (2, 32)):
        ids = torch.randint(0, 61, shape)
        with torch.no_grad():
            wanted = model(**{**arguments, "input_ids": ids})[0]
        found = load(**{**arguments, "input_ids": ids.numpy()})
        found = next(iter(found.values() if isinstance(found, dict) else found))
        np.testing.assert_allclose(found, wanted.numpy(), rtol=0, atol=1e-4)
