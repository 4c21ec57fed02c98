/* Query, key and value of tokens whose numbers are the norm of a sum, a word's and a position's: each has its share of
 * them in a table, since what is linear in the sum is the sum of what it is of either. See lookup.py.
 */
#pragma once
#include "vectors.h"

/* A row: shares of query, key and value, `inner` numbers each; then the word's or position's own `width` numbers, their
 * mean taken away; and zeros up to a whole vector. */
typedef struct {
    const char *words, *positions; /* [words or positions, row] */
    const float *begin;            /* [3 inner] what does not depend on the token */
    long inner, width, row, halves;
    double epsilon;
} lookup;

/* Tokens, by the rows of either table. */
typedef struct { const lookup *table; const int32_t *words, *positions; } looked_up;

/* Of `count` tokens from `token` on, to three times [count, inner]. */
void look_up(const looked_up *found, long token, long count, char *const outs[]);
