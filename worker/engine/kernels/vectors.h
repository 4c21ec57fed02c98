/* What all kernels share: vectors of 16 numbers, float32 in registers and float32 or bfloat16 in memory; for AVX-512.
 *
 * A number that is not finite makes what is computed from it not finite, and nothing else: every loop is written so,
 * and tests hold it to that. Nothing here keeps state; rows and texts do not depend on their neighbours.
 */
#pragma once
#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define LANES 16

typedef __m512 floats;

INLINE __mmask16 first(long left) { return left >= LANES ? 0xffff : (__mmask16)((1u << left) - 1); }

INLINE long whole(long numbers) { return (numbers + LANES - 1) / LANES * LANES; }

INLINE floats load_halves(const uint16_t *from, __mmask16 mask) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

/* Round to nearest, ties to even; a NaN keeps its upper bits, of which one is set. */
INLINE __m256i to_halves(floats x) {
#ifdef __AVX512BF16__
    return (__m256i)_mm512_cvtneps_pbh(x);
#else
    __m512i bits = _mm512_castps_si512(x);
    __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(even, _mm512_set1_epi32(0x7fff)));
    __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
#endif
}

INLINE floats load(const void *from, long at, int halves, __mmask16 mask) {
    if (halves) return load_halves((const uint16_t *)from + at, mask);
    return _mm512_maskz_loadu_ps(mask, (const float *)from + at);
}

INLINE void store(void *to, long at, int halves, __mmask16 mask, floats x) {
    if (halves) _mm256_mask_storeu_epi16((uint16_t *)to + at, mask, to_halves(x));
    else _mm512_mask_storeu_ps((float *)to + at, mask, x);
}

INLINE void store_whole(void *to, long at, int halves, floats x) {
    if (halves) _mm256_storeu_si256((__m256i *)((uint16_t *)to + at), to_halves(x));
    else _mm512_storeu_ps((float *)to + at, x);
}

/* z p(z^2) / q(z^2), that is erf(z): as Eigen and XLA have it, to 4e-7 of it, or `rough`, to 1e-3 and less. */
INLINE floats erf_of(floats z, const int rough) {
    floats s = _mm512_mul_ps(z, z), p, q;
    if (rough) {
        p = _mm512_fmadd_ps(_mm512_set1_ps(3.362614e-02f), s, _mm512_set1_ps(2.5410886e-01f));
        p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(1.12713264f));
        q = _mm512_fmadd_ps(_mm512_set1_ps(3.51949e-03f), s, _mm512_set1_ps(1.2179811e-01f));
        q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(5.5353721e-01f));
        q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(1.0f));
        return _mm512_mul_ps(_mm512_mul_ps(z, p), _mm512_rcp14_ps(q));
    }
    p = _mm512_set1_ps(-2.72614225801306e-10f);
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(2.77068142495902e-08f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-2.10102402082508e-06f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-5.69250639462346e-05f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-7.34990630326855e-04f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-2.95459980854025e-03f));
    p = _mm512_fmadd_ps(p, s, _mm512_set1_ps(-1.60960333262415e-02f));
    q = _mm512_set1_ps(-1.45660718464996e-05f);
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-2.13374055278905e-04f));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-1.68282697438203e-03f));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-7.37332916720468e-03f));
    q = _mm512_fmadd_ps(q, s, _mm512_set1_ps(-1.42647390514189e-02f));
    floats inverse = _mm512_rcp14_ps(q); /* to 6e-5; with Newton's step as good as dividing, and faster */
    inverse = _mm512_fmadd_ps(inverse, _mm512_fnmadd_ps(q, inverse, _mm512_set1_ps(1.0f)), inverse);
    return _mm512_mul_ps(_mm512_mul_ps(z, p), inverse);
}

/* x (1 + erf(x / sqrt 2)) / 2; `rough`, to 1e-4 up to 6, and to 3e-7 of x beyond. */
INLINE floats gelu_of(floats x, const int rough) {
    floats z = _mm512_mul_ps(x, _mm512_set1_ps(0.70710678118654752f)), most = _mm512_set1_ps(rough ? 3.1f : 4.0f);
    /* Of two operands of which one is NaN, these give the second. */
    z = _mm512_min_ps(most, _mm512_max_ps(_mm512_sub_ps(_mm512_setzero_ps(), most), z));
    floats half = _mm512_mul_ps(x, _mm512_set1_ps(0.5f));
    return _mm512_fmadd_ps(half, erf_of(z, rough), half);
}

/* Numbers in words of 32 bits: one float32, two bfloat16 or four bytes. */
enum { FLOATS, HALVES, BYTES };

/* Adds to each lane the product of two words, or the sum of those of their parts: bytes without sign times bytes with
 * one. Written out since compilers copy sums to and fro between registers, or to memory, at half the speed. */
INLINE void multiply_add(const int kind, __m512i *sum, __m512i a, __m512i b) {
    if (kind == FLOATS) __asm__("vfmadd231ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
    else if (kind == HALVES) __asm__("vdpbf16ps %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
    else __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
}

/* (x - mean) / sqrt(variance + epsilon) times weight, plus bias, of a row of one kind of numbers; with `added`, of
 * out + `added`, and x is out. */
INLINE void norm_row(const void *x, const void *added, void *out, long start, long width, const void *weight,
                     const void *bias, float epsilon, int halves) {
    floats sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (long at = 0; at < width; at += LANES) {
        __mmask16 mask = first(width - at);
        floats one = load(x, start + at, halves, mask);
        if (added) one = _mm512_add_ps(one, load(added, start + at, halves, mask));
        if (added) store(out, start + at, halves, mask, one);
        sum = _mm512_add_ps(sum, one);
    }
    floats mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / (float)width);
    for (long at = 0; at < width; at += LANES) {
        __mmask16 mask = first(width - at);
        floats off = _mm512_maskz_sub_ps(mask, load(x, start + at, halves, mask), mean);
        squares = _mm512_fmadd_ps(off, off, squares);
    }
    float variance = _mm512_reduce_add_ps(squares) / (float)width;
    floats scale = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_sqrt_ps(_mm512_set1_ps(variance + epsilon)));
    for (long at = 0; at < width; at += LANES) {
        __mmask16 mask = first(width - at);
        floats unit = _mm512_mul_ps(_mm512_sub_ps(load(x, start + at, halves, mask), mean), scale);
        floats scaled = _mm512_mul_ps(unit, load(weight, at, halves, mask));
        store(out, start + at, halves, mask, _mm512_add_ps(scaled, load(bias, at, halves, mask)));
    }
}
