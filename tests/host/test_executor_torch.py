"""Running programs on torch tensors, on the device of each backend."""

import numpy as np
import pytest

from gint.backend import registry
from gint.host.executor import load
from gint.host.tensors import view_of
from gint.program import VerificationError, assemble
from tests.host.test_executor import SCALE, W, X

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch


@pytest.fixture
def home(backend):
    """The torch device whose tensors a backend reaches."""
    found = registry.backend(backend).device
    if found == "cuda" and not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    return found


@pytest.fixture
def scale(backend):
    return load(assemble(SCALE), backend)


def test_outputs_are_torch_tensors(scale, home):
    x, w = torch.from_numpy(X).to(home), torch.from_numpy(W).to(home)
    (y,) = scale(x=x, w=w, a=2)
    assert torch.equal(y, x * w * 2)
    assert torch.equal(scale(x=x.expand(3, 4), w=w[:1], a=1)[0], x)
    assert torch.equal(scale(x=x.T.contiguous().T, w=w.flip(0), a=1)[0], x * w.flip(0))


def test_arrays_and_tensors_may_be_mixed(scale, home):
    (y,) = scale(x=torch.from_numpy(X).to(home), w=W, a=1)
    assert torch.equal(y.cpu(), torch.from_numpy(X * W))


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float64", "int64", "bool", "uint8"])
def test_types(backend, home, name):
    t = getattr(torch, name)
    ours = view_of(torch.zeros(1, dtype=t)).dtype
    text = f"axis n parallel\nslot x {ours} in (n)\nslot y {ours} out (n)\nmap\n"
    text += f"load.{ours} r[0] <- s[x]\nstore.{ours} s[y] <- r[0]\n"
    x = torch.tensor([0, 1, 1, 0]).to(home, t)
    (y,) = load(assemble(text), backend)(x=x)
    assert y.dtype == t
    assert torch.equal(x, y)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.requires_grad_(), TypeError, r"requires grad; pass tensor.detach\(\)"),
        (lambda x: x.to_sparse(), TypeError, "layout torch.sparse_coo has no strides"),
        (lambda x: x.to(torch.complex64), TypeError, "torch.complex64 cannot be bound"),
        (lambda x: torch._neg_view(x), TypeError, r"negates lazily; pass tensor.resolve_neg\(\)"),
        (lambda x: x.to("meta"), ValueError, "Slot 'x' is bound to a tensor on meta"),
        (lambda x: x.double(), TypeError, "Slot 'x' holds f32"),
        (lambda x: x[0], ValueError, "Slot 'x' has 2 dimensions"),
    ],
    ids=("grad", "sparse", "complex", "negative", "meta", "type", "rank"),
)
def test_wrong_tensors_are_sentences(scale, home, change, error, message):
    with pytest.raises(error, match=message):
        scale(x=change(torch.ones(3, 4, device=home)), w=W, a=1)


def test_an_expanded_output_is_refused(scale, home):
    x, y = torch.from_numpy(X).to(home), torch.zeros(4, device=home).expand(3, 4)
    with pytest.raises(VerificationError, match="'y' is written with strides"):
        scale(x=x, w=W, a=1, y=y)


def test_a_tensor_whose_storage_was_shrunk_is_refused(scale, home):
    x = torch.ones(3, 4, device=home)
    x.untyped_storage().resize_(16)
    with pytest.raises(VerificationError, match="Slot 'x' would touch bytes 0 to 48"):
        scale(x=x, w=W, a=1, y=np.empty((3, 4), np.float32))
