/* The first layer's query, key and value without a product. */
#include "lookup.h"

/* 1 / sqrt(variance + epsilon) of a sum, by the numbers behind the shares. */
INLINE float scale_of(const lookup *t, const char *word, const char *position, const int halves) {
    floats squares = each(0.0f);
    for (long at = 3 * t->inner; at < t->row; at += LANES) {
        floats sum = load(word, at, halves, first(LANES)) + load(position, at, halves, first(LANES));
        squares = fused(sum, sum, squares);
    }
    return 1.0f / __builtin_sqrtf(sum_of(squares) / (float)t->width + (float)t->epsilon);
}

INLINE void one_token(const int halves, const lookup *t, const char *word, const char *position, long row,
                      char *const outs[]) {
    floats scale = each(scale_of(t, word, position, halves));
    for (long part = 0; part < 3; part++)
        for (long at = 0, from = part * t->inner; at < t->inner; at += LANES, from += LANES) {
            mask m = first(t->inner - at);
            floats sum = load(word, from, halves, m) + load(position, from, halves, m);
            store(outs[part], row * t->inner + at, halves, m, fused(sum, scale, load(t->begin, from, 0, m)));
        }
}

void look_up(const looked_up *found, long token, long count, char *const outs[]) {
    const lookup *t = found->table;
    long row = t->row * (t->halves ? 2 : 4);
    for (long i = 0; i < count; i++) {
        const char *word = t->words + found->words[token + i] * row;
        const char *position = t->positions + found->positions[token + i] * row;
        if (t->halves) one_token(1, t, word, position, i, outs);
        else one_token(0, t, word, position, i, outs);
    }
}
