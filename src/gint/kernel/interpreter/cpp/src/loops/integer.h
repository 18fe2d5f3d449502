// Integer arithmetic with the results of eager torch on CPU, for int8, int16, int32, int64 and
// uint8.
//
// Everything wraps; nothing here is undefined for any operands. Division by zero sets
// GI_DIVISION_BY_ZERO in `error` and yields 0; pass a local variable, so that a loop keeps it in a
// register. Function templates are static: units built for different instruction sets share none of
// them.
#pragma once

#include <bit>
#include <cstdint>
#include <type_traits>

#include "isa.inc"

#define GI_INT template <class T> [[gnu::always_inline, maybe_unused]] static inline

// Arithmetic happens in an unsigned type at least as wide as int, so that no promotion makes it
// signed again.
template <class T> using gi_unsigned = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

template <class T> inline constexpr int gi_width = 8 * sizeof(T);

GI_INT T gi_add(T a, T b) { return T(gi_unsigned<T>(a) + gi_unsigned<T>(b)); }
GI_INT T gi_sub(T a, T b) { return T(gi_unsigned<T>(a) - gi_unsigned<T>(b)); }
GI_INT T gi_mul(T a, T b) { return T(gi_unsigned<T>(a) * gi_unsigned<T>(b)); }
GI_INT T gi_neg(T a) { return T(0 - gi_unsigned<T>(a)); }
GI_INT T gi_abs(T a) { return a < 0 ? gi_neg(a) : a; }
GI_INT bool gi_signs_differ(T a, T b) { return (a ^ b) < 0; }
GI_INT T gi_sign(T a) { return T((a > 0) - (a < 0)); }

// Counts outside 0 .. width - 1 (negative ones too) shift everything out: 0, or the sign for right
// shifts.
GI_INT T gi_shl(T a, T count) {
    bool out = count < 0 || count >= gi_width<T>;
    T shifted = T(gi_unsigned<T>(a) << (out ? 0 : int(count)));
    return out ? T(0) : shifted;
}
GI_INT T gi_shr(T a, T count) {
    bool out = count < 0 || count >= gi_width<T>;
    T shifted = T(a >> (out ? gi_width<T> - 1 : int(count)));
    return out && !std::is_signed_v<T> ? T(0) : shifted;
}

// a / b towards zero for b other than 0 and -1. The quotient of two integers that a float holds
// exactly is never rounded across a whole number, and float division vectorises.
GI_INT T gi_plain_quotient(T a, T b) {
    if constexpr (sizeof(T) <= 2)
        return T(int32_t(float(a) / float(b)));
    else if constexpr (sizeof(T) == 4)
        return T(int32_t(double(a) / double(b)));
    else
        return T(a / b);
}

// The same for integers of at most 51 bits, by a division of doubles, which vectorises. Adding 1.5
// * 2^52 is the conversion: few sets have an instruction for it. Longer ones wrap, and are not
// used.
GI_INT T gi_is_long(T a) { return (a < -(T(1) << 51)) | (a >= (T(1) << 51)); }
GI_INT double gi_double_of_short(T a) {
    const uint64_t sum = uint64_t(a) + std::bit_cast<uint64_t>(0x1.8p52);
    return std::bit_cast<double>(sum) - 0x1.8p52;
}
GI_INT T gi_short_quotient(T a, T b) {
    const double quotient = __builtin_trunc(gi_double_of_short(a) / gi_double_of_short(b));
    return T(std::bit_cast<uint64_t>(quotient + 0x1.8p52) - std::bit_cast<uint64_t>(0x1.8p52));
}

#define GI_INT_BY_QUOTIENT                                                                         \
    template <class T, T (*QUOTIENT)(T, T) = gi_plain_quotient<T>>                                 \
    [[gnu::always_inline, maybe_unused]] static inline

// Towards zero; the smallest integer / -1 wraps to itself.
GI_INT_BY_QUOTIENT T gi_trunc_div(T a, T b, int &error) {
    error |= (b == 0) * GI_DIVISION_BY_ZERO;
    bool flip = std::is_signed_v<T> && b == T(-1);
    T quotient = QUOTIENT(a, b == 0 || flip ? T(1) : b);
    quotient = flip ? gi_neg(a) : quotient;
    return b == 0 ? T(0) : quotient;
}

// a - b * trunc(a / b), with the sign of a; 0 for b = 0
GI_INT_BY_QUOTIENT T gi_fmod(T a, T b, int &error) {
    T rest = gi_sub(a, gi_mul(b, gi_trunc_div<T, QUOTIENT>(a, b, error)));
    return T(rest & -T(b != 0)); // (a choice would be made of jumps)
}

// Towards minus infinity.
GI_INT_BY_QUOTIENT T gi_floor_div(T a, T b, int &error) {
    T quotient = gi_trunc_div<T, QUOTIENT>(a, b, error);
    T rest = gi_sub(a, gi_mul(b, quotient));
    bool below = (b != 0) & (rest != 0) & gi_signs_differ(rest, b);
    return gi_sub(quotient, T(below));
}

// With the sign of b, as Python's %.
GI_INT_BY_QUOTIENT T gi_remainder(T a, T b, int &error) {
    T rest = gi_fmod<T, QUOTIENT>(a, b, error);
    bool other = (rest != 0) & gi_signs_differ(rest, b);
    return gi_add(rest, other ? b : T(0));
}

// Repeated multiplication. Negative exponents: 1 and -1 have powers, everything else (0 too) gives
// 0.
GI_INT T gi_ipow(T base, T exponent) {
    if constexpr (sizeof(T) == 1) { // without a jump, for vectors
        T power = 1, factor = base;
        for (int bit = 0; bit < 8; bit++) {
            const T both = T(uint16_t(power) * uint16_t(factor));
            power = exponent >> bit & 1 ? both : power;
            factor = T(uint16_t(factor) * uint16_t(factor));
        }
        const T sign = exponent & 1 ? base : T(1);
        const T of_unit = base == T(1) || base == T(-1) ? sign : T(0);
        return std::is_signed_v<T> && exponent < 0 ? of_unit : power;
    }
    if (exponent < 0) return base == 1 ? T(1) : base == T(-1) ? T(exponent & 1 ? -1 : 1) : T(0);
    T power = 1;
    for (; exponent != 0; exponent = T(exponent >> 1)) {
        if (exponent & 1) power = gi_mul(power, base);
        base = gi_mul(base, base);
    }
    return power;
}

#undef GI_INT_BY_QUOTIENT
#undef GI_INT
