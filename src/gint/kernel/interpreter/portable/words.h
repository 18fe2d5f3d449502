/* Registers hold words; a type is how an instruction looks at one. gi_word, GI_UNPACK_T(word) and
 * GI_PACK_T(value) for every C type T of the table. Integers narrower than a word carry their bits
 * in its low end. */
#ifndef GI_WORDS_H
#define GI_WORDS_H

#if GI_WORD_BITS == 32
typedef gi_u32 gi_word;
#else
typedef gi_u64 gi_word;
#endif

#define GI_UNPACK_bool(w) ((w) != 0)
#define GI_UNPACK_uint8_t(w) ((uint8_t)(w))
#define GI_UNPACK_int8_t(w) ((int8_t)(w))
#define GI_UNPACK_int16_t(w) ((int16_t)(w))
#define GI_UNPACK_int32_t(w) ((int32_t)(w))
#define GI_UNPACK_int64_t(w) ((int64_t)(w))
#define GI_UNPACK_float(w) gi_f32_bits((gi_u32)(w))
#define GI_UNPACK_double(w) gi_f64_bits(w)

#define GI_PACK_bool(x) ((gi_word)((x) ? 1 : 0))
#define GI_PACK_uint8_t(x) ((gi_word)(uint8_t)(x))
#define GI_PACK_int8_t(x) ((gi_word)(uint8_t)(x))
#define GI_PACK_int16_t(x) ((gi_word)(uint16_t)(x))
#define GI_PACK_int32_t(x) ((gi_word)(uint32_t)(x))
#define GI_PACK_int64_t(x) ((gi_word)(x))
#define GI_PACK_float(x) ((gi_word)gi_bits_f32(x))
#define GI_PACK_double(x) gi_bits_f64(x)

#endif
