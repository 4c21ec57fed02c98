/* What all kernels share: vectors of numbers, float32 in registers and float32 or bfloat16 in memory.
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

/* Numbers in words of 32 bits: one float32, two bfloat16, or LEVELS integers of 8 bits: four bytes where the CPU
 * multiplies those, else two of 16 bits. */
enum { FLOATS, HALVES, INTEGERS };
#define ZERO 0x80 /* Bytes are around it, since the instruction takes those of rows without a sign. */

/* Each CPU's header has LANES and REGISTERS, what kinds it HAS_HALVES and LEVELS for, and these:
 *
 * types       floats and ints of LANES, packed (LANES numbers of 16 bits), mask (so many of the first lanes)
 * memory      first(left), load_*, store_*: under a mask; lanes that are not loaded are 0, as they are in only()
 * a number    each, each_int: in every lane
 * lanes       fused(a, b, c) = a b + c, rounded once; lesser, greater(a, b): b where one is NaN; greater_of: a where
 *             masked; nearest: to whole numbers, ties to even; scaled(x, n) = x 2^n; inverse_of
 * across      sum_of, greatest_of, greatest_int
 * kinds       integers_of, floats_of: by value; to_halves: to nearest, ties to even, or upper: the upper 16 bits;
 *             widened: with zeros above; joined: low lanes and high; store_levels: integers as rows have them
 * words       multiply_add(kind, n, sums, word, columns): adds to each lane of n vectors the product of the word and
 *             that of the column, or the sum of those of their parts; written out since compilers copy sums to and fro
 *             between registers, or to memory, at half the speed; transpose: LANES x LANES, rows to columns
 */
#ifdef __AVX512F__
#include "avx512.h"
#else
#include "avx2.h"
#endif

#if !HAS_HALVES
/* A NaN stays one: the CPU's own, and what was bfloat16, have nothing in their lower bits that could carry over. */
INLINE packed to_halves(floats x) {
    ints bits = (ints)x;
    return upper(bits + ((bits >> 16 & 1) + 0x7fff));
}
#endif

INLINE long whole(long numbers) { return (numbers + LANES - 1) / LANES * LANES; }

INLINE ints ints_at(const void *from) { return *(const ints *)from; }

INLINE floats floats_at(const void *from) { return *(const floats *)from; }

INLINE void put_ints(void *to, ints x) { *(ints *)to = x; }

INLINE floats load(const void *from, long at, int halves, mask m) {
    if (halves) return (floats)(widened(load_packed((const uint16_t *)from + at, m)) << 16);
    return load_floats((const float *)from + at, m);
}

INLINE void store(void *to, long at, int halves, mask m, floats x) {
    if (halves) store_packed((uint16_t *)to + at, m, to_halves(x));
    else store_floats((float *)to + at, m, x);
}

INLINE void store_whole(void *to, long at, int halves, floats x) {
    if (halves) { packed half = to_halves(x); memcpy((uint16_t *)to + at, &half, sizeof half); }
    else memcpy((float *)to + at, &x, sizeof x);
}

/* z p(z^2) / q(z^2), that is erf(z): as Eigen and XLA have it, to 4e-7 of it, or `rough`, to 1e-3 and less. */
INLINE floats erf_of(floats z, const int rough) {
    floats s = z * z, p, q;
    if (rough) {
        p = fused(each(3.362614e-02f), s, each(2.5410886e-01f));
        p = fused(p, s, each(1.12713264f));
        q = fused(each(3.51949e-03f), s, each(1.2179811e-01f));
        q = fused(q, s, each(5.5353721e-01f));
        q = fused(q, s, each(1.0f));
    } else {
        p = each(-2.72614225801306e-10f);
        p = fused(p, s, each(2.77068142495902e-08f));
        p = fused(p, s, each(-2.10102402082508e-06f));
        p = fused(p, s, each(-5.69250639462346e-05f));
        p = fused(p, s, each(-7.34990630326855e-04f));
        p = fused(p, s, each(-2.95459980854025e-03f));
        p = fused(p, s, each(-1.60960333262415e-02f));
        q = each(-1.45660718464996e-05f);
        q = fused(q, s, each(-2.13374055278905e-04f));
        q = fused(q, s, each(-1.68282697438203e-03f));
        q = fused(q, s, each(-7.37332916720468e-03f));
        q = fused(q, s, each(-1.42647390514189e-02f));
    }
    return z * p * inverse_of(q, rough);
}

/* x (1 + erf(x / sqrt 2)) / 2; `rough`, to 1e-4 up to 6, and to 3e-7 of x beyond. */
INLINE floats gelu_of(floats x, const int rough) {
    floats z = x * each(0.70710678118654752f), most = each(rough ? ROUGH_END : 4.0f);
    z = lesser(most, greater(-most, z));
    floats half = x * each(0.5f);
    return fused(half, erf_of(z, rough), half);
}

/* (x - mean) / sqrt(variance + epsilon) times weight, plus bias, of a row of one kind of numbers; with `added`, of
 * out + `added`, and x is out. */
INLINE void norm_row(const void *x, const void *added, void *out, long start, long width, const void *weight,
                     const void *bias, float epsilon, int halves) {
    floats sum = each(0.0f), squares = each(0.0f);
    for (long at = 0; at < width; at += LANES) {
        mask m = first(width - at);
        floats one = load(x, start + at, halves, m);
        if (added) one += load(added, start + at, halves, m);
        if (added) store(out, start + at, halves, m, one);
        sum += one;
    }
    floats mean = each(sum_of(sum) / (float)width);
    for (long at = 0; at < width; at += LANES) {
        mask m = first(width - at);
        floats off = only(m, load(x, start + at, halves, m) - mean);
        squares = fused(off, off, squares);
    }
    floats scale = each(1.0f / __builtin_sqrtf(sum_of(squares) / (float)width + epsilon));
    for (long at = 0; at < width; at += LANES) {
        mask m = first(width - at);
        floats unit = (load(x, start + at, halves, m) - mean) * scale;
        store(out, start + at, halves, m, unit * load(weight, at, halves, m) + load(bias, at, halves, m));
    }
}
