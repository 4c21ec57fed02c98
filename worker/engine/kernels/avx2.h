/* AVX2 and FMA: 16 registers of 8 numbers. See vectors.h for what each of these does. */
#define LANES 8
#define REGISTERS 16

typedef float floats __attribute__((vector_size(4 * LANES)));
typedef int32_t ints __attribute__((vector_size(4 * LANES)));
typedef __m128i packed;
typedef long mask; /* how many: a jump is foreseen, and a masked store takes AMD's cores dozens of cycles */

INLINE mask first(long left) { return left; }

INLINE __m256i lanes(mask m) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)m), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE floats only(mask m, floats x) {
    return m >= LANES ? x : (floats)_mm256_and_ps(x, _mm256_castsi256_ps(lanes(m)));
}

INLINE packed load_packed(const uint16_t *from, mask m) {
    if (m >= LANES) return _mm_loadu_si128((const __m128i *)from);
    uint16_t some[LANES] = {0};
    for (long i = 0; i < m; i++) some[i] = from[i];
    return _mm_loadu_si128((const __m128i *)some);
}

INLINE void store_packed(uint16_t *to, mask m, packed x) {
    if (m >= LANES) _mm_storeu_si128((__m128i *)to, x);
    else for (long i = 0; i < m; i++) to[i] = ((const uint16_t *)&x)[i];
}

INLINE floats load_floats(const float *from, mask m) {
    return m >= LANES ? _mm256_loadu_ps(from) : _mm256_maskload_ps(from, lanes(m));
}

INLINE void store_floats(float *to, mask m, floats x) {
    if (m >= LANES) _mm256_storeu_ps(to, x);
    else _mm256_maskstore_ps(to, lanes(m), x);
}

INLINE ints load_ints(const uint32_t *from, mask m) { return (ints)load_floats((const float *)from, m); }

INLINE void store_ints(uint32_t *to, mask m, ints x) { store_floats((float *)to, m, (floats)x); }

INLINE ints each_int(uint32_t x) { return (ints)_mm256_set1_epi32((int)x); }

INLINE floats each(float x) { return _mm256_set1_ps(x); }

INLINE floats fused(floats a, floats b, floats c) { return _mm256_fmadd_ps(a, b, c); }

INLINE floats lesser(floats a, floats b) { return _mm256_min_ps(a, b); }

INLINE floats greater(floats a, floats b) { return _mm256_max_ps(a, b); }

INLINE floats greater_of(mask m, floats a, floats b) {
    return greater(a, m >= LANES ? b : (floats)_mm256_blendv_ps(a, b, _mm256_castsi256_ps(lanes(m))));
}

INLINE ints greater_ints(ints a, ints b) { return (ints)_mm256_max_epi32((__m256i)a, (__m256i)b); }

INLINE float sum_of(floats x) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE float greatest_of(floats x) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

INLINE int32_t greatest_int(ints x) {
    __m128i four = _mm_max_epi32(_mm256_castsi256_si128((__m256i)x), _mm256_extracti128_si256((__m256i)x, 1));
    __m128i two = _mm_max_epi32(four, _mm_shuffle_epi32(four, 0x4e));
    return _mm_cvtsi128_si32(_mm_max_epi32(two, _mm_shuffle_epi32(two, 0xb1)));
}

INLINE floats nearest(floats x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }

INLINE ints integers_of(floats x) { return (ints)_mm256_cvtps_epi32(x); }

INLINE floats floats_of(ints x) { return _mm256_cvtepi32_ps((__m256i)x); }

/* The exponent is written: n is whole, and what is below 2^-126 is zero. */
INLINE floats scaled(floats x, floats n) {
    return x * (floats)((integers_of(greater(each(-127.0f), n)) + 127) << 23);
}

INLINE ints widened(packed x) { return (ints)_mm256_cvtepu16_epi32(x); }

INLINE ints joined(packed low, packed high) { return (ints)_mm256_set_m128i(high, low); }

#define ROUGH_END 3.0773876f /* where erf_of, with this inverse, is 1 */

/* To 4e-4, and by a step of Newton's to 2e-7. */
INLINE floats inverse_of(floats x, const int rough) {
    (void)rough;
    floats inverse = _mm256_rcp_ps(x);
    return fused(inverse, _mm256_fnmadd_ps(x, inverse, each(1.0f)), inverse);
}

#define HAS_HALVES 0

INLINE packed upper(ints x) {
    __m256i moved = _mm256_srli_epi32((__m256i)x, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(moved), _mm256_extracti128_si256(moved, 1));
}

#define LEVELS 2

INLINE void store_levels(void *to, long at, long left, ints x) {
    __m256i wide = (__m256i)x;
    __m128i levels = _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
    store_packed((uint16_t *)to + at, first(left), levels);
}

/* Two vectors in one, so that of 16 registers 12 hold sums, 2 columns, and 1 or 2 what is between. */
INLINE void multiply_add(const int kind, const int n, ints sums[], const uint32_t *word, const ints columns[]) {
    ints one, product;
    if (kind == FLOATS && n == 2)
        __asm__("vpbroadcastd %3, %2; vfmadd231ps %4, %2, %0; vfmadd231ps %5, %2, %1"
                : "+x"(sums[0]), "+x"(sums[1]), "=&x"(one) : "m"(*word), "x"(columns[0]), "x"(columns[1]));
    else if (n == 2)
        __asm__("vpbroadcastd %4, %2; vpmaddwd %5, %2, %3; vpmaddwd %6, %2, %2; vpaddd %3, %0, %0; vpaddd %2, %1, %1"
                : "+x"(sums[0]), "+x"(sums[1]), "=&x"(one), "=&x"(product)
                : "m"(*word), "x"(columns[0]), "x"(columns[1]));
    else if (kind == FLOATS)
        sums[0] = (ints)fused((floats)each_int(*word), (floats)columns[0], (floats)sums[0]);
    else
        sums[0] += (ints)_mm256_madd_epi16((__m256i)each_int(*word), (__m256i)columns[0]);
}

/* 8 x 8. */
INLINE void transpose(ints rows[LANES]) {
    __m256i *r = (__m256i *)rows, t[LANES];
    for (int i = 0; i < LANES; i += 2) {
        t[i] = _mm256_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_epi32(r[i], r[i + 1]);
    }
    for (int i = 0; i < LANES; i += 4) {
        r[i] = _mm256_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm256_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm256_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm256_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        t[i] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x20);
        t[i + 4] = _mm256_permute2x128_si256(r[i], r[i + 4], 0x31);
    }
    for (int i = 0; i < LANES; i++) r[i] = t[i];
}
