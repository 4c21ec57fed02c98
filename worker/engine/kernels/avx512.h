/* AVX-512: 32 registers of 16 numbers. See vectors.h for what each of these does. */
#define LANES 16
#define REGISTERS 32

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef __m256i packed;
typedef __mmask16 mask;

INLINE mask first(long left) { return left >= LANES ? 0xffff : (mask)((1u << left) - 1); }

INLINE packed load_packed(const uint16_t *from, mask m) { return _mm256_maskz_loadu_epi16(m, from); }

INLINE void store_packed(uint16_t *to, mask m, packed x) { _mm256_mask_storeu_epi16(to, m, x); }

INLINE floats load_floats(const float *from, mask m) { return _mm512_maskz_loadu_ps(m, from); }

INLINE void store_floats(float *to, mask m, floats x) { _mm512_mask_storeu_ps(to, m, x); }

INLINE ints load_ints(const uint32_t *from, mask m) { return (ints)_mm512_maskz_loadu_epi32(m, from); }

INLINE void store_ints(uint32_t *to, mask m, ints x) { _mm512_mask_storeu_epi32(to, m, (__m512i)x); }

INLINE floats only(mask m, floats x) { return _mm512_maskz_mov_ps(m, x); }

INLINE ints each_int(uint32_t x) { return (ints)_mm512_set1_epi32((int)x); }

INLINE floats each(float x) { return _mm512_set1_ps(x); }

INLINE floats fused(floats a, floats b, floats c) { return _mm512_fmadd_ps(a, b, c); }

INLINE floats lesser(floats a, floats b) { return _mm512_min_ps(a, b); }

INLINE floats greater(floats a, floats b) { return _mm512_max_ps(a, b); }

INLINE floats greater_of(mask m, floats a, floats b) { return _mm512_mask_max_ps(a, m, a, b); }

INLINE ints greater_ints(ints a, ints b) { return (ints)_mm512_max_epi32((__m512i)a, (__m512i)b); }

INLINE float sum_of(floats x) { return _mm512_reduce_add_ps(x); }

INLINE float greatest_of(floats x) { return _mm512_reduce_max_ps(x); }

INLINE int32_t greatest_int(ints x) { return _mm512_reduce_max_epi32((__m512i)x); }

INLINE floats nearest(floats x) {
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

INLINE floats scaled(floats x, floats n) { return _mm512_scalef_ps(x, n); }

INLINE ints integers_of(floats x) { return (ints)_mm512_cvtps_epi32(x); }

INLINE floats floats_of(ints x) { return _mm512_cvtepi32_ps((__m512i)x); }

INLINE ints widened(packed x) { return (ints)_mm512_cvtepu16_epi32(x); }

INLINE ints joined(packed low, packed high) {
    return (ints)_mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

#define ROUGH_END 3.1f /* where erf_of, with this inverse, is 1 */

/* To 6e-5; with a step of Newton's as good as dividing, and faster. */
INLINE floats inverse_of(floats x, const int rough) {
    floats inverse = _mm512_rcp14_ps(x);
    return rough ? inverse : fused(inverse, _mm512_fnmadd_ps(x, inverse, each(1.0f)), inverse);
}

#ifdef __AVX512BF16__
#define HAS_HALVES 1

INLINE packed to_halves(floats x) { return (packed)_mm512_cvtneps_pbh(x); }
#else
#define HAS_HALVES 0

INLINE packed upper(ints x) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)x, 16)); }
#endif

#ifdef __AVX512VNNI__
#define LEVELS 4

INLINE void store_levels(void *to, long at, long left, ints x) {
    __m128i bytes = _mm_xor_si128(_mm512_cvtsepi32_epi8((__m512i)x), _mm_set1_epi8((char)ZERO));
    if (left >= LANES) _mm_storeu_si128((__m128i *)((uint8_t *)to + at), bytes);
    else _mm_mask_storeu_epi8((uint8_t *)to + at, first(left), bytes);
}
#else
#define LEVELS 2

INLINE void store_levels(void *to, long at, long left, ints x) {
    store_packed((uint16_t *)to + at, first(left), _mm512_cvtsepi32_epi16((__m512i)x));
}
#endif

INLINE void multiply_one(const int kind, ints *sum, ints a, ints b) {
    if (kind == FLOATS) __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#if HAS_HALVES
    if (kind == HALVES) __asm__("vdpbf16ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#endif
#if LEVELS == 4
    if (kind == INTEGERS) __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
#else
    if (kind == INTEGERS) *sum += (ints)_mm512_madd_epi16((__m512i)a, (__m512i)b);
#endif
}

INLINE void multiply_add(const int kind, const int n, ints sums[], const uint32_t *word, const ints columns[]) {
    ints one = each_int(*word);
#pragma GCC unroll 8
    for (int c = 0; c < n; c++) multiply_one(kind, &sums[c], one, columns[c]);
}

/* 16 x 16. */
INLINE void transpose(ints rows[LANES]) {
    __m512i *r = (__m512i *)rows, t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0x88);
        t[i + 4] = _mm512_shuffle_i32x4(r[i], r[i + 4], 0xdd);
        t[i + 8] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0x88);
        t[i + 12] = _mm512_shuffle_i32x4(r[i + 8], r[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        r[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
        r[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
        r[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
        r[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
    }
}
