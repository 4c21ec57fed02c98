/* GELU and LayerNorm: one pass over each row. */
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
