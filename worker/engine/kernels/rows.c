/* GELU and LayerNorm: one pass over each row, which may be a sum of two. */
#include "vectors.h"

/* GELU of `count` numbers; `halves`: they are bfloat16. */
void gelu(const void *x, void *out, long count, int halves) {
    for (long at = 0; at < count; at += LANES) {
        mask m = first(count - at);
        store(out, at, halves, m, gelu_of(load(x, at, halves, m), 0));
    }
}

/* Of each row. */
void layer_norm(const void *x, void *out, long rows, long width, const void *weight, const void *bias, float epsilon,
                int halves) {
    for (long row = 0; row < rows; row++) norm_row(x, NULL, out, row * width, width, weight, bias, epsilon, halves);
}

/* LayerNorm of words[word] + positions[position] of each token, all of one kind of numbers. */
void embed(const char *words, const char *positions, const int32_t *word, const int32_t *position, long tokens,
           long width, const void *weight, const void *bias, double epsilon, int halves, char *out) {
    long row = width * (halves ? 2 : 4);
    for (long token = 0; token < tokens; token++, out += row) {
        memcpy(out, words + word[token] * row, (size_t)row);
        norm_row(out, positions + position[token] * row, out, 0, width, weight, bias, (float)epsilon, halves);
    }
}
