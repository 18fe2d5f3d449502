"""A compiled graph within what AOTAutograd saves of a function: forward, backward, or inference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

# Where AOTAutograd has it from is no concern of ours.
from torch._functorch._aot_autograd.autograd_cache import OutputCode

from .contents import Boxed, load_graph


class CompiledGraph(OutputCode):
    """Called with the list of its inputs. Pickled, it is the bytes that `contents` gives."""

    def __init__(self, run: Boxed, contents: Callable[[], bytes]) -> None:
        super().__init__()
        self.run, self.contents = run, contents
        # On the object, not the class: what torch wraps around it copies the object's __dict__.
        self._boxed_call = True

    def __call__(self, inputs: Sequence[Any]) -> Any:
        return self.run(inputs)  # type: ignore[arg-type]

    def prepare_for_serialization(self) -> None:
        """Nothing: it is pickled from what never changes."""

    def post_compile(self, *args: Any) -> None:
        """Nothing: it is ready when it is read."""

    def set_triton_bundle(self, triton_bundle: Any) -> None:
        """Nothing: there are no such kernels in it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return read_graph, (self.contents(),)

    def __copy__(self) -> CompiledGraph:
        return self

    def __deepcopy__(self, memo: Any) -> CompiledGraph:
        return self


def read_graph(data: bytes) -> CompiledGraph:
    """The graph in these bytes. Raises contents.Unloaded."""
    return CompiledGraph(load_graph(data), lambda: data)
