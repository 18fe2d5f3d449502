"""The backend protocol: what every interpreter offers, and the values it answers with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from gint.dataclass import frozen
from gint.isa.dtypes import DTYPES
from gint.isa.limits import MAX_SLOTS
from gint.program import SlotLayout, VerifiedProgram

if TYPE_CHECKING:
    import numpy as np

    from gint.quantized import PreparedWeights, QuantizedProducts


@frozen
class Probe:
    """Whether a backend is usable here, as data; whoever shows it puts the words together.

    reason       a sentence: why, or why not
    description  on what it runs, for a reader
    device       which of its devices that is, for its own use; "" where there is no choice
    built        False says that its own binary or package is missing (as opposed to a device)
    remedy       where it is not usable, a sentence on what helps that holds for every reader
    command      ... or the command of gint's own that builds what is missing or out of date. Who
                 has commands of another name says those
    cpu_only     all its devices are the CPUs that `cpp` runs on too
    """

    usable: bool
    reason: str
    description: str = ""
    built: bool = True
    remedy: str = ""
    cpu_only: bool = False
    device: str = ""
    command: str = ""


class Platform(NamedTuple):
    """A driver, and the devices it knows, each in words; `reason` says why there is none."""

    name: str
    devices: tuple[str, ...] = ()
    reason: str = ""


class Listing(NamedTuple):
    """All platforms that a backend could find devices on; `reason` says why there is none."""

    platforms: tuple[Platform, ...] = ()
    reason: str = ""


#: The names of all types a program may compute in.
ALL_TYPES = frozenset(t.name for t in DTYPES)


@frozen
class Capabilities:
    """The bounds a program must keep to run on a backend."""

    max_slots: int = MAX_SLOTS
    max_registers: int = 4096
    types: frozenset[str] = ALL_TYPES


class BoundLaunch(Protocol):
    """A launch with everything but the pointers."""

    @property
    def takes_arrays(self) -> bool:
        """Whether it also takes an array whose first element lies where the storage begins."""

    def __call__(self, *pointers: Any, **where: Any) -> int:
        """Run on storages at these addresses, one per slot; the error flag (see errors.py).

        Raises VerificationError for pointers that must not be run on, and nothing has run then.

        A backend with memory of its own takes `stream=`, launches there (default: the device's own
        stream) and does not wait: the flag is what launches before this one are known to have
        left. It also takes `scratch=`, a function that gives memory of so many bytes for the time
        of the launch, as an object with a `data_ptr()` (default: the backend's own).
        """


class Kernel(Protocol):
    """A program loaded into a backend."""

    def prepare(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
        *,
        threads: int | None = None,
        device: int | None = None,
    ) -> BoundLaunch:
        """A launch of these extents, parameters and layouts of the slots.

        On the CPU, `threads` bounds the number of threads (None: the backend's own); the result
        does not depend on it. With memory of the backend's own, `device` is the ordinal of the
        device that the pointers will belong to (None: NumPy's). Raises VerificationError for what
        no pointers can make right; a backend may leave that to the launch.
        """

    def describe(
        self,
        extents: tuple[int, ...],
        params: tuple[int | float, ...],
        slots: tuple[SlotLayout, ...],
    ) -> str:
        """What is decided for a launch, given as to `prepare`: lines of text, the same for the
        same program and layout. Nothing runs. Raises VerificationError.
        """


class Memory(Protocol):
    """Memory that the host cannot address, of a backend whose `device` is not "cpu"."""

    @property
    def ordinal(self) -> int:
        """Of the device whose memory it is, torch's index: the one NumPy arrays go to."""

    def upload(self, array: np.ndarray) -> Any:
        """A copy on the device; it offers `__cuda_array_interface__`."""

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype) -> Any:
        """The same without values, in C order."""

    def download(self, source: Any, array: np.ndarray) -> None:
        """Fill an array from what `upload` or `allocate` gave."""

    def synchronize(self) -> int:
        """Wait for what was launched on the default device; the error flag, which is 0 after."""


class RowSteps(Protocol):
    """What one row of a decoder's layer needs between its products, and a token before and after
    them. Each method makes a function of operands laid out like those it is given. All are float32
    without gaps where nothing else is said, but for key and value, which may also be float16, both
    of them.
    """

    def norm(
        self, x: np.ndarray, more: np.ndarray | None, weight: np.ndarray, eps: float,
        out: np.ndarray,
    ) -> Callable[..., None]:  # fmt: skip
        """(x, more, weight, out), without `more` where that is None: x <- x + more; out <- x /
        sqrt(mean(x**2) + eps) * weight over the last dimension; out may be x."""

    def add(self, x: np.ndarray, more: np.ndarray) -> Callable[..., None]:
        """(x, more): x <- x + more."""

    def gate(
        self, gates: np.ndarray, ups: np.ndarray, activation: str, out: np.ndarray
    ) -> Callable[..., None]:
        """(gates, ups, out): out <- activation(gates) * ups. `activation` is "silu", "gelu" (by
        tanh), "gelu_erf" or "relu"."""

    def keep(
        self, qkv: np.ndarray, cos: np.ndarray, sin: np.ndarray, interleaved: bool,
        key: np.ndarray, value: np.ndarray,
    ) -> Callable[..., None]:  # fmt: skip
        """(qkv, cos, sin, key, value): queries and keys of qkv are rotated in place; then keys and
        values are copied to `key` and `value`, (n_kv_heads, d), the last without gaps along d.

        cos, sin  (1, half) of the pairs, which are the first 2 * half values of a head: neighbours
                  where `interleaved`, else `half` values apart
        """

    def embed(
        self, weights: PreparedWeights, scale: float, token: np.ndarray, out: np.ndarray
    ) -> Callable[..., None]:
        """(token, out): out <- the row of `weights`, which the backend prepared, that token (1,)
        int64 names, times scale."""

    def sample(
        self, logits: np.ndarray, seen: np.ndarray, rule: np.ndarray, token: np.ndarray
    ) -> Callable[..., None]:
        """(logits, seen, rule, token): token (1,) int64 <- the next one by logits (vocabulary),
        which may be overwritten; seen (vocabulary,) bool, whether it occurred, is then True there.
        rule (5,) float64 is airllm.tensor_ops.sampling's."""

    def attention(self, q: np.ndarray, k: np.ndarray, v: np.ndarray) -> Callable[..., None]:
        """(q, k, v, keep, scores, out), one row's attention over a cache.

        q     (n_kv_heads, queries that share one, d); out likewise
        k     (n_kv_heads, kv_seq / block, d, block), neighbours without gaps
        v     (n_kv_heads, kv_seq, d), a head's values without gaps; k and v: or both float16
        keep  (kv_seq,) bool: False leaves a position out
        scores  (n_kv_heads, queries, kv_seq), overwritten

        out <- softmax(q @ k.T / sqrt(d)) @ v, 0 where nothing is kept.
        """


class DenseProducts(Protocol):
    """Products of float32 arrays and convolutions in channels-last memory. Each method answers
    whether it did the work: False, and nothing is written, for what another way does better (a
    single row), other types and layouts. A bias is (columns,) or None."""

    def multiply(
        self, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, out: np.ndarray
    ) -> bool:
        """out (..., rows, columns) <- x (..., rows, depth) @ w (..., depth, columns) + bias."""

    def convolve(
        self, x: np.ndarray, w: np.ndarray, bias: np.ndarray | None, out: np.ndarray,
        stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
    ) -> bool:  # fmt: skip
        """out (batch, results, height, width) <- the windows of x (batch, channels, height, width)
        times w (results, channels, height, width) + bias, x surrounded by `padding` zeros."""

    def convolve_channels(
        self, x: np.ndarray, kernel: np.ndarray, bias: np.ndarray | None, out: np.ndarray,
        stride: Sequence[int], dilation: Sequence[int],
    ) -> bool:  # fmt: skip
        """The same of each channel with its own kernel (height, width, channels); out has x's
        channels, and no window leaves x."""


class Backend(Hashable, Protocol):
    """What every interpreter offers.

    `device` is the torch device type in whose memory the pointers of a binding lie.
    """

    name: str
    device: str

    @property
    def capabilities(self) -> Capabilities:
        """The bounds of programs it can hold."""

    @property
    def memory(self) -> Memory | None:
        """What carries NumPy arrays to its memory and back; None where that is the host's."""

    @property
    def quantized(self) -> QuantizedProducts | None:
        """Its products with quantised matrices; None where it has none of its own."""

    @property
    def row_steps(self) -> RowSteps | None:
        """Its own ways of one row's steps; None where programs do them."""

    @property
    def dense(self) -> DenseProducts | None:
        """Its products of float32 arrays; None where NumPy's BLAS does them."""

    def probe(self) -> Probe:
        """Is it usable here; never raises."""

    def load(self, verified: VerifiedProgram) -> Kernel:
        """The program in a form of the backend's own."""
