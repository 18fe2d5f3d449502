// The loops of scatters. Compiled once per instruction set; everything lives in unnamed namespaces
// so that no symbol is shared between the sets.
#include "scatter/scatter_table.h"

#include "loops/folds.h"

namespace gint::GINT_SIMD_NAMESPACE {

const ScatterTable *scatter_table();

namespace {

// How an element lies in memory, and what it is combined as. Half types round after every step.
template <class S> struct Plain {
    using Stored = S;
    static S widen(S x) { return x; }
    static S narrow(S x) { return x; }
};
struct Bool { // true for every byte other than 0
    using Stored = uint8_t;
    static bool widen(uint8_t x) { return x != 0; }
    static uint8_t narrow(bool x) { return x; }
};
struct F16 {
    using Stored = uint16_t;
    static float widen(uint16_t x) { return gi_f16_to_f32(x); }
    static uint16_t narrow(float x) { return gi_f32_to_f16(x); }
};
struct BF16 {
    using Stored = uint16_t;
    static float widen(uint16_t x) { return gi_bf16_to_f32(x); }
    static uint16_t narrow(float x) { return gi_f32_to_bf16(x); }
};

struct Set {
    template <class T> static T apply(T, T b) { return b; }
};

template <class Element, class F>
inline typename Element::Stored combined(typename Element::Stored a, typename Element::Stored b) {
    return Element::narrow(F::apply(Element::widen(a), Element::widen(b)));
}

template <class Element, class F>
void points(size_t count, const int64_t *places, const int64_t *sources, const Elements &e) {
    using S = typename Element::Stored;
    auto *d = static_cast<S *>(e.destination);
    const auto *s = static_cast<const S *>(e.source);
    for (size_t j = 0; j < count; j++)
        d[places[j]] = combined<Element, F>(d[places[j]], s[sources[j]]);
}

template <class Element, class F>
bool direct(const PositionRow &row, const Elements &e, const Lines &l) {
    using S = typename Element::Stored;
    auto *d = static_cast<S *>(e.destination);
    const auto *s = static_cast<const S *>(e.source);
    const auto *data = static_cast<const int64_t *>(row.data);
    const int64_t wrapped = row.rule.wraps ? row.rule.extent : 0, step = row.step;
    const auto extent = uint64_t(row.rule.extent);
    const auto put = [&](int64_t j, int64_t stride, int64_t source_stride, int64_t along,
                         int64_t apart) {
        int64_t position = data[j * stride];
        position += position < 0 ? wrapped : 0;
        if (uint64_t(position) >= extent) return false;
        S &to = d[j * along + position * apart];
        to = combined<Element, F>(to, s[j * source_stride]);
        return true;
    };
    const auto count = int64_t(row.count);
    const bool is_packed = row.stride == 1 && e.source_stride == 1;
    const bool is_along_line = is_packed && e.destination_stride == 0 && step == 1; // no products
    for (int64_t n = 0; n < l.count; n++) {
        if (is_along_line) {
            for (int64_t j = 0; j < count; j++)
                if (!put(j, 1, 1, 0, 1)) return false;
        } else if (is_packed) {
            for (int64_t j = 0; j < count; j++)
                if (!put(j, 1, 1, e.destination_stride, step)) return false;
        } else {
            for (int64_t j = 0; j < count; j++)
                if (!put(j, row.stride, e.source_stride, e.destination_stride, step)) return false;
        }
        d += l.destination, s += l.source, data += l.positions;
    }
    return true;
}

template <class Element, class F, size_t LINES>
inline void some_lines(size_t count, const int64_t *places, const int64_t *sources,
                       typename Element::Stored *d, const typename Element::Stored *s,
                       const Elements &e) {
    for (size_t j = 0; j < count; j++) {
        auto *to = d + places[j];
        const auto *from = s + sources[j];
#pragma GCC unroll 4
        for (size_t k = 0; k < LINES; k++, to += e.destination_stride, from += e.source_stride)
            *to = combined<Element, F>(*to, *from);
    }
}

template <class Element, class F>
void lines(size_t count, const int64_t *places, const int64_t *sources, size_t number,
           const Elements &e) {
    using S = typename Element::Stored;
    auto *d = static_cast<S *>(e.destination);
    const auto *s = static_cast<const S *>(e.source);
    // (no more than 4: lines a page apart share the few places of one set of the first cache)
    for (; number >= 4; number -= 4, d += 4 * e.destination_stride, s += 4 * e.source_stride)
        some_lines<Element, F, 4>(count, places, sources, d, s, e);
    for (; number; number--, d += e.destination_stride, s += e.source_stride)
        some_lines<Element, F, 1>(count, places, sources, d, s, e);
}

template <class Element, class F>
void rows(size_t count, const int64_t *places, const int64_t *sources, size_t length,
          const Elements &e) {
    using S = typename Element::Stored;
    for (size_t j = 0; j < count; j++) {
        S *__restrict d = static_cast<S *>(e.destination) + places[j];
        const S *__restrict s = static_cast<const S *>(e.source) + sources[j];
        if (e.source_stride == 0) {
            const S value = *s;
            for (size_t i = 0; i < length; i++) d[i] = combined<Element, F>(d[i], value);
        } else {
            for (size_t i = 0; i < length; i++) d[i] = combined<Element, F>(d[i], s[i]);
        }
    }
}

template <class Index> bool add_positions(const PositionRow &row, int64_t *places) {
    const auto *data = static_cast<const Index *>(row.data);
    const int64_t wrapped = row.rule.wraps ? row.rule.extent : 0;
    const auto extent = uint64_t(row.rule.extent), step = uint64_t(row.step);
    int64_t outside = 0;
    // (unsigned products: what is outside may be any number)
    const auto add = [&](size_t j, int64_t position) {
        position += position < 0 ? wrapped : 0;
        outside |= uint64_t(position) >= extent ? -1 : 0;
        places[j] = int64_t(uint64_t(places[j]) + uint64_t(position) * step);
    };
    if (row.stride == 1)
        for (size_t j = 0; j < row.count; j++) add(j, data[j]);
    else
        for (size_t j = 0; j < row.count; j++) add(j, data[int64_t(j) * row.stride]);
    return !outside;
}

template <class Element, class F> void enter(ScatterTable &t, Fold fold, uint8_t type) {
    t.points[size_t(fold)][type] = points<Element, F>;
    t.direct[size_t(fold)][type] = direct<Element, F>;
    t.lines[size_t(fold)][type] = lines<Element, F>;
    t.rows[size_t(fold)][type] = rows<Element, F>;
}

// Elements that are only moved are bits, whatever their type.
template <class S>
using Bits = Plain<
    std::conditional_t<sizeof(S) == 1, uint8_t,
                       std::conditional_t<sizeof(S) == 2, uint16_t,
                                          std::conditional_t<sizeof(S) == 4, uint32_t, uint64_t>>>>;

template <class Element, class Add, class Multiply, class Largest, class Smallest>
void enter_all(ScatterTable &t, uint8_t type) {
    using Moved = Bits<typename Element::Stored>;
    enter<std::conditional_t<std::is_same_v<Element, Bool>, Bool, Moved>, Set>(t, Fold::set, type);
    enter<Element, Add>(t, Fold::add, type);
    enter<Element, Multiply>(t, Fold::multiply, type);
    enter<Element, Largest>(t, Fold::largest, type);
    enter<Element, Smallest>(t, Fold::smallest, type);
}

ScatterTable made() {
    ScatterTable t{};
    t.add_positions[0] = add_positions<int32_t>;
    t.add_positions[1] = add_positions<int64_t>;
    // Of bools the sum is "or", the product "and".
    enter_all<Bool, AMAX_bool, AMIN_bool, AMAX_bool, AMIN_bool>(t, GI_bool);
    enter_all<Plain<uint8_t>, SUM_u8, PROD_u8, AMAX_u8, AMIN_u8>(t, GI_u8);
    enter_all<Plain<int8_t>, SUM_i8, PROD_i8, AMAX_i8, AMIN_i8>(t, GI_i8);
    enter_all<Plain<int16_t>, SUM_i16, PROD_i16, AMAX_i16, AMIN_i16>(t, GI_i16);
    enter_all<Plain<int32_t>, SUM_i32, PROD_i32, AMAX_i32, AMIN_i32>(t, GI_i32);
    enter_all<Plain<int64_t>, SUM_i64, PROD_i64, AMAX_i64, AMIN_i64>(t, GI_i64);
    enter_all<Plain<float>, SUM_f32, PROD_f32, AMAX_f32, AMIN_f32>(t, GI_f32);
    enter_all<Plain<double>, SUM_f64, PROD_f64, AMAX_f64, AMIN_f64>(t, GI_f64);
    enter_all<F16, SUM_f32, PROD_f32, AMAX_f32, AMIN_f32>(t, GI_f16);
    enter_all<BF16, SUM_f32, PROD_f32, AMAX_f32, AMIN_f32>(t, GI_bf16);
    return t;
}

} // namespace

const ScatterTable *scatter_table() {
    static const ScatterTable table = made();
    return &table;
}

} // namespace gint::GINT_SIMD_NAMESPACE
