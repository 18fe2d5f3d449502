// The loops of one row's smaller steps. Compiled once per instruction set; everything lives in
// unnamed namespaces so that no symbol is shared between the sets.
#include "row/row_table.h"

#include "loops/half_rows.h"
#include "loops/wide.h"

namespace gint::GINT_SIMD_NAMESPACE {

const RowTable *row_table();

namespace {

constexpr size_t BLOCK = WIDE * REGISTER / sizeof(float);

void add(size_t n, float *x, const float *more) {
    size_t at = 0;
    for (; at + BLOCK <= n; at += BLOCK) put(x + at, load(x + at) + load(more + at));
    for (; at < n; at++) x[at] += more[at];
}

float sum_of_squares(size_t n, const float *x) {
    Wide sums(0.0f);
    size_t at = 0;
    for (; at + BLOCK <= n; at += BLOCK) {
        const Wide values = load(x + at);
        sums = gi_muladd(values, values, sums);
    }
    float lanes[BLOCK];
    put(lanes, sums);
    for (size_t half = BLOCK / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++) lanes[i] += lanes[half + i];
    float total = lanes[0];
    for (; at < n; at++) total += x[at] * x[at];
    return total;
}

void norm(size_t n, float eps, float *x, const float *more, const float *weight, float *out) {
    if (more) add(n, x, more);
    const float scale = 1 / __builtin_sqrtf(sum_of_squares(n, x) / float(n) + eps);
    size_t at = 0;
    for (; at + BLOCK <= n; at += BLOCK)
        put(out + at, load(x + at) * Wide(scale) * load(weight + at));
    for (; at < n; at++) out[at] = x[at] * scale * weight[at];
}

void rotate(size_t half, bool interleaved, const float *cos, const float *sin, float *x) {
    if (interleaved) {
        for (size_t i = 0; i < half; i++) {
            const float first = x[2 * i], second = x[2 * i + 1];
            x[2 * i] = first * cos[i] - second * sin[i];
            x[2 * i + 1] = first * sin[i] + second * cos[i];
        }
        return;
    }
    float *const halves = x + half;
#pragma GCC ivdep
    for (size_t i = 0; i < half; i++) {
        const float first = x[i], second = halves[i];
        x[i] = first * cos[i] - second * sin[i];
        halves[i] = first * sin[i] + second * cos[i];
    }
}

// As airllm.tensor_ops has them; of vectors and of one element.
void to_halves(size_t n, const float *x, uint16_t *out) { gi_f32_to_f16_rows(long(n), x, out); }

struct Silu {
    template <class T> static T of(T x) { return x * gi_sigmoid_f32(x); }
};
struct Gelu {
    template <class T> static T of(T x) {
        const T inner = T(0.7978845608028654f) * (x + T(0.044715f) * (x * x * x));
        return T(0.5f) * x * (T(1.0f) + gi_tanh_f32(inner));
    }
};
struct GeluErf {
    template <class T> static T of(T x) {
        return T(0.5f) * x * (T(1.0f) + gi_erf_f32(x * T(0.7071067811865476f)));
    }
};
struct Relu {
    template <class T> static T of(T x) { return gi_maximum_f32(x, T(0.0f)); }
};

template <class Activation>
void gate_by(size_t n, const float *gates, const float *ups, float *out) {
    size_t at = 0;
    for (; at + BLOCK <= n; at += BLOCK)
        put(out + at, Activation::of(load(gates + at)) * load(ups + at));
    for (; at < n; at++) out[at] = Activation::of(gates[at]) * ups[at];
}

void gate(RowActivation activation, size_t n, const float *gates, const float *ups, float *out) {
    constexpr decltype(&gate_by<Silu>) BY[] = {gate_by<Silu>, gate_by<Gelu>, gate_by<GeluErf>,
                                               gate_by<Relu>};
    BY[size_t(activation)](n, gates, ups, out);
}

float highest(size_t n, const float *x) {
    float most = x[0];
    size_t at = 0;
    if (n >= BLOCK) {
        Wide all = load(x);
        for (at = BLOCK; at + BLOCK <= n; at += BLOCK) all = gi_maximum_f32(all, load(x + at));
        const auto one = maximum(maximum(all.v[0], all.v[1]), maximum(all.v[2], all.v[3]));
        float lanes[BLOCK / WIDE];
        put<float>(lanes, 0, one);
        for (float lane : lanes) most = gi_maximum_f32(most, lane);
    }
    for (; at < n; at++) most = gi_maximum_f32(most, x[at]);
    return most;
}

void chances(size_t n, float highest, float scale, const float *x, float *out) {
    size_t at = 0;
    for (; at + BLOCK <= n; at += BLOCK)
        put(out + at, gi_exp_f32((load(x + at) - Wide(highest)) * Wide(scale)));
    for (; at < n; at++) out[at] = gi_exp_f32((x[at] - highest) * scale);
}

} // namespace

const RowTable *row_table() {
    static constexpr RowTable TABLE{norm, add, rotate, to_halves, gate, highest, chances};
    return &TABLE;
}

} // namespace gint::GINT_SIMD_NAMESPACE
