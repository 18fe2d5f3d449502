"""Opening a model, and asking it for logits.

Knows checkpoints, where weights are kept, and the decoder. Does not know sampling, text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from airllm.checkpoint import Architecture, Checkpoint, open_checkpoint
from airllm.generation import Sampling, generate, stream
from airllm.generation.sampling import Sampler
from gint.host import memory
from gint.quantized import KEEP, WeightFormats

from .cache import CACHE_DTYPES, Cache
from .decoder import Decoder
from .matrices import matrices
from .parts import format_for
from .quantized_file import default_directory, quantized_matrices
from .resident import Resident
from .streamed import Streamed
from .weights import Progress, Weights


class Model:
    """A decoder and its checkpoint. `architecture` says what it is, `path` where it lies."""

    def __init__(
        self, checkpoint: Checkpoint, decoder: Decoder, kv_cache: str = CACHE_DTYPES[0]
    ) -> None:
        self.architecture: Architecture = checkpoint.architecture
        self._kv_cache = kv_cache
        self.path: Path = checkpoint.path
        self._decoder, self._vocabulary = decoder, checkpoint.architecture.vocabulary

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """The tokens with which a text ends."""
        return self.architecture.end_tokens

    @property
    def weight_bytes(self) -> int:
        """The bytes of matrices, which every token is multiplied with."""
        return self._decoder.weights.nbytes

    def new_cache(self, capacity: int | None = None) -> Cache:
        """Room for keys and values of `capacity` positions, by default all that the model knows."""
        room = self.architecture.context if capacity is None else capacity
        return Cache(self.architecture, room, self._kv_cache)

    def __call__(
        self,
        tokens: Any,
        cache: Cache | None = None,
        *,
        every: bool = False,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """The logits after the tokens: what the model expects to come next.

        tokens  integers (rows,), at least one; they follow on what the cache holds
        cache   filled with the tokens' keys and values; None: they are the whole text
        every   logits after each of the tokens, not after the last one only
        out     float32 of the result's shape, without gaps, for the result

        Returns float32 (rows or 1, vocabulary). Raises ValueError for tokens that the vocabulary
        has not, or for which the cache has no room. The cache's length changes when all is done.
        """
        ids = self._check(tokens)
        cache = self.new_cache(len(ids)) if cache is None else cache
        _check_room(ids, cache)
        shape = (len(ids) if every else 1, self.architecture.vocabulary)
        if out is None:
            out = memory.empty(shape, np.dtype("f4"))
        elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
            raise ValueError(f"out must be float32 of the shape {shape}, without gaps.")
        self._decoder(ids, cache, out)
        cache.length += len(ids)
        return out

    def new_sampler(self, sampling: Sampling) -> Sampler:
        """For the tokens of one text."""
        return Sampler(sampling, self.architecture.vocabulary)

    def choose(self, tokens: Any, cache: Cache, sampler: Sampler) -> int:
        """The token that comes next, after tokens as a call takes them; `sampler` has it too.

        After a single token it is one native call, where the backend is native. Raises ValueError
        for tokens that do not exist, a sampler of another vocabulary, a cache without room.
        """
        if len(sampler.seen) != self._vocabulary:
            raise ValueError(
                f"The sampler is for {len(sampler.seen)} tokens, and the model has "
                f"{self._vocabulary}: `new_sampler` of the same model makes one."
            )
        # Between two native calls little is asked for: what Python knows is in no cache by then.
        if tokens is sampler.token and 0 <= tokens.item() < self._vocabulary:
            ids = tokens
        else:
            ids = self._check(tokens)
            sampler.seen[ids] = True
        _check_room(ids, cache)
        sampler.draw()
        self._decoder(ids, cache, sampler.logits, sampler)
        cache.length += len(ids)
        return sampler.token.item()

    def stream(self, tokens: Any, max_new_tokens: int = 128, **options: Any) -> Iterator[int]:
        """See airllm.generation.stream."""
        return stream(self, tokens, max_new_tokens, **options)

    def generate(self, tokens: Any, max_new_tokens: int = 128, **options: Any) -> list[int]:
        """See airllm.generation.generate."""
        return generate(self, tokens, max_new_tokens, **options)

    def _check(self, tokens: Any) -> np.ndarray:
        ids = np.asarray(tokens)
        if ids.shape == (1,) and ids.dtype.kind in "iu" and 0 <= ids[0] < self._vocabulary:
            return ids  # one by one, as it mostly is
        if ids.ndim != 1 or not ids.size or ids.dtype.kind not in "iu":
            raise ValueError(f"tokens must be one integer or more, (rows,), not {tokens!r}.")
        size = self.architecture.vocabulary
        if ids.min() < 0 or ids.max() >= size:
            wrong = ids[(ids < 0) | (ids >= size)][0]
            raise ValueError(f"Token {wrong} does not exist; the vocabulary has 0 to {size - 1}.")
        return ids


def _check_room(ids: np.ndarray, cache: Cache) -> None:
    if cache.length + len(ids) > cache.capacity:
        raise ValueError(
            f"{len(ids)} tokens do not fit: the cache holds {cache.length} of "
            f"{cache.capacity} positions."
        )


class AutoModel:
    """Opens models of any known family."""

    @staticmethod
    def from_pretrained(
        path: str | Path, *, weights: str | Mapping[str, str] = KEEP,
        memory_budget: int | None = None,
        cache_dir: str | Path | Literal[False] | None = None, dtype: str = "config",
        kv_cache: str = CACHE_DTYPES[0], progress: Progress | None = None,
    ) -> Model:  # fmt: skip
        """The model whose checkpoint lies at `path`.

        path           a folder with config.json and *.safetensors, as Hugging Face has it, or a
                       GGUF file
        weights        "keep": matrices stay as they are stored; or a block format ("q4_0", "q8_0"
                       ...) that they are quantised to; or {pattern: format}, by keys such as
                       "3.qkv", "*.down", "output"; the first that matches decides, and a
                       RuntimeWarning tells of those that match nothing
        memory_budget  bytes that matrices may take; None: any. Those that do not fit are read
                       while the model computes, ahead of it. Besides them there are the vectors,
                       the cache of keys and values, and what lies between two steps
        cache_dir      where quantised matrices are kept for the next time; None: in the user's
                       cache directory; False: nowhere
        dtype          as of `open_checkpoint`
        kv_cache       what new caches keep keys and values as: "float32", or "float16", which
                       halves what a token reads of them and rounds each by at most 1/2048 of
                       itself; what is beyond 65504 becomes infinite
        progress       called with the bytes read and their number; several times up to it where
                       matrices are quantised first

        Embeddings are read from the files by row, unless a tied output layer holds the same blocks
        in memory: the files must stay where they are. Raises CheckpointError, naming file and
        tensor, for what cannot be used; ValueError for values without meaning.
        """
        if kv_cache not in CACHE_DTYPES:
            raise ValueError(f"kv_cache is {' or '.join(CACHE_DTYPES)}, not {kv_cache!r}.")
        formats = WeightFormats.of(weights)
        checkpoint = open_checkpoint(path, dtype=dtype)
        kept = _weights(checkpoint, formats, memory_budget, cache_dir, progress or _silent)
        return Model(checkpoint, Decoder(checkpoint, kept), kv_cache)


def _weights(
    checkpoint: Checkpoint, formats: WeightFormats, budget: int | None,
    cache_dir: str | Path | Literal[False] | None, progress: Progress,
) -> Weights:  # fmt: skip
    wanted = list(matrices(checkpoint))
    formats.warn_of_unmatched(m.key for m in wanted)
    named = {m.key: f for m in wanted if (f := format_for(formats, m)) is not None}
    if named and cache_dir is not False:
        where = default_directory() if cache_dir is None else Path(cache_dir)
        step = None if budget is None else budget // 4
        wanted = quantized_matrices(checkpoint, wanted, named, where, progress, step)
        named = {}
    if budget is None or sum(m.nbytes for m in wanted) <= budget:
        return Resident(wanted, named, progress)
    if named:
        raise ValueError(
            "Matrices that are quantised and do not fit into memory_budget need a cache_dir."
        )
    return Streamed(wanted, budget, progress)


def _silent(done: int, total: int) -> None:
    """Nobody wants to know."""
