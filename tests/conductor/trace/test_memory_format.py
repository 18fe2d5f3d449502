import copy

import pytest

torch = pytest.importorskip("torch")

from torch import fx, nn
from torch.nn import functional as F

from gint.conductor.trace.memory_format import convolve_in_channels_last

pytestmark = pytest.mark.torch


class Net(nn.Module):
    """Two convolutions with `between` after the first and `end` after the second."""

    def __init__(self, between=F.relu, end=lambda y: y) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 5, 3, padding=1)
        self.between, self.end = between, end

    def forward(self, x):
        return self.end(self.b(self.between(self.a(x))))


def image(*batch) -> torch.Tensor:
    return torch.randn(*batch or (2,), 3, 11, 13)


def strides_of_inputs(function, *args, is_own=lambda weight: False) -> list[tuple[int, ...]]:
    """The strides of what each convolution of a function's graph is given."""
    graphs = []

    def keep(gm, inputs):
        convolve_in_channels_last(gm, is_own)
        graphs.append((gm, inputs))
        return gm.forward

    torch._dynamo.reset()
    with torch.no_grad():
        torch.compile(function, backend=keep, fullgraph=True)(*args)

    class Watch(fx.Interpreter):
        def call_function(self, target, args, kwargs):
            if "conv" in getattr(target, "__name__", ""):
                seen.append(args[0].stride())
            return super().call_function(target, args, kwargs)

    seen: list[tuple[int, ...]] = []
    ((gm, inputs),) = graphs
    real = [torch.randn(x.shape) if isinstance(x, torch.Tensor) else x for x in inputs]
    Watch(gm).run(*real)
    return seen


def is_changed(function, *args) -> bool:
    return all(strides[1] == 1 for strides in strides_of_inputs(function, *args))


def compare(model, x) -> None:
    """The compiled model gives eager's values in eager's strides."""
    torch._dynamo.reset()
    with torch.no_grad():
        wanted = model(x)
        found = torch.compile(model, backend="gint", options={"check": True})(x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5, check_stride=True)


BETWEEN = {
    "activation": F.relu,
    "in place": lambda y: F.relu(y, inplace=True),
    "norm": nn.BatchNorm2d(8).eval(),
    "pooling": lambda y: F.max_pool2d(y, 2),
    "joined": lambda y: torch.cat([y[:, :4], y[:, 4:] * 2], 1),
    "resized": lambda y: F.interpolate(y, scale_factor=2, mode="bilinear"),
    "shuffled": lambda y: y.view(y.shape[0], 2, 4, *y.shape[2:]).transpose(1, 2).flatten(1, 2),
    "rows": lambda y: (y.permute(0, 2, 3, 1) * 2).permute(0, 3, 1, 2),
    "no dropout": lambda y: F.dropout(y, 0.5, False),
}
END = {
    "as it is": lambda y: y,
    "viewed": lambda y: y.view(y.shape[0], -1),
    "flat": lambda y: torch.flatten(y, 1),
    "mean": lambda y: y.mean((2, 3)),
    "permuted": lambda y: y.permute(0, 2, 3, 1) + 1,
    "two": lambda y: (y, y + 1),
}


@pytest.mark.parametrize("between", BETWEEN.values(), ids=BETWEEN)
def test_what_comes_between(between):
    net = Net(between)
    assert is_changed(net, image())
    compare(net, image())
    compare(net, image(1))


@pytest.mark.parametrize("end", END.values(), ids=END)
def test_results_have_the_strides_of_eager(end):
    net = Net(end=end)
    assert is_changed(net, image())
    compare(net, image())


AS_THEY_ARE = {
    "strides seen": Net(end=lambda y: y.as_strided((3, 2), (7, 1))),
    "results that share memory": Net(end=lambda y: (y, y.view(-1))),
    "a part": Net(end=lambda y: y[:, 1:3]),
    "random numbers": Net(lambda y: F.dropout(y, 0.5, True)),
    "bytes": Net(end=lambda y: y.view(torch.int32)),
}


@pytest.mark.parametrize("net", AS_THEY_ARE.values(), ids=AS_THEY_ARE)
def test_graphs_that_stay_as_they_are(net):
    assert not is_changed(net, image())


def test_what_is_written_after_it_was_reshaped():
    def f(x, a, b):
        y = F.conv2d(x, a)
        rows = y.flatten(2)
        y += 1
        return F.conv2d(y, b), rows * 2

    args = image(), torch.randn(8, 3, 3, 3), torch.randn(5, 8, 1, 1)
    assert not is_changed(f, *args)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(f, backend="gint")(*args), f(*args))


def test_one_convolution_stays_as_it_is():
    assert not is_changed(lambda x, w: F.conv2d(x, w).relu(), image(), torch.randn(8, 3, 3, 3))


def test_a_convolution_of_one_image_without_a_batch():
    net = Net()
    x = torch.randn(3, 11, 13)
    assert strides_of_inputs(net, x)[0] == x.stride()
    compare(net, x)


def test_volumes_and_transposed_convolutions():
    volumes = nn.Sequential(nn.Conv3d(2, 4, 3), nn.ReLU(), nn.ConvTranspose3d(4, 2, 2)).eval()
    compare(volumes, torch.randn(2, 2, 5, 6, 7))
    compare(nn.Sequential(nn.ConvTranspose2d(3, 4, 2), nn.Conv2d(4, 2, 2)), image())


def test_gradients():
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 4, 3), nn.Flatten(), nn.Linear(24, 3)),
    )
    other = copy.deepcopy(net)
    x = image()
    torch._dynamo.reset()
    compiled = torch.compile(net, backend="gint", options={"check": True})
    for _ in range(2):
        for model, run in ((net, compiled), (other, other)):
            model.zero_grad()
            run(x).square().sum().backward()
        for (name, p), q in zip(net.named_parameters(), other.parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-4, msg=name)
            assert p.grad.stride() == q.grad.stride()
    torch.testing.assert_close(net[1].running_mean, other[1].running_mean)


def test_sizes_that_change_are_compiled_once():
    net = Net(nn.BatchNorm2d(8).eval(), lambda y: y.mean((2, 3)))
    torch._dynamo.reset()
    counter = torch._dynamo.testing.CompileCounterWithBackend("gint")
    compiled = torch.compile(net, backend=counter, dynamic=True)
    with torch.no_grad():
        for n, h in ((2, 9), (3, 12), (5, 17)):
            x = torch.randn(n, 3, h, h + 1)
            torch.testing.assert_close(compiled(x), net(x), rtol=1e-4, atol=1e-5)
    assert counter.frame_count == 1


def test_a_convolution_of_few_inputs_and_many_weights_stays_in_rows():
    narrow, wide = nn.Conv2d(3, 192, 3, padding=1), nn.Conv2d(192, 192, 3, padding=1)
    net = nn.Sequential(narrow, nn.AdaptiveAvgPool2d(5), wide)
    first, second = strides_of_inputs(net, image())
    assert first[1] == 1
    assert second == (4800, 25, 5, 1)
    x = image()
    torch.testing.assert_close(torch.compile(net, backend="gint")(x), net(x))


def test_wide_convolutions_of_few_inputs_are_changed_where_they_are_gints_own():
    net = nn.Sequential(nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(), nn.Conv2d(256, 256, 3))
    x = torch.randn(1, 256, 3, 3)
    assert strides_of_inputs(net, x)[0] == x.stride()
    asked = []
    own = strides_of_inputs(net, x, is_own=lambda weight: not asked.append(weight.shape))
    assert all(strides[1] == 1 for strides in own)
    assert asked == [net[0].weight.shape] * 2
