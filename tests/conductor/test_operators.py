"""Every operator the conductor promises is compiled, and is eager's in values, dtype, shape and
strides: torch's own sample inputs, special values, type promotion, odd shapes and layouts.
Reductions over all sorts of dimensions are in test_reductions.py."""

from __future__ import annotations

import itertools

import pytest

torch = pytest.importorskip("torch")

from tests.database import DATABASE, samples_of

from .comparing import DTYPES, Call, Traced, check

pytestmark = pytest.mark.torch
F = torch.nn.functional

#: The promised operators by their names in torch's database of operators (OpInfo).
LISTED = """
add sub mul rsub div.no_rounding_mode div.floor_rounding div.trunc_rounding floor_divide true_divide
remainder fmod pow float_power neg abs sign sgn reciprocal square sqrt rsqrt positive
exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 xlogy logit sinc hypot
sin cos tan asin acos atan atan2 sinh cosh tanh asinh acosh atanh deg2rad rad2deg
erf erfc sigmoid floor ceil round round.decimals_0 round.decimals_3 round.decimals_neg_3 trunc frac
maximum minimum max.binary min.binary fmax fmin clamp clamp_min clamp_max where heaviside
eq ne lt le gt ge isnan isinf isfinite isposinf isneginf isclose isreal nan_to_num
logical_and logical_or logical_xor logical_not
bitwise_and bitwise_or bitwise_xor bitwise_not bitwise_left_shift bitwise_right_shift
bool float double half bfloat16 long int short char byte to
full full_like zeros zeros_like ones ones_like new_full new_ones new_zeros fill zero_ arange
scalar_tensor logspace eye masked_fill tril triu
lerp addcmul addcdiv special.entr special.xlog1py special.ndtr
sum mean prod amax amin any all var var.unbiased var_mean var_mean.unbiased
std std.unbiased std_mean std_mean.unbiased argmax argmin aminmax nansum nanmean count_nonzero
max.reduction_no_dim max.reduction_with_dim min.reduction_no_dim min.reduction_with_dim
norm linalg.vector_norm trace
softmax softmax.with_dtype log_softmax log_softmax.with_dtype logsumexp
torch.ops.aten._safe_softmax.default
native_layer_norm native_batch_norm native_group_norm
clone contiguous repeat tile outer
gather index_select take_along_dim
cumsum cumprod cummax cummin logcumsumexp diff
"""
LISTED_NN = """
relu gelu silu mish elu celu selu softplus softmin hardtanh hardswish hardsigmoid leaky_relu relu6
threshold hardshrink softshrink softsign tanhshrink logsigmoid glu prelu
layer_norm rms_norm batch_norm group_norm instance_norm
mse_loss l1_loss smooth_l1_loss huber_loss
normalize cosine_similarity pairwise_distance pixel_shuffle embedding
"""
LISTED_VIEWS = """
view view_as reshape reshape_as permute expand expand_as broadcast_to slice select unsqueeze squeeze
squeeze.multiple transpose t T mT movedim flatten unflatten ravel diagonal split split_with_sizes
unbind chunk unsafe_chunk unsafe_split hsplit as_strided unfold
"""
NAMES = (*LISTED.split(), *(f"nn.functional.{n}" for n in LISTED_NN.split()))
#: Samples of an operator and type that are compared; the database has up to a hundred.
SAMPLES = 3


def samples(op, dtype: torch.dtype, count: int):
    """Calls of an operator, seeded, spread over what the database offers."""
    found = list(itertools.islice(samples_of(op, dtype), 40))
    found = [s for s in found if not (_wraps_a_fill_value(s, dtype) or _stays_whole(op, s))]
    step = max(1, len(found) // count)
    for s in found[::step][:count]:
        yield Call.of(op.op, s.input, *s.args, **s.kwargs)


def _stays_whole(op, sample) -> bool:
    """Indexing a single element; embeddings that write into their table; joined pieces."""
    if op.name in ("gather", "index_select", "take_along_dim"):
        return sample.input.dim() == 0
    if op.name == "diff":
        return any(map(torch.is_tensor, (*sample.args, *sample.kwargs.values())))
    return op.name == "nn.functional.embedding" and "max_norm" in sample.kwargs


def _wraps_a_fill_value(sample, dtype: torch.dtype) -> bool:
    """scalar_tensor(-5, dtype=uint8) is a number no constant of that type can be."""
    return dtype is torch.uint8 and isinstance(sample.input, int) and sample.input < 0


@pytest.mark.parametrize("name", NAMES)
def test_compiled_and_equal_to_eager_in_every_type(
    name: str, interpreters: tuple[str, ...]
) -> None:
    _check_samples(DATABASE[name], interpreters, SAMPLES)


@pytest.mark.parametrize("name", LISTED_VIEWS.split())
def test_views_equal_eager_and_cost_no_program(name: str, interpreters: tuple[str, ...]) -> None:
    _check_samples(DATABASE[name], interpreters, 2)


def _check_samples(op, interpreters: tuple[str, ...], count: int) -> None:
    failures = []
    for dtype in DTYPES:
        if dtype not in op.supported_dtypes("cpu"):
            continue
        for call in samples(op, dtype, count):
            try:
                check(call, interpreters, scale=4.0 if "norm" in op.name else 1.0, units=16.0)
            except Exception as error:
                failures.append(f"{dtype}: {type(error).__name__}: {error}")
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("dtype", [*DTYPES[:2], *DTYPES[4:-1]], ids=str)
def test_linspace(dtype: torch.dtype, interpreters: tuple[str, ...]) -> None:
    lowest = 0 if dtype is torch.uint8 else -5
    for ends in itertools.product((lowest, 4.3, 7), (0.0, 10)):
        for steps in (0, 1, 2, 50):
            call = Call.of(lambda a=ends, n=steps: torch.linspace(*a, n, dtype=dtype))
            check(call, interpreters, scale=10.0)


# Special values

_HUGE = {torch.float32: 3e38, torch.float64: 1e308, torch.float16: 6e4, torch.bfloat16: 3e38}


def specials(dtype: torch.dtype) -> torch.Tensor:
    if dtype is torch.bool:
        return torch.tensor([True, False])
    if not dtype.is_floating_point:
        info = torch.iinfo(dtype)
        values = {0, 1, 2, 3, 7, info.max, info.max - 1, info.min, info.min + 1}
        values |= {-1, -2, -5} if info.min < 0 else set()
        return torch.tensor(sorted(values), dtype=dtype)
    nan, inf, huge = float("nan"), float("inf"), _HUGE[dtype]
    tiny = torch.finfo(dtype).smallest_normal
    half = [0.0, tiny, tiny / 4, 0.3, 0.5, 1.0, 1.5, 2.5, 3.0, 10.0, 80.0, 700.0, huge, inf]
    return torch.tensor([nan, *half, *(-v for v in half)], dtype=dtype)


_UNARY = """
neg abs sign reciprocal sqrt rsqrt exp exp2 expm1 log log2 log10 log1p sin cos tan asin acos
atan sinh cosh tanh asinh acosh atanh erf erfc sigmoid floor ceil round trunc frac isnan isinf
isfinite isposinf isneginf nan_to_num logical_not bitwise_not square sgn relu sinc logit
"""
_ACTIVATIONS = """
gelu silu mish elu celu selu softplus hardtanh hardswish hardsigmoid leaky_relu relu6 softsign
tanhshrink logsigmoid hardshrink softshrink
"""
UNARY = {n: getattr(torch, n) for n in _UNARY.split()}
UNARY |= {n: getattr(F, n) for n in _ACTIVATIONS.split()}


@pytest.mark.parametrize("name", UNARY)
def test_special_values(name: str, interpreters: tuple[str, ...]) -> None:
    for dtype in DTYPES:
        call = Call.of(UNARY[name], specials(dtype))
        if _supported(call):
            check(call, interpreters, scale=_SCALES.get(name, 0.0), units=_UNITS.get(name, 4.0))


#: What these lose to cancellation is measured in units of 1: their value is a difference.
_SCALES = {"gelu": 1.0, "tanhshrink": 1.0, "mish": 1.0, "logit": 1.0, "softplus": 1.0, "elu": 1.0,
           "celu": 1.0, "selu": 1.0, "logsigmoid": 1.0, "sinc": 1.0, "expm1": 1.0}  # fmt: skip
_UNITS: dict[str, float] = {}

_BINARY = """
add sub mul div remainder fmod pow atan2 maximum minimum fmax fmin floor_divide eq ne lt le gt ge
logical_and logical_or logical_xor bitwise_and bitwise_or bitwise_xor hypot logaddexp xlogy
heaviside
"""
BINARY = {n: getattr(torch, n) for n in _BINARY.split()}
BINARY["div_floor"] = lambda a, b: torch.div(a, b, rounding_mode="floor")
BINARY["div_trunc"] = lambda a, b: torch.div(a, b, rounding_mode="trunc")
_DIVIDES = ("floor_divide", "div_floor", "div_trunc", "remainder", "fmod")


@pytest.mark.parametrize("name", BINARY)
def test_special_pairs(name: str, interpreters: tuple[str, ...]) -> None:
    for dtype in DTYPES:
        a = b = specials(dtype)
        if not dtype.is_floating_point and name in _DIVIDES:
            b = b[(b != 0) & (b != -1)] if dtype is not torch.uint8 else b[b != 0]
        if dtype.is_floating_point and name in _DIVIDES:
            # Eager's quotients by denormals, and with huge ones, are off by more than a remainder.
            a, b = (v[v.isnan() | v.isinf() | (v == 0) | ((v.abs() < 1e4) & (v.abs() > 0.1))]
                    for v in (a, b))  # fmt: skip
        if name == "pow" and not dtype.is_floating_point:
            b = torch.arange(0, 9).to(dtype)
        call = Call.of(BINARY[name], a[:, None], b[None, :])
        if _supported(call):
            check(call, interpreters, scale=1.0 if name == "logaddexp" else 0.0)


def _supported(call: Call) -> bool:
    try:
        call.eager()
    except (NotImplementedError, RuntimeError, TypeError):
        return False
    return True


@pytest.mark.parametrize("name", [n for n in _DIVIDES if n != "floor_divide"])
@pytest.mark.parametrize("dtype", [d for d in DTYPES if not d.is_floating_point][:-1], ids=str)
def test_integer_division_by_zero_raises_as_eager_does(
    name, dtype, interpreters: tuple[str, ...]
) -> None:
    a, b = torch.arange(5).to(dtype), torch.tensor([1, 2, 0, 3, 4]).to(dtype)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        BINARY[name](a, b)
    check(Call.of(BINARY[name], a, b), interpreters)  # compiled raises what eager raises


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int16, torch.int8], ids=str)
def test_lowest_integer_divided_by_minus_one_wraps(dtype, interpreters: tuple[str, ...]) -> None:
    lowest = torch.iinfo(dtype).min
    a, b = torch.tensor([lowest, lowest + 1], dtype=dtype), torch.tensor([-1, -1], dtype=dtype)
    for name, expected in (("div_trunc", lowest), ("div_floor", lowest), ("remainder", 0)):
        traced = Traced(Call.of(BINARY[name], a, b))
        for backend in interpreters:
            assert traced.run(traced.compile(backend))[0].item() == expected


# Type promotion


def _operands(dtype: torch.dtype):
    values = [1, 0, 1, 1] if dtype is torch.bool else [1, 2, 3, 5]
    return torch.tensor(values).to(dtype), torch.tensor(values[2]).to(dtype)


PROMOTING = {
    "add": torch.add, "mul": torch.mul, "div": torch.div, "eq": torch.eq, "lt": torch.lt,
    "maximum": torch.maximum, "where": lambda a, b: torch.where(a == a, a, b),
    "remainder": torch.remainder, "pow": torch.pow, "bitwise_and": torch.bitwise_and,
    "floor_divide": torch.floor_divide, "logical_or": torch.logical_or, "atan2": torch.atan2,
    "sub_alpha": lambda a, b: torch.sub(a, b, alpha=2),
}  # fmt: skip


def _together(function, pairs) -> Call:
    """One graph of all pairs that eager takes; a graph each would take minutes."""
    pairs = [p for p in pairs if _supported(Call.of(function, *p))]
    return Call.of(lambda pairs: [function(a, b) for a, b in pairs], pairs)


@pytest.mark.parametrize("name", PROMOTING)
def test_type_promotion(name: str, interpreters: tuple[str, ...]) -> None:
    for left in DTYPES:
        a, a0 = _operands(left)
        others = [_operands(right) for right in DTYPES]
        pairs = [p for b, b0 in others for p in ((a, b), (a, b0), (a0, b))]
        check(_together(PROMOTING[name], pairs), interpreters)


@pytest.mark.parametrize("name", PROMOTING)
def test_type_promotion_with_numbers(name: str, interpreters: tuple[str, ...]) -> None:
    numbers = [3, -2, 2.5, float("inf")]
    numbers += [True] * (name != "pow")  # torch's own fake tensors are wrong about bool ** True
    for dtype in DTYPES:
        a, a0 = _operands(dtype)
        pairs = [p for n in numbers for p in ((a, n), (a0, n))]
        if name in ("add", "mul", "pow", "where", "remainder", "bitwise_and"):
            pairs += [(n, a) for n in numbers]
        check(_together(PROMOTING[name], pairs), interpreters)


@pytest.mark.parametrize("target", DTYPES, ids=str)
def test_casts(target: torch.dtype, interpreters: tuple[str, ...]) -> None:
    for dtype in DTYPES:
        x = specials(dtype)
        if dtype.is_floating_point and not target.is_floating_point and target is not torch.bool:
            x = x[x.isfinite() & (x.abs() < 100)]  # what does not fit is left to the processor
            x = x[x >= 0] if target is torch.uint8 else x
        check(Call.of(lambda x: x.to(target), x), interpreters)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_a_cast_in_the_graph_is_kept(dtype: torch.dtype, interpreters: tuple[str, ...]) -> None:
    x = torch.rand(257) * 3
    check(Call.of(lambda x: x.to(dtype).float() + 1, x), interpreters)


# Shapes and layouts

SHAPES = [
    ((), ()), ((1,), ()), ((0,), (0,)), ((0,), (1,)), ((7,), (7,)), ((1, 0, 3), (2, 1, 1)),
    ((13, 1), (1, 17)), ((2, 3, 5), (5,)), ((2, 1, 5), (3, 1)), ((1, 1, 1), (1,)),
    ((4, 1, 6), (3, 6)), ((2, 1, 3, 1), (5, 1, 7)), ((101, 103), (103,)), ((3, 1031), (3, 1)),
]  # fmt: skip


@pytest.mark.parametrize(("left", "right"), SHAPES)
def test_broadcast_shapes(left, right, interpreters: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    a, b = torch.randn(left), torch.randn(right)
    check(Call.of(lambda a, b: (a + b * 2, torch.maximum(a, b).tanh()), a, b), interpreters)


LAYOUTS = {
    "permuted": lambda: torch.randn(4, 5, 6).permute(2, 0, 1),
    "transposed": lambda: torch.randn(7, 9).t(),
    "channels_last": lambda: torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "sliced": lambda: torch.randn(12, 10)[1:9:2, 2::3],
    "expanded": lambda: torch.randn(1, 5).expand(4, 5),
    "expanded inside": lambda: torch.randn(3, 1, 5).expand(3, 4, 5),
    "offset": lambda: torch.randn(100)[37:],
    "diagonal": lambda: torch.randn(6, 6).diagonal(),
    "overlapping": lambda: torch.randn(20).unfold(0, 5, 2),
    "selected": lambda: torch.randn(3, 4, 5)[:, 2],
    "empty slice": lambda: torch.randn(5, 4)[2:2],
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(layout: str, interpreters: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    x = LAYOUTS[layout]()
    other = torch.randn(x.shape)
    for function in (
        lambda x, y: x * 2 + 1,
        lambda x, y: (x + y, y - x),
        lambda x, y: x.sum(-1),
        lambda x, y: x.softmax(-1) * y,
        lambda x, y: x.contiguous() + y.t().t() if y.dim() == 2 else x.clone(),
        lambda x, y: x.transpose(0, -1) * 3,
    ):
        check(Call.of(function, x, other), interpreters, scale=1.0)


def test_integers_wrap(interpreters: tuple[str, ...]) -> None:
    for dtype in DTYPES[4:-1]:
        top = torch.full((3,), torch.iinfo(dtype).max, dtype=dtype)
        check(Call.of(lambda x: (x + 1, x * x, -x - 2, x * 3 - x, abs(-x - 1)), top), interpreters)


def test_every_listed_name_is_in_the_database() -> None:
    wanted = {*NAMES, *LISTED_VIEWS.split()}
    assert wanted <= DATABASE.keys(), wanted - DATABASE.keys()
