/* Attention inside each of many texts that lie end to end: the scores of a few rows at a time stay in the cache. */
#include "attention.h"

/* 2^x = 2^n 2^r, n the nearest integer, and Taylor's series of 2^r: to 2e-7 of it, or `rough`, to 5e-5. */
INLINE floats power_of_two(floats x, int rough) {
    floats n = nearest(x), r = x - n, p = each(9.618129108e-3f);
    if (!rough) {
        p = fused(each(1.540353039e-4f), r, each(1.333355815e-3f));
        p = fused(p, r, each(9.618129108e-3f));
    }
    p = fused(p, r, each(5.550410866e-2f));
    p = fused(p, r, each(2.402265070e-1f));
    p = fused(p, r, each(6.931471806e-1f));
    p = fused(p, r, each(1.0f));
    return scaled(p, n);
}

#define ROWS (REGISTERS == 32 ? 8 : 6) /* with two vectors of sums each */

/* Where [tokens, heads, width] lies: numbers from token to token, and from head to head. */
typedef struct { const void *at; long token, head; } states;

typedef struct {
    long length, width;
    long padded, columns, words; /* length and width up to whole vectors; words of 32 bits in a row of keys */
    int halves_in, pairs;        /* numbers are bfloat16; products take pairs of bfloat16 */
    float scale;
    uint32_t *keys, *values, *query, *shares; /* keys [words, padded], values [padded or half of it, columns] */
    float *scores;                            /* [ROWS, padded] */
} text;

/* Queries of a text, by their rows. */
typedef struct { long from, count; } asked;

INLINE const void *row_of(const states *s, long token, long head, int halves) {
    long at = token * s->token + head * s->head;
    return halves ? (const void *)((const uint16_t *)s->at + at) : (const void *)((const float *)s->at + at);
}

INLINE ints pair(packed low, packed high) { return widened(low) | widened(high) << 16; }

/* Words of a token's row, from word `at` on: floats, or pairs of neighbours in bfloat16. */
INLINE ints words_of(const text *t, const states *s, long token, long head, long at) {
    const void *row = row_of(s, token, head, t->halves_in);
    if (!t->pairs || t->halves_in) return load_ints((const uint32_t *)row + at, first(t->words - at));
    long left = 2 * (t->words - at);
    const float *from = (const float *)row + 2 * at;
    packed low = to_halves(load_floats(from, first(left)));
    packed high = {0};
    if (left > LANES) high = to_halves(load_floats(from + LANES, first(left - LANES)));
    return joined(low, high);
}

INLINE void pack_keys(const text *t, const states *k, long token, long head) {
    for (long at = 0; at < t->words; at += LANES)
        for (long j = 0; j < t->padded; j += LANES) {
            ints block[LANES];
            for (long i = 0; i < LANES; i++)
                block[i] = j + i < t->length ? words_of(t, k, token + j + i, head, at) : each_int(0);
            transpose(block);
            for (long i = 0; i < LANES && at + i < t->words; i++)
                put_ints(t->keys + (at + i) * t->padded + j, block[i]);
        }
}

INLINE packed halves_at(const text *t, const states *v, long token, long head, long at) {
    const void *row = row_of(v, token, head, t->halves_in);
    mask m = first(t->width - at);
    return t->halves_in ? load_packed((const uint16_t *)row + at, m)
                        : to_halves(load_floats((const float *)row + at, m));
}

/* Pairs are of one number of two neighbouring tokens, so that a product takes two tokens at once. */
INLINE void pack_values(const text *t, const states *v, long token, long head) {
    if (!t->pairs) {
        for (long j = 0; j < t->length; j++)
            for (long at = 0; at < t->width; at += LANES)
                put_ints(t->values + j * t->columns + at, words_of(t, v, token + j, head, at));
        return;
    }
    for (long j = 0; j < t->length; j += 2)
        for (long at = 0; at < t->width; at += LANES) {
            packed low = halves_at(t, v, token + j, head, at);
            packed high = {0};
            if (j + 1 < t->length) high = halves_at(t, v, token + j + 1, head, at);
            put_ints(t->values + j / 2 * t->columns + at, pair(low, high));
        }
}

/* sums[r, 0:16 n] += one word, or pair, of each row of `left`, times its place in `right`. */
INLINE void step(const int rows, const int n, const text *t, const uint32_t *left, long left_row,
                 const uint32_t *right, ints sums[ROWS][2]) {
    ints columns[2];
    for (int c = 0; c < n; c++) columns[c] = ints_at(right + c * LANES);
    for (int r = 0; r < rows; r++) multiply_add(t->pairs ? HALVES : FLOATS, n, sums[r], left + r * left_row, columns);
}

/* out[r, 0:16 n] = sum over `steps` of left[r, at] times right[at, 0:16 n], words or pairs in each place. */
INLINE void block(const int rows, const int n, const text *t, const uint32_t *left, long left_row,
                  const uint32_t *right, long right_row, long steps, ints sums[ROWS][2]) {
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < n; c++) sums[r][c] = each_int(0);
    long at = 0;
    for (; at + 2 <= steps; at += 2) { /* two at once, as products have several: less to count */
        step(rows, n, t, left + at, left_row, right + at * right_row, sums);
        step(rows, n, t, left + at + 1, left_row, right + (at + 1) * right_row, sums);
    }
    if (at < steps) step(rows, n, t, left + at, left_row, right + at * right_row, sums);
}

INLINE void score(const int rows, const int n, const text *t, long j) {
    ints sums[ROWS][2];
    block(rows, n, t, t->query, t->words, t->keys + j, t->padded, t->words, sums);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < n; c++) put_ints(t->scores + r * t->padded + j + c * LANES, sums[r][c]);
}

/* exp(scale (score - greatest)) in place of the scores; gives their sum. */
INLINE float share(const text *t, int r) {
    float *row = t->scores + r * t->padded;
    uint16_t *pairs = (uint16_t *)t->shares + r * t->padded;
    floats most = each(-__FLT_MAX__), sum = each(0.0f);
    for (long j = 0; j < t->length; j += LANES)
        most = greater_of(first(t->length - j), most, floats_at(row + j));
    floats scale = each(t->scale * 1.44269504088896341f); /* e^x = 2^(x log2 e) */
    floats greatest = each(greatest_of(most)) * scale;
    for (long j = 0; j < t->length; j += LANES) {
        floats p = power_of_two(fused(floats_at(row + j), scale, -greatest), t->pairs);
        p = only(first(t->length - j), p);
        sum += p;
        if (t->pairs) *(packed *)(pairs + j) = to_halves(p);
        else put_ints(row + j, (ints)p);
    }
    return sum_of(sum);
}

INLINE void mix(const int rows, const int n, const text *t, long at, const float *sums, void *out, long out_row) {
    ints mixed[ROWS][2];
    const uint32_t *left = t->pairs ? t->shares : (const uint32_t *)t->scores;
    long left_row = t->pairs ? t->padded / 2 : t->padded, steps = t->pairs ? (t->length + 1) / 2 : t->length;
    block(rows, n, t, left, left_row, t->values + at, t->columns, steps, mixed);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < n; c++)
            store(out, r * out_row + at + c * LANES, t->halves_in, first(t->width - at - c * LANES),
                  (floats)mixed[r][c] / each(sums[r]));
}

INLINE void some_rows(const int rows, const text *t, const states *q, long token, long head, void *out, long out_row) {
    float sums[ROWS];
    for (int r = 0; r < rows; r++)
        for (long at = 0; at < t->words; at += LANES)
            store_ints(t->query + r * t->words + at, first(t->words - at),
                                     words_of(t, q, token + r, head, at));
    long j = 0;
    for (; j + 2 * LANES <= t->padded; j += 2 * LANES) score(rows, 2, t, j);
    if (j < t->padded) score(rows, 1, t, j);
    for (int r = 0; r < rows; r++) sums[r] = share(t, r);
    long at = 0;
    for (; at + 2 * LANES <= t->columns; at += 2 * LANES) mix(rows, 2, t, at, sums, out, out_row);
    if (at < t->columns) mix(rows, 1, t, at, sums, out, out_row);
}

INLINE void one_head(const text *t, const states s[3], long token, asked a, long head, char *out, long out_row) {
    long row = out_row * (t->halves_in ? 2 : 4), i = 0;
    pack_keys(t, &s[1], token, head);
    pack_values(t, &s[2], token, head);
    for (; i + ROWS <= a.count; i += ROWS) some_rows(ROWS, t, &s[0], a.from + i, head, out + i * row, out_row);
    for (; i + 3 <= a.count; i += 3) some_rows(3, t, &s[0], a.from + i, head, out + i * row, out_row);
    for (; i < a.count; i++) some_rows(1, t, &s[0], a.from + i, head, out + i * row, out_row);
}

/* Has the cache fetch a share of the next text's rows while a head of this one is computed: a head's part of each row
 * is too short, and too far from the next row's, to be foreseen. */
INLINE void expect(const text *t, const states s[3], long token, long head, long heads, long tokens, int first_only) {
    long begin = token + t->length * head / heads, end = token + t->length * (head + 1) / heads;
    long row = heads * t->width * (t->halves_in ? 2 : 4);
    for (int part = first_only; part < 3; part++)
        for (long at = begin; s[part].head == t->width && at < end && at < tokens; at++) {
            const char *from = row_of(&s[part], at, 0, t->halves_in);
            for (long byte = 0; byte < row; byte += 64) _mm_prefetch(from + byte, _MM_HINT_T1);
        }
}

/* `halves_in` and `pairs` are constants where this is called, and so in all that it calls. */
INLINE void all_texts(const int halves_in, const int pairs, text t, const states s[3], char *out, long heads,
                      const long *runs, long count, int first_only) {
    long out_row = heads * t.width, size = halves_in ? 2 : 4;
    t.halves_in = halves_in, t.pairs = pairs, t.words = pairs ? t.width / 2 : t.width;
    long tokens = runs[3 * count - 3] + runs[3 * count - 2] * runs[3 * count - 1], text_number = 0;
    for (long run = 0; run < count; run++) {
        long token = runs[3 * run], texts = runs[3 * run + 1];
        t.length = runs[3 * run + 2];
        t.padded = whole(t.length);
        for (long one = 0; one < texts; one++, token += t.length, text_number++) {
            asked a = first_only ? (asked){text_number, 1} : (asked){token, t.length};
            for (long head = 0; head < heads; head++) {
                expect(&t, s, token + t.length, head, heads, tokens, first_only);
                one_head(&t, s, token, a, head, out + (a.from * out_row + head * t.width) * size, out_row);
            }
        }
    }
}

INLINE long keys_of(long width, long longest) { return whole(longest) * whole(width); }

INLINE long scores_of(long longest) { return ROWS * whole(longest); }

long attention_memory(long width, long longest) {
    return 4 * (2 * keys_of(width, longest) + 2 * scores_of(longest) + ROWS * whole(width));
}

void attention(const void *q, const void *k, const void *v, void *out, const long *strides, long heads, long width,
               const long *runs, long count, float scale, int halves_in, int pairs, int first_only, char *memory) {
    long longest = longest_of(runs, count);
    uint32_t *keys = (uint32_t *)memory, *values = keys + keys_of(width, longest);
    uint32_t *shares = values + keys_of(width, longest), *scores = shares + scores_of(longest);
    states s[3] = {{q, strides[0], strides[1]}, {k, strides[2], strides[3]}, {v, strides[4], strides[5]}};
    text t = {.width = width, .columns = whole(width), .scale = scale, .keys = keys, .values = values,
              .shares = shares, .scores = (float *)scores, .query = scores + scores_of(longest)};
    if (HAS_HALVES && halves_in) all_texts(1, 1, t, s, out, heads, runs, count, first_only);
    else if (HAS_HALVES && pairs) all_texts(0, 1, t, s, out, heads, runs, count, first_only);
    else all_texts(0, 0, t, s, out, heads, runs, count, first_only);
}
