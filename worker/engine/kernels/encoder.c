/* A layer of an encoder, all of it for a few texts at a time: what lies between its parts stays in the cache. */
#include "attention.h"
#include "lookup.h"
#include "products.h"

#define MOST_TOKENS 256 /* of texts that go together, unless one is longer */
#define TILE 6          /* rows that products take at once */

typedef struct {
    const layer *inputs[3], *mixed, *up, *down; /* query, key and value; behind attention; and the feed-forward part */
    norm after_mixed, after_all;                /* what they add is what their part began with */
    long heads, width, pairs;                   /* numbers in a head; whether attention takes pairs of bfloat16 */
    double scale;
} encoder;

INLINE long most(long a, long b) { return a > b ? a : b; }

/* Bytes, up to where the next vector may begin. */
INLINE long room_for(long bytes) { return (bytes + 63) / 64 * 64; }

INLINE long row_out(const layer *l) { return l->out * size_of(l->halves_out); }

/* Texts that go together, as runs that begin at 0, and how far that takes: `used` texts of run `run`. */
typedef struct { long tokens, parts, last, run, used; } cut;

/* As many texts as there is room for, or a few less, so that hardly a tile is empty in part. */
INLINE cut together(const long *runs, long count, cut at, long some[][3]) {
    cut now = {.run = at.run, .used = at.used}, best = now;
    double least = 1e9;
    while (now.run < count && (!now.tokens || now.tokens + runs[3 * now.run + 2] <= MOST_TOKENS)) {
        long length = runs[3 * now.run + 2];
        if (now.parts && some[now.parts - 1][2] == length) now.last++;
        else some[now.parts][0] = now.tokens, some[now.parts++][2] = length, now.last = 1;
        some[now.parts - 1][1] = now.last;
        now.tokens += length;
        if (++now.used == runs[3 * now.run + 1]) now.run++, now.used = 0;
        double waste = (double)((TILE - now.tokens % TILE) % TILE + 2) / (double)now.tokens;
        if (waste <= least) least = waste, best = now;
    }
    some[best.parts - 1][1] = best.last;
    return best;
}

/* Where in memory, for some rows, all lies that is between. */
typedef struct { char *inputs[3], *mixed, *sum, *attention, *linear; } places;

INLINE long linears_memory(const encoder *e) {
    return most(linear_memory(e->up, e->down), most(linear_memory(NULL, e->mixed), linear_memory(NULL, e->inputs[0])));
}

INLINE places placed(const encoder *e, long longest, char *memory) {
    long rows = most(MOST_TOKENS, longest);
    places p;
    for (int part = 0; part < 3; part++) p.inputs[part] = memory, memory += room_for(rows * row_out(e->inputs[part]));
    p.mixed = memory, memory += room_for(rows * e->mixed->in * size_of(e->mixed->halves_in));
    p.sum = memory, memory += room_for(rows * row_out(e->mixed));
    p.attention = memory, memory += room_for(attention_memory(e->width, longest));
    p.linear = memory;
    return p;
}

long encoder_memory(const encoder *e, long longest) {
    return (long)(placed(e, longest, NULL).linear - (char *)NULL) + linears_memory(e);
}

/* x[tokens, in] to out[tokens, in]; `runs` as attention has them, without a gap. Query, key and value are products of
 * x, or `found` in a table. */
void encode(const encoder *e, const looked_up *found, const char *x, const long *runs, long count, char *out,
            char *memory) {
    places p = placed(e, longest_of(runs, count), memory);
    long row = e->heads * e->width, strides[6] = {row, e->width, row, e->width, row, e->width};
    int halves = (int)e->inputs[0]->halves_out;
    long some[MOST_TOKENS][3];
    norm after_mixed = e->after_mixed, after_all = e->after_all;
    long token = 0;
    for (cut at = {0}; at.run < count; x += at.tokens * row_out(e->down), out += at.tokens * row_out(e->down)) {
        at = together(runs, count, at, some);
        if (found) look_up(found, token, at.tokens, p.inputs);
        else each_of(e->inputs, 3, x, at.tokens, p.inputs, p.linear);
        token += at.tokens;
        attention(p.inputs[0], p.inputs[1], p.inputs[2], p.mixed, strides, e->heads, e->width, some[0], at.parts,
                  (float)e->scale, halves, (int)e->pairs, 0, p.attention);
        after_mixed.residual = x;
        linear(NULL, e->mixed, &after_mixed, p.mixed, at.tokens, p.sum, p.linear);
        after_all.residual = p.sum;
        linear(e->up, e->down, &after_all, p.sum, at.tokens, out, p.linear);
    }
}

/* Attention of each text's first token, whose query is given, [texts, inner], to as much. */
void attend_first(const encoder *e, const char *query, const char *x, const long *runs, long count, char *out,
                  char *memory) {
    places p = placed(e, longest_of(runs, count), memory);
    long row = e->heads * e->width, strides[6] = {row, e->width, row, e->width, row, e->width};
    int halves = (int)e->inputs[0]->halves_out;
    long some[MOST_TOKENS][3];
    for (cut at = {0}; at.run < count; x += at.tokens * row_out(e->down)) {
        at = together(runs, count, at, some);
        each_of(e->inputs + 1, 2, x, at.tokens, p.inputs + 1, p.linear);
        attention(query, p.inputs[1], p.inputs[2], out, strides, e->heads, e->width, some[0], at.parts,
                  (float)e->scale, halves, (int)e->pairs, 1, p.attention);
        for (long part = 0; part < at.parts; part++) {
            long texts = some[part][1] * row_out(e->inputs[0]);
            query += texts, out += texts;
        }
    }
}
