"""What a plan binds its launches to."""

import pytest

torch = pytest.importorskip("torch")

from torch._subclasses.fake_tensor import FakeTensorMode

from gint.conductor import GintCompiler
from gint.conductor.lowering.emitter import Emitter
from gint.conductor.options import Options
from gint.conductor.plan.builder import memory_bytes
from gint.program import VerificationError

pytestmark = pytest.mark.torch


def traced(x: torch.Tensor) -> torch.fx.GraphModule:
    from torch.fx.experimental.proxy_tensor import make_fx

    return make_fx(lambda x: (x + 1,))(FakeTensorMode().from_tensor(x))


@pytest.mark.parametrize(
    ("x", "count"),
    [(torch.zeros(10)[3:7], 4), (torch.zeros(4, 6)[1:, ::2], 17), (torch.zeros(3, 0), 0)],
    ids=["window", "strided", "nothing"],
)
def test_a_slot_may_reach_its_tensor_and_not_the_rest_of_the_storage(x, count):
    node = next(iter(traced(x).graph.nodes))
    assert memory_bytes(node) == count * 4


@pytest.mark.parametrize("backend", ["cpp", "python"], indirect=True)
def test_a_lowering_that_reads_beyond_a_tensor_does_not_run(backend, monkeypatch):
    load = Emitter._load

    def too_far(self, *args):
        value = load(self, *args)
        self.sources[-1] = self.sources[-1]._replace(offset=1)
        return value

    monkeypatch.setattr(Emitter, "_load", too_far)
    compiler = GintCompiler(Options(backend=backend, check=True))
    with pytest.raises(VerificationError, match="storage"):
        compiler.compile(traced(torch.zeros(10))).function([torch.zeros(10)])
