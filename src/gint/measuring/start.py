"""The first answer of a small Llama in a process of its own, by the ways there are to get to it.

Processes are fresh: what was compiled before lies in files, which `prepare` makes, in a process of
its own too. Two clocks start: with the process, and after `import torch` where the way needs torch.
Building the model (and importing transformers) counts, where a way builds it.

Knows the ways and their files. Does not know how often they run, or what is made of the seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

INPUT, EXPECTED, SAVED = "input.npy", "expected.npy", "model.gint"
WEIGHTS, PACKAGE, ONNX = "model.safetensors", "model.pt2", "model.onnx"
COMPILED = "logits.pt"
#: What the model was traced with beside the input.
NO_CACHE = {"use_cache": False}
_PREPARE = "prepare:"


class Start(NamedTuple):
    """One process: seconds from its start and, with torch, from its import on, to the answer; those
    that building the model took; the largest difference to eager's answer.

    `beyond_bytes` is the most memory the process had resident, less the pages of the file of
    weights; None where the system does not say what lies in memory of a file.
    """

    process_s: float
    imported_s: float | None
    built_s: float | None
    difference: float
    peak_bytes: int
    beyond_bytes: int | None


def measure(way: str, folder: Path, environment: Mapping[str, str] | None = None) -> Start:
    """Run one way, by the files in `folder`, in a fresh process. Raises ProcessError."""
    return Start(**_child(way, folder, environment))


def prepare(way: str, folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Make what a way needs in `folder`; "arrays" make input and answer. Raises ProcessError."""
    _child(_PREPARE + way, folder, environment)


def _child(way: str, folder: Path, environment: Mapping[str, str] | None) -> Any:
    from gint.measuring.process import run_child

    begun = time.monotonic()  # of the system, not of a process
    return run_child(__name__, way, str(folder), repr(begun), environment=environment)


# The process itself


def main() -> None:
    """RESULT WAY FOLDER BEGUN: take the way, and write what it took as JSON."""
    result, way, folder, begun = sys.argv[1:]
    if way.startswith(_PREPARE):
        _PREPARATIONS[way.removeprefix(_PREPARE)](Path(folder))
        found: dict[str, Any] = {}
    else:
        found = _measure_here(way, Path(folder), float(begun))
    Path(result).write_text(json.dumps(found), encoding="utf-8")


def _measure_here(way: str, folder: Path, begun: float) -> dict[str, Any]:
    imported = None
    if way not in WITHOUT_TORCH:
        import torch  # noqa: F401, its import alone is wanted here

        imported = time.monotonic()
    answer = WAYS[way](folder)
    done = time.monotonic()
    from gint.measuring.process import peak_bytes  # not before: it is none of the way

    peak, weights = peak_bytes(), _resident(folder / WEIGHTS)
    if way in WITHOUT_TORCH and "torch" in sys.modules:
        raise RuntimeError(f"torch was imported on the way {way!r}, which is measured without.")
    import numpy as np

    expected = np.load(folder / EXPECTED)
    return {
        "process_s": done - begun,
        "imported_s": _since(done, imported),
        "built_s": _since(answer.built, imported),
        "difference": float(np.abs(answer.array - expected).max()),
        "peak_bytes": peak,
        "beyond_bytes": None if weights is None else peak - weights,
    }


def _since(end: float | None, start: float | None) -> float | None:
    return None if end is None or start is None else end - start


def _resident(path: Path) -> int | None:
    """The bytes of a mapped file that are resident in this process, where Linux says it."""
    try:
        maps = Path("/proc/self/smaps").read_text(encoding="utf-8")
    except OSError:
        return None
    return resident_of(maps, str(path.resolve()))


def resident_of(maps: str, path: str) -> int:
    """The sum of "Rss" over the mappings of a file, in the text of /proc/PID/smaps."""
    total, is_its = 0, False
    for line in maps.splitlines():
        first = line.partition(" ")[0]
        if not first.endswith(":"):
            is_its = line.endswith(path)
        elif is_its and first == "Rss:":
            total += int(line.split()[1]) << 10
    return total


# The ways


class _Answer(NamedTuple):
    """The answer as an array, what gave it, which holds its weights, and when the model was built,
    where it was."""

    array: Any
    function: Any
    built: float | None = None


def _of_arrays(folder: Path) -> _Answer:
    import numpy as np

    from gint.runtime.function import load

    function = load(folder / SAVED)
    return _Answer(function(input_ids=np.load(folder / INPUT), **NO_CACHE)["logits"], function)


def _of_tensors(folder: Path) -> _Answer:
    import torch

    from gint.runtime.function import load

    with torch.no_grad():
        function = load(folder / SAVED)
        answer = function(input_ids=_input(folder), **NO_CACHE)["logits"]
    return _Answer(answer.numpy(), function)


def _of_package(folder: Path) -> _Answer:
    import torch

    with torch.no_grad():
        function = torch._inductor.aoti_load_package(str(folder / PACKAGE))
        answer = function(input_ids=_input(folder), **NO_CACHE, return_dict=False)[0]
    return _Answer(answer.numpy(), function)


def _of_onnx(folder: Path) -> _Answer:
    import os
    from importlib import import_module

    import numpy as np

    onnxruntime = import_module("onnxruntime")  # optional: nothing else needs it
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS") or 0)
    session = onnxruntime.InferenceSession(str(folder / ONNX), options)
    return _Answer(session.run(None, {"input_ids": np.load(folder / INPUT)})[0], session)


def _compiled_by(backend: str) -> Callable[[Path], _Answer]:
    def take(folder: Path) -> _Answer:
        import torch

        from gint.measuring.backends import compile_for

        model = _build()
        built = time.monotonic()
        with torch.no_grad():
            function = compile_for(model.function, backend)
            return _Answer(model.call(function).numpy(), function, built)

    return take


def _by_torchs_door(folder: Path) -> _Answer:
    """What `save_compiled_function` wrote: weights are not in it, the model is built anew."""
    import torch

    model = _build()
    built = time.monotonic()
    with torch.no_grad(), (folder / COMPILED).open("rb") as file:
        function = torch.compiler.load_compiled_function(file)
        return _Answer(function(model.function, _input(folder)).numpy(), function, built)


def _logits(model: Callable[..., Any], ids: Any) -> Any:
    return model(input_ids=ids, **NO_CACHE, return_dict=False)[0]


def _build() -> Any:
    import torch

    from gint.measuring.models import LLAMA

    torch.manual_seed(0)
    return LLAMA.build("cpu")


def _input(folder: Path) -> Any:
    import numpy as np
    import torch

    return torch.from_numpy(np.load(folder / INPUT))


WITHOUT_TORCH = ("arrays", "onnx")
WAYS: dict[str, Callable[[Path], _Answer]] = {
    "saved": _of_tensors, "arrays": _of_arrays, "eager": _compiled_by("eager"),
    "gint": _compiled_by("gint"), "inductor": _compiled_by("inductor"), "aoti": _of_package,
    "door": _by_torchs_door, "onnx": _of_onnx,
}  # fmt: skip


# What lies in files


def _prepare_saved(folder: Path) -> None:
    import numpy as np
    import torch

    from gint.conductor import export

    model = _build()
    with torch.no_grad():  # transformers' models change themselves at their first call
        np.save(folder / EXPECTED, model.call(model.function).numpy())
        np.save(folder / INPUT, model.kwargs["input_ids"].numpy())
        export(model.function, model.args, model.kwargs, path=folder / SAVED, weights="beside")


def _exported() -> Any:
    """torch.export's program. It returns a tuple: who has a ModelOutput read, has transformers."""
    import torch

    model = _build()
    with torch.no_grad():
        model.call(model.function)
        kwargs = {**model.kwargs, "return_dict": False}
        return torch.export.export(model.function, model.args, kwargs)


def _prepare_package(folder: Path) -> None:
    import torch

    with torch.no_grad():
        torch._inductor.aoti_compile_and_package(_exported(), package_path=str(folder / PACKAGE))


def _prepare_onnx(folder: Path) -> None:
    import torch

    torch.onnx.export(_exported(), f=folder / ONNX, verbose=False)


def _prepare_door(folder: Path) -> None:
    import torch

    from gint.conductor import register_backend

    register_backend()
    options = {"guard_filter_fn": torch.compiler.keep_portable_guards_unsafe}
    model = _build()
    with torch.no_grad():
        model.call(model.function)
        compiled = torch.compile(_logits, backend="gint", fullgraph=True, options=options)
        given: Any = ((model.function, model.kwargs["input_ids"]), {})
        compiled.aot_compile(given).save_compiled_function(str(folder / COMPILED))


def _fill_caches(folder: Path) -> None:
    WAYS["inductor"](folder)


_PREPARATIONS: dict[str, Callable[[Path], None]] = {
    "arrays": _prepare_saved, "aoti": _prepare_package, "onnx": _prepare_onnx,
    "inductor": _fill_caches, "door": _prepare_door,
}  # fmt: skip
#: Ways that need more than the saved plan.
PREPARED = ("door", "aoti", "onnx", "inductor")

if __name__ == "__main__":
    main()
