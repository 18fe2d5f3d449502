"""The eight small models of the benchmarks as files, with what eager answers; and running them.

python -m tests.operators.saved_models FOLDER      saves them there; needs torch and transformers

Each is NAME.gint with free sizes, and NAME.npz: what it is called with, and what then comes of it,
`ids.0` and `wanted.0`, `ids.1` and so on. `check` needs neither torch nor transformers, and runs
where they are not: in another process, on another machine, on another backend.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

import gint

#: Batch and length; images have a batch alone. Not all models answer where one is 0.
SIZES = ((2, 9), (1, 1), (3, 16), (0, 9), (2, 0))
#: So many answers there are for sure.
LEAST = 8 * 3


def check(folder: Path, backend: str) -> int:
    """Run every file of the folder, and compare within 1e-4; how many answers there were."""
    count = 0
    for path in sorted(folder.glob("*.gint")):
        function = gint.load(path, backend=backend, check=True)
        with np.load(path.with_suffix(".npz")) as file:
            given = {key: file[key] for key in file.files}
        for n in [int(key[7:]) for key in given if key.startswith("wanted.")]:
            arguments = {k[: -len(f".{n}")]: a for k, a in given.items() if k.endswith(f".{n}")}
            wanted = arguments.pop("wanted")
            if "use_cache" in given:
                arguments["use_cache"] = False
            found = next(iter(function(**arguments).values()))
            np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-4, err_msg=path.name)
            count += 1
    return count


def save(folder: Path) -> None:
    """Write the files."""
    import torch

    from gint.conductor import export
    from tests.conductor.small_models import MODELS, build, example, reads_images
    from tests.conductor.test_export_models import FREE, answer

    for name, (_, _, options) in MODELS.items():
        model = build(name)
        given = example(model, 2, 9)
        free = {k: {0: FREE} if reads_images(model) else {0: FREE, 1: FREE} for k in given}
        free |= dict.fromkeys(options)
        kept: dict[str, Any] = dict(options)
        with torch.no_grad():
            path = folder / f"{name}.gint"
            export(model, (), {**given, **options}, dynamic_shapes=free, path=path)
            for n, sizes in enumerate(SIZES):
                given = example(model, *sizes)
                wanted = answer(model, {**given, **options})
                if wanted is not None:
                    kept |= {f"{k}.{n}": t.numpy() for k, t in given.items()}
                    kept[f"wanted.{n}"] = next(iter(wanted.values())).numpy()
        np.savez(path.with_suffix(".npz"), **kept)


if __name__ == "__main__":
    save(Path(sys.argv[1]))
