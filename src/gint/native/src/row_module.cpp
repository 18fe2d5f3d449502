// What Python sees of one row's smaller steps, in _native: see gint.backend.protocol, RowSteps.
#include "row_module.h"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "arrays.h"
#include "cpu/simd_unit.h"
#include "quantized_module.h"
#include "row/row_table.h"
#include "row/sampling.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace gint {

namespace {

// Where the elements of an operand are.
struct Layout {
    std::vector<int64_t> lengths, strides; // strides in bytes
    bool is_written;
    int type; // NumPy's number of it

    bool operator==(const Layout &) const = default;
    size_t count() const {
        size_t n = 1;
        for (int64_t length : lengths) n *= size_t(length);
        return n;
    }
};

Array row_array(nb::handle object, bool is_written, int type) {
    if (!is_array(object.ptr())) throw nb::type_error("A row's steps are of NumPy arrays.");
    const Array found(object.ptr());
    if (found.type() != type || !found.is_behaved() || (is_written && !found.is_writable()))
        throw nb::value_error("A row's steps are of aligned float32 arrays, results writable; keys "
                              "and values that are kept may both be float16, tokens are int64, "
                              "what occurred is bool, and rules are float64.");
    return found;
}

Layout layout_of(nb::handle object, bool is_written, int type = NPY_FLOAT) {
    const Array a = row_array(object, is_written, type);
    Layout made{{}, {}, is_written, type};
    for (int d = 0; d < a.rank(); d++) {
        made.lengths.push_back(a.length(d));
        made.strides.push_back(a.stride(d));
    }
    return made;
}

[[noreturn]] void refuse() {
    throw nb::value_error("The operands of a row's step have other shapes or gaps.");
}

// An operand without gaps; of `count` elements, where that is known.
Layout plain(nb::handle object, bool is_written, std::optional<size_t> count = {},
             int type = NPY_FLOAT) {
    Layout made = layout_of(object, is_written, type);
    if (!Array(object.ptr()).is_contiguous() || (count && made.count() != *count)) refuse();
    return made;
}

// Made for operands of some layouts.
struct RowStep {
    std::vector<Layout> operands;
    std::function<void(const uint64_t *)> run;
    nb::object kept = {}; // what `run` reads beside them
};

float *at(uint64_t address) { return reinterpret_cast<float *>(address); }

RowStep make_norm(nb::handle x, nb::handle more, nb::handle weight, float eps, nb::handle out) {
    const Layout rows = plain(x, true), of = plain(weight, false);
    const size_t n = of.count(), all = rows.count();
    if (n == 0 || all % n || rows.lengths.empty() || size_t(rows.lengths.back()) != n) refuse();
    RowStep step{{rows}, {}};
    if (!more.is_none()) step.operands.push_back(plain(more, false, all));
    step.operands.push_back(of), step.operands.push_back(plain(out, true, all));
    step.run = [n, all, eps, adds = !more.is_none()](const uint64_t *p) {
        const auto norm = simd_unit()->row()->norm;
        const float *added = adds ? at(p[1]) : nullptr;
        for (size_t row = 0; row < all; row += n)
            norm(n, eps, at(p[0]) + row, added ? added + row : nullptr, at(p[1 + adds]),
                 at(p[2 + adds]) + row);
    };
    return step;
}

RowStep make_add(nb::handle x, nb::handle more) {
    const Layout to = plain(x, true);
    const size_t n = to.count();
    return {{to, plain(more, false, n)},
            [n](const uint64_t *p) { simd_unit()->row()->add(n, at(p[0]), at(p[1])); }};
}

RowStep make_gate(nb::handle gates, nb::handle ups, const std::string &activation, nb::handle out) {
    const auto *const end = std::end(ROW_ACTIVATIONS), *const found =
                                                           std::find(std::begin(ROW_ACTIVATIONS),
                                                                     end, activation);
    if (found == end) throw nb::value_error("A gate's activation has another name.");
    const auto kind = RowActivation(found - std::begin(ROW_ACTIVATIONS));
    const Layout to = plain(out, true);
    const size_t n = to.count();
    return {{plain(gates, false, n), plain(ups, false, n), to}, [n, kind](const uint64_t *p) {
                simd_unit()->row()->gate(kind, n, at(p[0]), at(p[1]), at(p[2]));
            }};
}

struct Heads {
    size_t rotated, kept, size, half;
    bool interleaved, is_half;
    size_t key_head, key_step, value_head; // strides in elements
};

void keep_head(const Heads &h, const float *k, const float *v, float *key, float *value) {
    for (size_t i = 0; i < h.size; i++) key[i * h.key_step] = k[i];
    std::memcpy(value, v, h.size * sizeof(float));
}

// Heads are converted so many values at a time.
void keep_half_head(const Heads &h, const float *k, const float *v, uint16_t *key,
                    uint16_t *value) {
    constexpr size_t SOME = 128;
    uint16_t some[SOME];
    const auto to_halves = simd_unit()->row()->to_halves;
    for (size_t at = 0; at < h.size; at += SOME) {
        const size_t count = std::min(SOME, h.size - at);
        to_halves(count, k + at, some);
        for (size_t i = 0; i < count; i++) key[(at + i) * h.key_step] = some[i];
    }
    to_halves(h.size, v, value);
}

void rotate_and_keep(const Heads &h, const uint64_t *p) {
    float *const all = at(p[0]);
    const auto rotate = simd_unit()->row()->rotate;
    for (size_t n = 0; n < h.rotated; n++)
        rotate(h.half, h.interleaved, at(p[1]), at(p[2]), all + n * h.size);
    const float *k = all + (h.rotated - h.kept) * h.size, *v = all + h.rotated * h.size;
    for (size_t n = 0; n < h.kept; n++, k += h.size, v += h.size) {
        const size_t key = n * h.key_head, value = n * h.value_head;
        if (h.is_half)
            keep_half_head(h, k, v, reinterpret_cast<uint16_t *>(p[3]) + key,
                           reinterpret_cast<uint16_t *>(p[4]) + value);
        else
            keep_head(h, k, v, at(p[3]) + key, at(p[4]) + value);
    }
}

size_t elements(int64_t stride, int64_t size) {
    if (stride < 0 || stride % size) refuse();
    return size_t(stride / size);
}

RowStep make_keep(nb::handle qkv, nb::handle cos, nb::handle sin, bool interleaved, nb::handle key,
                  nb::handle value) {
    const bool is_half = is_array(key.ptr()) && Array(key.ptr()).type() == NPY_HALF;
    const int type = is_half ? NPY_HALF : NPY_FLOAT;
    const int64_t item = is_half ? 2 : FLOAT_BYTES;
    const Layout all = plain(qkv, true), angles = plain(cos, false),
                 keys = layout_of(key, true, type), values = layout_of(value, true, type);
    if (keys.lengths.size() != 2 || values.lengths != keys.lengths) refuse();
    const size_t kept = size_t(keys.lengths[0]), size = size_t(keys.lengths[1]);
    if (size == 0 || all.count() % size || all.count() / size < 2 * kept || kept == 0 ||
        2 * angles.count() > size || (size > 1 && values.strides[1] != item))
        refuse();
    const Heads heads{all.count() / size - kept,
                      kept,
                      size,
                      angles.count(),
                      interleaved,
                      is_half,
                      elements(keys.strides[0], item),
                      elements(keys.strides[1], item),
                      elements(values.strides[0], item)};
    return {{all, angles, plain(sin, false, angles.count()), keys, values},
            [heads](const uint64_t *p) { rotate_and_keep(heads, p); }};
}

RowStep make_embed(nb::object weights, float scale, nb::handle token, nb::handle out) {
    const PackedWeights *rows = packed_weights(weights);
    if (!rows) throw nb::type_error("A row is read from packed weights.");
    const size_t n = rows->matrix.inputs;
    return {{plain(token, false, 1, NPY_INT64), plain(out, true, n)},
            [rows, scale, n](const uint64_t *p) {
                rows->decode(reinterpret_cast<const int64_t *>(p[0]), 1, at(p[1]));
                if (scale != 1)
                    for (size_t i = 0; i < n; i++) at(p[1])[i] *= scale;
            },
            std::move(weights)};
}

RowStep make_sample(nb::handle logits, nb::handle seen, nb::handle rule, nb::handle token) {
    const Layout all = plain(logits, true);
    const size_t n = all.count();
    if (n == 0) refuse();
    return {{all, plain(seen, true, n, NPY_BOOL), plain(rule, false, 5, NPY_DOUBLE),
             plain(token, true, 1, NPY_INT64)},
            [n](const uint64_t *p) {
                const auto &rule = *reinterpret_cast<const SamplingRule *>(p[2]);
                *reinterpret_cast<int64_t *>(p[3]) =
                    int64_t(sample_token(rule, n, at(p[0]), reinterpret_cast<bool *>(p[1])));
            }};
}

// Nanoseconds since any moment, for whoever measures what other steps take.
RowStep make_clock(nb::handle out) {
    return {{plain(out, true, 1, NPY_INT64)}, [](const uint64_t *p) {
                const auto now = std::chrono::steady_clock::now().time_since_epoch();
                *reinterpret_cast<int64_t *>(p[0]) =
                    std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
            }};
}

void call_step(const RowStep &self, nb::args given) {
    if (nb::len(given) != self.operands.size()) refuse();
    std::vector<uint64_t> pointers;
    for (size_t n = 0; n < self.operands.size(); n++) {
        const Layout &known = self.operands[n];
        if (layout_of(given[n], known.is_written, known.type) != known) refuse();
        pointers.push_back(Array(given[n].ptr()).address());
    }
    self.run(pointers.data());
}

} // namespace

StepFunction row_step(nb::handle object) {
    const RowStep *step = nullptr;
    if (!nb::try_cast(object, step)) return {};
    return step->run;
}

void add_row_steps(nb::module_ &m) {
    nb::class_<RowStep>(m, "RowStep").def("__call__", &call_step);
    m.def("row_norm", &make_norm, "x"_a, "more"_a.none(), "weight"_a, "eps"_a, "out"_a);
    m.def("row_add", &make_add, "x"_a, "more"_a);
    m.def("row_gate", &make_gate, "gates"_a, "ups"_a, "activation"_a, "out"_a);
    m.def("row_clock", &make_clock, "out"_a);
    m.def("row_embed", &make_embed, "weights"_a, "scale"_a, "token"_a, "out"_a);
    m.def("row_sample", &make_sample, "logits"_a, "seen"_a, "rule"_a, "token"_a);
    m.def("row_keep", &make_keep, "qkv"_a, "cos"_a, "sin"_a, "interleaved"_a, "key"_a, "value"_a);
}

} // namespace gint
