"""The eight small models of the benchmarks run in a process that cannot import torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from gint.conductor import export
from tests.conductor.test_export_models import MODELS, example

pytestmark = [pytest.mark.torch, pytest.mark.checkout]

#: Runs saved functions on arrays of files, where importing torch is an error.
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import numpy as np
import gint
for path in sys.argv[2:]:
    given = dict(np.load(path + ".npz"))
    wanted = given.pop("wanted")
    if "use_cache" in given:
        given["use_cache"] = False
    result = gint.load(path + ".gint", backend=sys.argv[1])(**given)
    np.testing.assert_allclose(next(iter(result.values())), wanted, rtol=0, atol=1e-4)
"""


def test_models_run_without_torch_and_equal_eager(tmp_path):
    paths = []
    for name, (config, sizes, options) in MODELS.items():
        torch.manual_seed(0)
        model = getattr(transformers, name)(getattr(transformers, config)(**sizes)).eval()
        given = example(model.main_input_name == "pixel_values", 2, 9)
        with torch.no_grad():
            wanted = model(**given, **options)[0].numpy()
            export(model, (), {**given, **options}, path=tmp_path / f"{name}.gint")
        arrays = {k: t.numpy() for k, t in given.items()}
        paths.append(str(tmp_path / name))
        np.savez(paths[-1], wanted=wanted, **arrays, **options)
    for backend in ("cpp", "python"):
        command = [sys.executable, "-c", WITHOUT_TORCH, backend, *paths]
        subprocess.run(command, check=True, timeout=120)
