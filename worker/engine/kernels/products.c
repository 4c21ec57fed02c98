/* Linear layers: products of rows and weights with what follows them, some rows at a time, so that all of it stays in
 * the cache.
 *
 * One loop for three kinds of numbers, since both sides are words of 32 bits: a word of a row times as many vectors of
 * weights as there are registers for sums. What a row gives depends on no other row, to the last bit: its products are
 * added up in the same order wherever it lies.
 */
#include "products.h"

#define ROWS 6        /* of a tile: 24 vectors of sums, 4 of weights and one of a row, of 32 registers; or 12, 2 and 1 */
#define STEPS 4       /* at once: a core whose twin is busy has no time left for counting (Intel) */
#define DEPTH 384     /* words of a row at a time: their weights in one tile's columns are 96 KiB, or 24 */
#define MOST_ROWS 192 /* at a time: weights that come from memory are then worth their way */

/* sum[ROWS, COLUMNS] += one word of each row, times its vectors of weights. */
INLINE void step(const int kind, const uint32_t *const left[ROWS], long word, const uint32_t *weights,
                 ints sum[ROWS][VECTORS]) {
    ints columns[VECTORS];
#pragma GCC unroll 8
    for (int c = 0; c < VECTORS; c++) columns[c] = ints_at(weights + c * LANES);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) multiply_add(kind, VECTORS, sum[r], left[r] + word, columns);
}

/* sums[ROWS, COLUMNS] = begin + x[rows, words] weights[words, COLUMNS]; where rows are fewer, the last one again. */
INLINE void tile(const int kind, const uint32_t *x, long row, long rows, const uint32_t *weights, long words,
                 const int32_t *begin, long begin_row, int32_t *sums) {
    ints sum[ROWS][VECTORS];
    const uint32_t *left[ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++) {
        left[r] = x + (r < rows ? r : rows - 1) * row;
#pragma GCC unroll 8
        for (int c = 0; c < VECTORS; c++) sum[r][c] = ints_at(begin + r * begin_row + c * LANES);
    }
    long word = 0;
    for (; word + STEPS <= words; word += STEPS)
#pragma GCC unroll 8
        for (int ahead = 0; ahead < STEPS; ahead++)
            step(kind, left, word + ahead, weights + (word + ahead) * COLUMNS, sum);
    for (; word < words; word++) step(kind, left, word, weights + word * COLUMNS, sum);
#pragma GCC unroll 8
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 8
        for (int c = 0; c < VECTORS; c++) put_ints(sums + r * COLUMNS + c * LANES, sum[r][c]);
}

/* A vector of a row's sums, to its numbers. */
INLINE floats finished(const int kind, const int with_gelu, const layer *l, ints sum, long column, floats scale) {
    floats y = (floats)sum;
    if (kind == INTEGERS) {
        y = floats_of(sum) * (scale * floats_at(l->scales + column)) + floats_at(l->bias + column);
    }
    return with_gelu ? gelu_of(y, kind != FLOATS) : y;
}

/* The sums of one row in one panel, to its numbers at `out`. */
INLINE void finish(const int kind, const int with_gelu, const layer *l, const int32_t *sums, long column, float scale,
                   void *out) {
    floats scales = each(scale);
    for (long at = 0; at < COLUMNS && column + at < l->out; at += LANES) {
        floats y = finished(kind, with_gelu, l, ints_at(sums + at), column + at, scales);
        long left = l->out - column - at;
        /* A mask costs time, even a full one. */
        if (left >= LANES) store_whole(out, column + at, l->halves_out, y);
        else store(out, column + at, l->halves_out, first(left), y);
    }
}

/* out[rows, out], GELU of it if wanted, from x[rows, words]; `scales` are those of rows of integers. */
INLINE void product(const int kind, const int with_gelu, const layer *l, const void *x, const float *scales, long rows,
                    void *out) {
    int32_t sums[(MOST_ROWS + ROWS) * COLUMNS] __attribute__((aligned(64)));
    long words = words_in(l), again = words > DEPTH;
    for (long column = 0; column < l->out; column += COLUMNS)
        for (long from = 0; from < words; from += DEPTH) {
            long depth = words - from < DEPTH ? words - from : DEPTH;
            const uint32_t *weights = l->weights + column * words + from * COLUMNS;
            for (long r = 0; r < rows; r += ROWS) {
                int32_t *place = again ? sums + r * COLUMNS : sums;
                tile(kind, (const uint32_t *)x + r * words + from, words, rows - r, weights, depth,
                     from ? place : l->begin + column, from ? COLUMNS : 0, place);
                if (from + depth < words) continue;
                for (long i = 0; i < ROWS && r + i < rows; i++)
                    finish(kind, with_gelu, l, place + i * COLUMNS, column, scales[r + i],
                           (char *)out + (r + i) * l->out * size_of(l->halves_out));
            }
        }
}

static void multiply(const layer *l, const void *x, const float *scales, long rows, void *out) {
    if (l->kind == FLOATS) product(FLOATS, 0, l, x, scales, rows, out);
    else if (HAS_HALVES && l->kind == HALVES) product(HALVES, 0, l, x, scales, rows, out);
    else product(INTEGERS, 0, l, x, scales, rows, out);
}

static void multiply_gelu(const layer *l, const void *x, const float *scales, long rows, void *out) {
    if (l->kind == FLOATS) product(FLOATS, 1, l, x, scales, rows, out);
    else if (HAS_HALVES && l->kind == HALVES) product(HALVES, 1, l, x, scales, rows, out);
    else product(INTEGERS, 1, l, x, scales, rows, out);
}

/* The greatest of the absolute values, as bits: as integers, infinity is greater than any number, and NaN than that. */
INLINE float greatest(const void *x, long start, long width, const int halves) {
    ints most = each_int(0);
    for (long at = 0; at < width; at += LANES)
        most = greater_ints(most, (ints)load(x, start + at, halves, first(width - at)) & 0x7fffffff);
    int32_t bits = greatest_int(most);
    float found;
    memcpy(&found, &bits, sizeof found);
    return found;
}

/* Each row as integers of 8 bits, as store_levels has them, in `stride` bytes; and the scale of each row. */
INLINE void quantize(const void *x, long rows, long width, const int halves, uint8_t *levels, long stride,
                     float *scales) {
    for (long row = 0, start = 0; row < rows; row++, start += width, levels += stride) {
        scales[row] = greatest(x, start, width, halves) / 127.0f; /* 0 makes any levels zeros again */
        floats inverse = each(1.0f / scales[row]);
        for (long at = 0; at < width; at += LANES) {
            floats one = load(x, start + at, halves, first(width - at));
            store_levels(levels, at, width - at, integers_of(one * inverse));
        }
    }
}

/* The numbers of some rows as a layer takes them: as they are, or as integers, written to `levels`. */
INLINE const void *taken(const layer *l, const void *x, long rows, uint8_t *levels, float *scales) {
    if (l->kind != INTEGERS) return x;
    if (l->halves_in) quantize(x, rows, l->in, 1, levels, 4 * words_in(l), scales);
    else quantize(x, rows, l->in, 0, levels, 4 * words_in(l), scales);
    return levels;
}

/* A thread's memory for some rows: as integers, and between two layers. */
typedef struct { uint8_t *levels; char *middle; } room;

INLINE long levels_of(const layer *l) { return l ? whole(MOST_ROWS * words_in(l)) * 4 : 0; }

INLINE long most(long a, long b) { return a > b ? a : b; }

INLINE room divided(const layer *up, const layer *last, char *memory) {
    return (room){(uint8_t *)memory, memory + most(levels_of(up), levels_of(last))};
}

long linear_memory(const layer *up, const layer *last) {
    return most(levels_of(up), levels_of(last)) + (up ? whole(MOST_ROWS * up->out) * size_of(up->halves_out) : 0);
}

void linear(const layer *up, const layer *last, const norm *n, const char *x, long rows, char *out, char *memory) {
    const layer *entry = up ? up : last;
    room between = divided(up, last, memory);
    float scales[MOST_ROWS];
    for (long from = 0, some; from < rows; from += some) {
        some = rows - from < MOST_ROWS ? rows - from : MOST_ROWS;
        const char *given = x + from * entry->in * size_of(entry->halves_in);
        const char *residual = n ? n->residual + from * last->out * size_of(last->halves_out) : NULL;
        char *place = out + from * last->out * size_of(last->halves_out);
        if (up) multiply_gelu(up, taken(up, given, some, between.levels, scales), scales, some, between.middle);
        multiply(last, taken(last, up ? between.middle : given, some, between.levels, scales), scales, some, place);
        for (long row = 0; n && row < some; row++)
            norm_row(place, residual, place, row * last->out, last->out, n->weight, n->bias, (float)n->epsilon,
                     last->halves_out);
    }
}

void each_of(const layer *const layers[], long count, const char *x, long rows, char *const outs[], char *memory) {
    float scales[MOST_ROWS];
    for (long from = 0, some; from < rows; from += some) {
        some = rows - from < MOST_ROWS ? rows - from : MOST_ROWS;
        const char *given = x + from * layers[0]->in * size_of(layers[0]->halves_in);
        const void *rows_taken = taken(layers[0], given, some, (uint8_t *)memory, scales);
        for (long one = 0; one < count; one++)
            multiply(layers[one], rows_taken, scales, some,
                     outs[one] + from * layers[one]->out * size_of(layers[one]->halves_out));
    }
}

/* Whether this CPU multiplies numbers of a kind as words. */
int has_kind(long kind) { return kind != HALVES || HAS_HALVES; }

/* What a layer has to know of this CPU: the columns of a panel, and how many integers are a word of weights. */
int panel_columns(void) { return COLUMNS; }

int levels_in_word(void) { return LEVELS; }
