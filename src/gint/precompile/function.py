"""A compiled function that torch can save: `aot_compile`, and the precompile cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch._dynamo.aot_compile_types import SerializableCallable
from torch._dynamo.precompile_context import BackendCacheArtifact, PrecompileContext

from gint.runtime.tensors.surroundings import forward_ad, in_fake_mode, modes

from .contents import Boxed, load_graph


class CompiledFunction(SerializableCallable):
    """A graph of Dynamo's, compiled: called with its inputs, it returns a tuple.

    `run` is the compiled graph, `operators` does the same in torch's own, for what only those do;
    `contents` gives the bytes that `run` can be made of again.
    """

    def __init__(
        self, run: Boxed, operators: Callable[..., Any], contents: Callable[[], bytes]
    ) -> None:
        self.run, self.operators, self.contents = run, operators, contents
        # Dynamo asks for it in every call.
        self.__name__ = "compiled_function"

    def __call__(self, *args: Any) -> Any:
        if forward_ad._current_level >= 0 or (modes() and in_fake_mode()):
            return self.operators(*args)
        return self.run(list(args))

    @classmethod
    def serialize_compile_artifacts(cls, fn: CompiledFunction) -> bytes:
        """Raises contents.Unsaved."""
        return fn.contents()

    @classmethod
    def deserialize_compile_artifacts(cls, data: bytes) -> CompiledFunction:
        """Raises contents.Unloaded."""
        run = load_graph(data)
        return cls(run, lambda *args: run(list(args)), lambda: data)


class CompiledArtifact(BackendCacheArtifact[CompiledFunction]):
    """The bytes of a compiled function, by the name that Dynamo gave its graph.

    Bytes that cannot be used are refused when the artifact is unpickled: there torch does without
    what it kept, and compiles. Later it would fail, preparing one package a second time.
    """

    function: CompiledFunction | None = None

    def after_deserialization(self) -> CompiledFunction:
        return self.function or CompiledFunction.deserialize_compile_artifacts(self.content)

    def __reduce__(self) -> tuple[Any, ...]:
        return read_artifact, (self.key, self.content)

    def __deepcopy__(self, memo: Any) -> CompiledArtifact:
        return self


def read_artifact(key: str, content: bytes) -> CompiledArtifact:
    """The artifact that was pickled. Raises contents.Unloaded."""
    artifact = CompiledArtifact(key, content)
    artifact.function = CompiledFunction.deserialize_compile_artifacts(content)
    return artifact


def record(name: str, data: bytes) -> None:
    """Keep the bytes of the graph that Dynamo calls `name`, for the precompile cache."""
    PrecompileContext.record_artifact(CompiledArtifact(name, data))
