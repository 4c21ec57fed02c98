/* Attention inside each of many texts that lie end to end. */
#pragma once
#include "vectors.h"

/* Softmax(scale Q K') V inside each text: `runs` are (first token, texts, tokens in each). `strides` are those of
 * query, key and value, from token to token and from head to head. `width` is even. Gives [tokens, heads, width].
 * `halves_in`: numbers are bfloat16, which asks for `pairs`: products take two neighbours in bfloat16 at once.
 * `first_only`: of each text only the first token asks, so that there is one query, and one row of `out`, for each. */
void attention(const void *q, const void *k, const void *v, void *out, const long *strides, long heads, long width,
               const long *runs, long count, float scale, int halves_in, int pairs, int first_only,
               char *memory);

/* Bytes of memory that it wants, aligned as vectors are, by the longest text. */
long attention_memory(long width, long longest);

INLINE long longest_of(const long *runs, long count) {
    long longest = 0;
    for (long run = 0; run < count; run++) longest = runs[3 * run + 2] > longest ? runs[3 * run + 2] : longest;
    return longest;
}
