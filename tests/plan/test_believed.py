"""What kernels believe is checked: operands that do not fit are refused."""

import pytest

from gint.plan.results import result_of

from .test_results import typed

ATTENTION = "aten._scaled_dot_product_flash_attention_for_cpu.default"
LSTM = "aten.mkldnn_rnn_layer.default"


def attention(q=(2, 3, 5, 8), k=(2, 3, 7, 8), v=(2, 3, 7, 8), k_strides=None, v_strides=None):
    return [typed(*q), typed(*k, strides=k_strides), typed(*v, strides=v_strides)]


def lstm(hidden=4, mode=2, batch_sizes=(), **other):
    given = {
        "x": (3, 2, 6), "w0": (16, 6), "w1": (16, 4), "w2": (16,), "w3": (16,), "h": (1, 2, 4),
        "c": (2, 4),
    }  # fmt: skip
    operands = [other.get(n) or typed(*shape) for n, shape in given.items()]
    return [*operands, False, batch_sizes, mode, hidden, 5, True, True, False, False]


@pytest.mark.parametrize(
    ("operator", "args", "reason"),
    [
        (ATTENTION, attention(q=(2, 4, 5, 8)), "do not fit"),
        (ATTENTION, attention(k=(1, 3, 7, 8), v=(1, 3, 7, 8)), "do not fit"),
        (ATTENTION, attention(v=(2, 3, 1, 8)), "do not fit"),
        (ATTENTION, attention(v=(2, 1, 7, 8)), "do not fit"),
        (ATTENTION, attention()[:1], "does not take such arguments"),
        (ATTENTION, attention(k_strides=(168, 56, 1, 7)), "side by side"),
        (LSTM, lstm(hidden=400), "do not fit"),
        (LSTM, lstm(h=typed(1, 1, 1)), "do not fit"),
        (LSTM, lstm(w3=typed(3)), "do not fit"),
        (LSTM, lstm(w0=typed(16, 6, dtype="float64")), "one type"),
        (LSTM, lstm(x=typed(3, 2, 6, strides=(0, 0, 1))), "lie in order"),
        (LSTM, lstm(mode=3), "layer of an LSTM"),
        (LSTM, lstm(batch_sizes=(2, 1)), "of one length"),
        ("aten._fft_r2c.default", (typed(4, 4), [5], 0, True), "from 0 to 1"),
        ("aten._fft_c2c.default", (typed(4, 4), [0, 0], 0, True), "transformed once"),
        ("aten._fft_c2r.default", (typed(4, 4), [7], 0, 6), "from 0 to 1"),
    ],
)
def test_what_a_kernel_would_believe_is_refused(operator, args, reason):
    with pytest.raises(ValueError, match=f"does not take such arguments.*{reason}|{reason}"):
        result_of(operator, args, {})


def test_what_fits_is_taken():
    assert result_of(ATTENTION, attention(), {}) == (2, 3, 5, 8)
    shared = attention(k_strides=(56, 0, 8, 1), v_strides=(56, 0, 8, 1))
    assert result_of(ATTENTION, shared, {}) == (2, 3, 5, 8)
    fewer = attention(q=(2, 6, 5, 8))
    assert result_of(ATTENTION, fewer, {}) == (2, 6, 5, 8)
    assert result_of(LSTM, lstm(), {}) == (3, 2, 4)
    assert result_of("aten._fft_c2r.default", (typed(4, 4), [1], 0, 6), {}) == (4, 6)
