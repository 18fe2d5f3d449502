"""What freezing promises: values that are eager's, and a sentence where a weight changes."""

from __future__ import annotations

import copy
import gc
import weakref

import pytest

torch = pytest.importorskip("torch")
from torch import nn

import gint.conductor
from gint.conductor import statistics

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("fresh_dynamo")]


class Net(nn.Module):
    """Convolutions with norms, a residual, and a head: what freezing folds, packs and fuses."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(width, width, 3, padding=1) for _ in range(2))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.head = nn.Linear(width, 8)
        for norm in self.norms:
            nn.init.uniform_(norm.running_var, 0.5, 2)
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.weight, 0.5, 2)

    def forward(self, x):
        y = torch.relu(self.norms[0](self.first(x)))
        y = torch.relu(self.norms[1](self.second(y)) + x)
        return self.head(y.mean((2, 3)))


def net() -> Net:
    torch.manual_seed(0)
    return Net().eval()


def image(batch: int = 2, size: int = 11) -> torch.Tensor:
    return torch.randn(batch, 16, size, size)


def freeze(function, **options):
    how = {k: options.pop(k) for k in ("dynamic", "fullgraph") if k in options}
    options = {"freeze": True, "check": True, **options}
    return torch.compile(function, backend="gint", options=options, **how)


def same(found, wanted):
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_values_are_eagers_and_the_same_every_time(options):
    model, x = net(), image()
    with torch.no_grad():
        frozen = freeze(model, **options)
        found = frozen(x)
        same(found, model(x))
        assert all(torch.equal(frozen(x), found) for _ in range(3))
    assert statistics()[-1].externs["mkldnn._convolution_pointwise"] == 2


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_where_gradients_are_off(mode):
    model, x = net(), image()
    with mode():
        same(freeze(model)(x), model(x))
    model.requires_grad_(False)
    same(freeze(model)(x), model(x))


def test_training_is_refused_in_words():
    with pytest.raises(Exception, match=r"'freeze' is for inference, and 'first.weight' requires"):
        freeze(net())(image())
    x = image().requires_grad_()
    with pytest.raises(Exception, match=r"and the input .* requires gradients"):
        freeze(net().requires_grad_(False))(x)


def test_a_graph_compiled_without_gradients_is_not_called_with_them():
    model, frozen, x = (m := net()), freeze(m), image()
    with torch.no_grad():
        frozen(x)
    with pytest.raises(Exception, match="is for inference"):
        frozen(x)
    del model


def test_a_weight_that_is_written_to_is_named():
    model, x = net(), image()
    frozen = freeze(model)
    with torch.no_grad():
        frozen(x)
        model.second.weight.mul_(2)
        with pytest.raises(RuntimeError, match=r"'second.weight' was written to .* to be frozen"):
            frozen(x)
        torch._dynamo.reset()
        same(frozen(x), model(x))


def test_buffers_are_constants_too():
    model, x = net(), image()
    frozen = freeze(model)
    with torch.no_grad():
        frozen(x)
        model.norms[0].running_mean += 1
        with pytest.raises(RuntimeError, match=r"'norms.0.running_mean' was written to"):
            frozen(x)


class Returning(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(6))
        self.register_buffer("places", torch.arange(6.0))

    def forward(self, x):
        twice = self.weight * 2
        return x + twice, twice, twice.view(2, 3), self.places.cos()[1:], self.places, self.weight


@torch.no_grad()
def test_what_is_returned_may_be_written_to():
    model = Returning()
    frozen, x = freeze(model), torch.randn(6)
    for _ in range(2):
        found, expected = frozen(x), model(x)
        torch.testing.assert_close(found, expected)
        assert found[4] is model.places
        for result in found[:4]:
            result.zero_()


@torch.no_grad()
def test_what_is_returned_of_one_constant_shares_memory():
    class Views(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(2, 3))

        def forward(self, x):
            c = self.weight * 2
            return x + c, c, c.t()[1:], c.view(-1), c

    model, x = Views(), torch.randn(2, 3)
    frozen = freeze(model)
    for _ in range(2):
        found, expected = frozen(x), model(x)
        for results in (found, expected):
            results[3][4] = 7
        torch.testing.assert_close(found, expected)
        assert found[1] is found[4]
        assert found[2].storage_offset() == 1


def test_a_state_that_is_loaded_is_a_write():
    model, x = net(), image()
    state = {k: v + 0.5 for k, v in model.state_dict().items()}
    frozen = freeze(model)
    with torch.no_grad():
        frozen(x)
        model.load_state_dict(state)
        with pytest.raises(RuntimeError, match="was written to"):
            frozen(x)
        torch._dynamo.reset()
        same(frozen(x), model(x))
        model.first.weight.data = model.first.weight.data * 2
        with pytest.raises(RuntimeError, match=r"'first.weight' was"):
            frozen(x)


def test_other_weights_in_the_same_graph():
    model, x = net(), image()
    other = copy.deepcopy(model)
    with torch.no_grad():
        other.first.weight.mul_(3)
        frozen = freeze(model)
        same(frozen(x), model(x))
        same(freeze(other)(x), other(x))
        same(copy.deepcopy(frozen)(x), model(x))
        model.first.weight = nn.Parameter(model.first.weight / 2)
        same(frozen(x), model(x))
        same(freeze(other)(x), other(x))


def test_layers_of_one_class_compiled_one_by_one():
    layers, x = [nn.Linear(64, 64) for _ in range(4)], torch.randn(2, 64)
    wanted = x
    with torch.no_grad():
        for layer in layers:
            wanted = layer(wanted)
        for layer in layers:
            layer.compile(backend="gint", options={"freeze": True})
            x = layer(x)
    same(x, wanted)


def packed() -> list[torch.Tensor]:
    found = (t for t in gc.get_objects() if type(t) is torch.Tensor)
    return [t for t in found if t.layout is torch._mkldnn]


@pytest.mark.parametrize("is_reset", [False, True])
def test_what_was_made_goes_with_the_weights_and_with_what_was_compiled(is_reset):
    model, x = net(), image()
    gc.collect()
    before = {id(t) for t in packed()}
    with torch.no_grad():
        freeze(model)(x)
    made = [weakref.ref(t) for t in packed() if id(t) not in before]
    assert len(made) == 2
    if is_reset:
        torch._dynamo.reset()
    else:
        del model
    gc.collect()
    assert [ref() for ref in made] == [None, None]


def test_tied_weights():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(300, 128)
            self.out = nn.Linear(128, 300, bias=False)
            self.out.weight = self.table.weight

        def forward(self, ids):
            return self.out(torch.relu(self.table(ids)))

    model, ids = Tied(), torch.randint(0, 300, (2, 40))
    frozen = freeze(model)
    with torch.no_grad():
        same(frozen(ids), model(ids))
        model.out.weight[3] = 1
        with pytest.raises(RuntimeError, match="was written to"):
            frozen(ids)


def test_batches_of_any_size():
    model = net()
    frozen = freeze(model, dynamic=True, fullgraph=True)
    with torch.no_grad():
        for batch, size in ((2, 11), (5, 8), (3, 17), (1, 11)):
            x = image(batch, size)
            same(frozen(x), model(x))


def test_memory_formats():
    model, x = net(), image()
    with torch.no_grad():
        last = x.contiguous(memory_format=torch.channels_last)
        wanted = model(last)
        same(freeze(model)(last), wanted)
        same(freeze(model.to(memory_format=torch.channels_last))(last), wanted)


def test_what_is_not_frozen_is_said_and_computed():
    model = nn.Sequential(nn.Linear(16, 16), nn.BatchNorm1d(16)).requires_grad_(False)
    reference, x = copy.deepcopy(model), torch.randn(5, 16)
    with pytest.warns(RuntimeWarning, match="does not freeze a graph that writes into its inputs"):
        found = freeze(model)(x)
    same(found, reference(x))
    same(model[1].running_mean, reference[1].running_mean)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        with pytest.warns(RuntimeWarning, match="runs under autocast"):
            found = freeze(model[0])(x)
        torch.testing.assert_close(found, reference[0](x))


def test_a_frozen_function_is_not_saved(tmp_path):
    model, x = net().requires_grad_(False), image()
    frozen = freeze(model, fullgraph=True)
    with pytest.raises(Exception, match="packed weights cannot be saved"):
        frozen.forward.aot_compile(((x,), {}))
    torch._dynamo.reset()
    frozen(x)
    gint.conductor.export(frozen, (x,), path=tmp_path / "net.gint", with_torch=True)
    same(gint.load(tmp_path / "net.gint")(x), model(x))


def test_with_quantised_weights():
    model = nn.Sequential(nn.Linear(64, 32), nn.Linear(32, 64)).requires_grad_(False)
    x = torch.randn(3, 64)
    frozen = freeze(model, weights={"0.*": "q8_0"}, quantize_activations=False)
    torch.testing.assert_close(frozen(x), model(x), rtol=0.1, atol=0.05)
    model[1].bias += 1
    with pytest.raises(RuntimeError, match=r"'1.bias' was written to"):
        frozen(x)
