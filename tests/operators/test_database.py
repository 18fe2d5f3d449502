"""Every call of ATen's that torch's database of operators makes, on arrays beside tensors."""

from __future__ import annotations

import itertools
import warnings

import pytest

torch = pytest.importorskip("torch")

from tests.database import DATABASE, samples_of

from .beside import Beside

pytestmark = pytest.mark.torch

TYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32,
    torch.bool, torch.uint8,
)  # fmt: skip
#: Functions of torch's that call what the table has, by their names in the database.
LISTED = """
mm bmm addmm addbmm baddbmm addmv mv dot vdot addr matmul linalg.vecdot
cat stack hstack take index_select gather take_along_dim index_put index_add index_copy index_fill
scatter scatter_add scatter_reduce.sum scatter_reduce.mean scatter_reduce.amax scatter_reduce.amin
scatter_reduce.prod masked_select masked_scatter nonzero slice_scatter select_scatter __getitem__
clone empty empty_like empty_strided empty_permuted new_empty new_empty_strided item
sort topk argsort msort median mode kthvalue unique unique_consecutive searchsorted bucketize
cumsum cumprod logcumsumexp cummax cummin
fft.fft fft.ifft fft.rfft fft.irfft fft.hfft fft.ihfft fft.fft2 fft.rfftn fft.irfftn
linalg.svd linalg.eigh linalg.qr linalg.cholesky_ex linalg.inv_ex linalg.solve_triangular
rand_like randn_like randint randint_like randn bernoulli multinomial normal
view permute t transpose expand select unsqueeze squeeze squeeze.multiple diagonal as_strided
unfold split split_with_sizes unbind
"""
#: Operators of which ATen computes half types in themselves, and the table in float32.
NOT_IN_HALF = ("nn.functional.grid_sample",)
LISTED_NN = """
linear conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d
scaled_dot_product_attention embedding embedding_bag nll_loss cross_entropy
pad.constant pad.reflect pad.replicate pad.circular
max_pool2d max_pool3d avg_pool2d avg_pool3d adaptive_avg_pool2d adaptive_avg_pool3d
interpolate.nearest upsample_nearest grid_sample
"""
NAMES = (*LISTED.split(), *(f"nn.functional.{n}" for n in LISTED_NN.split()))
#: Samples of an operator and type that are compared; the database has up to a hundred.
SAMPLES = 3


def _samples(op, dtype: torch.dtype):
    found = list(itertools.islice(samples_of(op, dtype), 40))
    return found[:: max(1, len(found) // SAMPLES)][:SAMPLES]


@pytest.mark.parametrize("name", NAMES)
def test_as_aten_has_it_in_every_type(name: str) -> None:
    op, beside = DATABASE[name], Beside()
    types = op.supported_dtypes("cpu")
    if name in NOT_IN_HALF:
        types = types - {torch.float16, torch.bfloat16}
    for dtype in (t for t in TYPES if t in types):
        for sample in _samples(op, dtype):
            with beside, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                op.op(sample.input, *sample.args, **sample.kwargs)
    assert beside.seen, list(beside.missing)
