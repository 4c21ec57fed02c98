/* Linear layers, and what may follow them. */
#pragma once
#include "vectors.h"

#define VECTORS (REGISTERS == 32 ? 4 : 2) /* of a panel */
#define COLUMNS (VECTORS * LANES)

typedef struct {
    long kind, in, out;         /* FLOATS, HALVES or INTEGERS; numbers in a row before and after */
    const uint32_t *weights;    /* [panels, words, COLUMNS], filled up with zeros */
    const int32_t *begin;       /* [columns] what sums begin with: the bias; of integers, what their zero takes */
    const float *scales, *bias; /* [columns], of integers only: what a sum is multiplied with, and the bias */
    long halves_in, halves_out; /* whether numbers come and go in bfloat16, else in float32 */
} layer;

/* Added to what comes out, [rows, out]; then LayerNorm. */
typedef struct { const char *residual; const void *weight, *bias; double epsilon; } norm;

INLINE long words_in(const layer *l) {
    return l->kind == FLOATS ? l->in : l->kind == HALVES ? l->in / 2 : (l->in + LEVELS - 1) / LEVELS;
}

INLINE long size_of(long halves) { return halves ? 2 : 4; }

/* x[rows, in] through a layer and GELU, unless there is none, through the last layer, and the norm, if any, to
 * out[rows, out]. What lies between is never in memory as a whole: `memory` has room for some rows of it. */
void linear(const layer *up, const layer *last, const norm *n, const char *x, long rows, char *out, char *memory);

/* Bytes of memory that `linear` wants, aligned as vectors are; with NULL and a layer, what `each_of` wants. */
long linear_memory(const layer *up, const layer *last);

/* The same x[rows, in] through each of some layers of one kind, to its own out[rows, out]. */
void each_of(const layer *const layers[], long count, const char *x, long rows, char *const outs[], char *memory);
