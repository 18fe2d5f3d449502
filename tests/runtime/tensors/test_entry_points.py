from itertools import islice

import pytest

torch = pytest.importorskip("torch")

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten

from gint.conductor.graph.externs import EXTERNS
from gint.runtime.tensors.entry_points import entry_point, only_reads
from tests.database import DATABASE, samples_of

pytestmark = [pytest.mark.torch, pytest.mark.filterwarnings("ignore")]
aten = torch.ops.aten
NAMES = {name for names in EXTERNS.values() for name in names} | {"conv"}


class Calls(TorchDispatchMode):
    """The first call of each operator below what is called."""

    def __init__(self) -> None:
        super().__init__()
        self.found = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.found.setdefault(func, (args, kwargs or {}))
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def calls():
    seen = Calls()
    for info in DATABASE.values():
        if torch.float32 not in info.dtypes or not any(name in info.name for name in NAMES):
            continue
        for sample in islice(samples_of(info, torch.float32), 2):
            with seen, torch.no_grad():
                info(sample.input, *sample.args, **sample.kwargs)
    return seen.found


def test_the_binding_does_what_the_overload_does(calls):
    compared = []
    for func, (args, kwargs) in calls.items():
        if entry_point(func) is func._op or func._schema.is_mutable:
            continue
        torch.manual_seed(0)
        wanted = tree_flatten(func(*args, **kwargs))[0]
        torch.manual_seed(0)
        found = tree_flatten(entry_point(func)(*args, **kwargs))[0]
        if not func._schema.name.startswith("aten::empty"):
            torch.testing.assert_close(found, wanted, rtol=0, atol=0, equal_nan=True)
        compared.append(func)
    assert {aten.mm.default, aten.addmm.default, aten.convolution.default} <= set(compared)
    assert len(compared) > 40


@pytest.mark.parametrize("func", [aten.sort.default, aten.index_put.default, aten.mul.Scalar])
def test_where_there_is_a_choice_the_overload_itself_is_called(func):
    assert entry_point(func) is func._op


@pytest.mark.parametrize("name", ["multi_margin_loss", "soft_margin_loss", "l1_loss", "huber_loss"])
def test_a_loss_without_a_reduction_is_the_mean(name):
    x = torch.randn(6, 5)
    against = torch.tensor([0, 4, 1, 2, 2, 3]) if name == "multi_margin_loss" else x.roll(1)
    operator = getattr(aten, name).default
    torch.testing.assert_close(entry_point(operator)(x, against), operator(x, against))


def test_what_is_no_operator_is_called_as_it_is():
    assert entry_point(len) is len


def test_results_of_what_only_reads_share_no_memory_with_arguments(calls):
    x = torch.ones(2, 6)
    hidden = (
        (aten._unsafe_view.default, ([3, 4],)), (aten.unsafe_split.Tensor, (1,)),
        (aten.unsafe_split_with_sizes.default, ([1, 1],)), (aten.lift.default, ()),
    )  # fmt: skip
    seen = {func: call for func, call in calls.items() if only_reads(func)}
    assert len(seen) > 40
    for func, (args, kwargs) in {**seen, **{f: ((x, *more), {}) for f, more in hidden}}.items():
        given, found = memory((args, kwargs)), memory(func(*args, **kwargs))
        assert not only_reads(func) or not given & found, func


def memory(values) -> set[int]:
    tensors = [t for t in tree_flatten(values)[0] if isinstance(t, torch.Tensor) and t.numel()]
    return {t.untyped_storage()._cdata for t in tensors if t.layout is torch.strided}
